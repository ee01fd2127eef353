// How a track looks in a list.

import { byLine, clock, count, cover, h, spoken } from "./dom.js";
import { isPlaying, toggleTrack } from "./player.js";

const SOURCES = {
  cf: ["plays", "Other listeners' plays put it here"],
  content: ["sound", "Its sound put it here"],
  popularity: ["popular", "Most listeners play it"],
  mixed: ["plays + sound", "Plays and sound agree"],
  new: ["new release", "Nobody has played it yet"],
};

const BASES = {
  taste: ["by taste", "Rests on what this listener played"],
  "few plays": ["few plays", "Rests on few plays: little is known of this listener yet"],
  default: ["default", "Nothing is known of this listener: everybody would get the like"],
};

/** The button that plays a track, and after it the list it stands in. */
export function playButton(track) {
  const button = h("button", {
    type: "button",
    className: "play",
    "data-play": track.id,
    disabled: !track.playable,
    title: track.playable ? null : "There is no file to play",
    onclick: () => toggleTrack(track, listAround(button)),
  });
  button.track = track;
  showPlayState(button);
  return button;
}

function listAround(button) {
  const list = button.closest(".rows");
  return list ? [...list.querySelectorAll("[data-play]")].map((each) => each.track) : [button.track];
}

function showPlayState(button) {
  const active = isPlaying(button.track);
  button.classList.toggle("playing", active);
  button.setAttribute("aria-label", `${active ? "Pause" : "Play"} ${spoken(button.track)}`);
  button.closest(".row")?.classList.toggle("sounding", active);
}

document.addEventListener("playerchange", () => document.querySelectorAll("[data-play]").forEach(showPlayState));

/** The button that puts a track into the playlist. */
export function addButton(track) {
  return h(
    "button",
    {
      type: "button",
      className: "quiet add",
      "aria-label": `Add ${track.title} to the playlist`,
      title: "Add to the playlist",
      onclick: () => document.dispatchEvent(new CustomEvent("addtrack", { detail: track })),
    },
    "+",
  );
}

/** How many know a track. */
export function evidence(listeners) {
  if (listeners === 0) return h("span", { className: "badge new" }, "new: no plays yet");
  return h("span", { className: "evidence" }, count(listeners, "listener"));
}

/** Who put a track there. */
export function sourceBadge(source) {
  const [label, title] = SOURCES[source] ?? [source, ""];
  return h("span", { className: `badge ${source === "new" ? "release" : source}`, title }, label);
}

/** What a list rests on. */
export function basisBadge(basis) {
  const [label, title] = BASES[basis] ?? [basis, ""];
  return h("span", { className: "badge basis", title }, label);
}

/** How much is known of listener and track; nothing where a list rests on nothing anyway. */
export function knownBadge(confidence) {
  if (!confidence) return null;
  return h("span", { className: "known", title: "How much evidence of the listener and the track this rests on" }, `${Math.round(100 * confidence)} % known`);
}

/**
 * A track in a list.
 * @param {object} track
 * @param {{lead?: Element, details?: any[], actions?: any[], onopen?: (track: object) => void, className?: string}} options
 *   before the cover, below the title, at the end, when the title is clicked
 */
export function trackRow(track, { lead, details = [], actions = [], onopen, className = "" } = {}) {
  const art = h("span", { className: "art" }, cover(track), playButton(track));
  const title = h(
    "button",
    { type: "button", className: "title", onclick: () => onopen?.(track), title: "See what sounds like it", "data-open": track.id },
    h("span", { dir: "auto" }, track.title),
  );
  const byline = h("p", { className: "byline" }, h("span", { dir: "auto" }, byLine(track)));
  if (track.album) byline.append(h("span", { className: "album", dir: "auto" }, track.album));
  if (track.duration_s) byline.append(h("span", { className: "time" }, clock(track.duration_s)));
  return h(
    "li",
    { className: `row ${className}`, "data-track": track.id },
    lead ?? null,
    art,
    h("div", { className: "text" }, title, byline, details),
    h("div", { className: "actions" }, actions, addButton(track)),
  );
}
