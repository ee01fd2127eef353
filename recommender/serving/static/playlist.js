// The tracks of the playlist: added, removed and moved, by hand and by keys.

import { byId, byLine, clock, cover, h, toast } from "./dom.js";
import { glide, placesOf } from "./motion.js";
import { playButton } from "./rows.js";

const list = byId("playlist-rows");
let tracks = [];
let open = () => {};
let changed = () => {};
let held = null;

/** @param {{onopen: (track: object) => void, onchange: (tracks: object[]) => void}} what */
export function takeList({ onopen, onchange }) {
  open = onopen;
  changed = onchange;
  changed(tracks);
}

/** Show these tracks, if any are given, and return those that are shown. */
export function showList(next) {
  if (next) {
    tracks = [...next];
    draw();
  }
  return tracks;
}

function draw() {
  const before = placesOf(list);
  list.replaceChildren(...tracks.map(row));
  glide(list, before);
  changed(tracks);
}

function move(place, to, focusOn) {
  if (to < 0 || to >= tracks.length || to === place) return;
  const [track] = tracks.splice(place, 1);
  tracks.splice(to, 0, track);
  draw();
  if (focusOn) list.children[to].querySelector(focusOn)?.focus();
  byId("playlist-said").textContent = `${track.title} is number ${to + 1} of ${tracks.length}`;
}

function remove(place) {
  const [track] = tracks.splice(place, 1);
  draw();
  const next = list.children[Math.min(place, tracks.length - 1)];
  (next?.querySelector(".handle") ?? byId("playlist-name")).focus();
  byId("playlist-said").textContent = `${track.title} is taken out`;
}

function row(track, place) {
  const handle = h(
    "button",
    {
      type: "button",
      className: "handle",
      "aria-label": `Move ${track.title}, number ${place + 1} of ${tracks.length}: arrow keys move it, Delete takes it out`,
      title: "Drag, or use the arrow keys",
      onkeydown: (event) => keys(event, place),
    },
    "⠿",
  );
  const item = h(
    "li",
    { className: "row", draggable: "true", "data-track": `${track.id}`, ondragstart: (event) => lift(event, item), ondragend: () => settle(item), ondragover: (event) => over(event, item) },
    handle,
    h("span", { className: "art" }, cover(track), playButton(track)),
    h(
      "div",
      { className: "text" },
      h("button", { type: "button", className: "title", onclick: () => open(track) }, h("span", { dir: "auto" }, track.title)),
      h("p", { className: "byline" }, h("span", { dir: "auto" }, byLine(track)), track.signature ? h("span", {}, `${Math.round(track.signature.tempo_bpm)} BPM`) : null, track.duration_s ? h("span", { className: "time" }, clock(track.duration_s)) : null),
    ),
    h(
      "div",
      { className: "actions" },
      h("button", { type: "button", className: "quiet up", disabled: place === 0, "aria-label": `Move ${track.title} up`, onclick: () => move(place, place - 1, ".up:enabled, .down") }, "↑"),
      h("button", { type: "button", className: "quiet down", disabled: place === tracks.length - 1, "aria-label": `Move ${track.title} down`, onclick: () => move(place, place + 1, ".down:enabled, .up") }, "↓"),
      h("button", { type: "button", className: "quiet", "aria-label": `Take ${track.title} out`, onclick: () => remove(place) }, "✕"),
    ),
  );
  return item;
}

function keys(event, place) {
  const to = { ArrowUp: place - 1, ArrowDown: place + 1, Home: 0, End: tracks.length - 1 }[event.key];
  if (to !== undefined) move(place, to, ".handle");
  else if (event.key === "Delete" || event.key === "Backspace") remove(place);
  else return;
  event.preventDefault();
}

function lift(event, item) {
  held = item;
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", item.dataset.track);
  item.classList.add("held");
}

function over(event, item) {
  if (!held) return;
  event.preventDefault();
  if (held === item) return;
  const box = item.getBoundingClientRect();
  list.insertBefore(held, event.clientY < box.top + box.height / 2 ? item : item.nextSibling);
}

function settle(item) {
  item.classList.remove("held");
  held = null;
  const shown = [...list.querySelectorAll("[data-play]")].map((button) => button.track);
  if (shown.some((track, place) => track !== tracks[place])) {
    tracks = shown;
    draw();
  }
}

document.addEventListener("addtrack", ({ detail: track }) => {
  if (tracks.some((each) => each.id === track.id)) {
    toast(`${track.title} is in the playlist already.`);
    return;
  }
  tracks.push(track);
  draw();
  toast(`${track.title} is in the playlist: ${tracks.length} in all.`);
});
