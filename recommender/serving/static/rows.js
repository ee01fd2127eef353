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

export function playButton(track) {
  const button = h("button", {
    type: "button",
    className: "play",
    "data-play": track.id,
    disabled: !track.playable,
    title: track.playable ? null : "There is no file to play",
    onclick: () => toggleTrack(track),
  });
  button.track = track;
  showPlayState(button);
  return button;
}

function showPlayState(button) {
  const active = isPlaying(button.track);
  button.classList.toggle("playing", active);
  button.setAttribute("aria-label", `${active ? "Pause" : "Play"} ${spoken(button.track)}`);
}

document.addEventListener("playerchange", () => document.querySelectorAll("[data-play]").forEach(showPlayState));

export function evidence(listeners) {
  if (listeners === 0) return h("span", { className: "badge new" }, "new: no plays yet");
  return h("span", { className: "evidence" }, count(listeners, "listener"));
}

export function sourceBadge(source) {
  const [label, title] = SOURCES[source] ?? [source, ""];
  return h("span", { className: `badge ${source === "new" ? "release" : source}`, title }, label);
}

export function basisBadge(basis) {
  const [label, title] = BASES[basis] ?? [basis, ""];
  return h("span", { className: "badge basis", title }, label);
}

// how much is known of listener and track; nothing is shown where a list rests on nothing anyway
export function knownBadge(confidence) {
  if (!confidence) return null;
  return h("span", { className: "known", title: "How much evidence of the listener and the track this rests on" }, `${Math.round(100 * confidence)} % known`);
}

// options: lead (before the cover), details (below the title), actions (at the end), onopen (title clicked)
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
    actions.length ? h("div", { className: "actions" }, actions) : null,
  );
}
