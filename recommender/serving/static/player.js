// One audio element, the bar that drives it, and the list that goes on when a track ends.

import { trackPath } from "./api.js";
import { byId, byLine, clock, cover, toast } from "./dom.js";

const SKIP_S = 5;
const audio = byId("audio");
const toggle = byId("toggle");
const position = byId("position");
let current = null;
let startAt = 0;
let queue = [];

/** The track in the player, null at first. */
export const playing = () => current;

/** Whether a track is heard at this moment. */
export const isPlaying = (track) => current?.id === track.id && !audio.paused;

/**
 * Play a track.
 * @param {{id: string, title: string, playable: boolean}} track
 * @param {number} [atSeconds]
 * @param {object[]} [list] what goes on after it; the list before stays if left out
 */
export function play(track, atSeconds = 0, list = null) {
  if (!track.playable) {
    toast(`There is no file to play for ${track.title}.`);
    return;
  }
  if (list) queue = list.filter((each) => each.playable);
  byId("player").hidden = false;
  document.body.classList.add("with-player");
  if (current?.id !== track.id) {
    current = track;
    byId("now-title").textContent = track.title;
    byId("now-by").textContent = byLine(track);
    byId("now-art").replaceChildren(cover(track));
    audio.src = trackPath(track.id, "/audio");
    tellSystem(track);
  }
  showNeighbours();
  startAt = atSeconds;
  if (audio.readyState >= 1) jump();
  audio.play().catch((error) => {
    if (error.name !== "AbortError") toast(`${track.title} cannot be played: ${error.message}`);
  });
}

/** Play a track, or pause it if it is the one that plays. */
export function toggleTrack(track, list = null) {
  if (current?.id === track.id && !audio.paused) audio.pause();
  else if (current?.id === track.id) audio.play();
  else play(track, 0, list);
}

/** Go on by some places in the list. */
export function step(by) {
  const next = queue[queue.findIndex((track) => track.id === current?.id) + by];
  if (next) play(next);
}

function showNeighbours() {
  const at = queue.findIndex((track) => track.id === current?.id);
  byId("previous").disabled = at <= 0;
  byId("next").disabled = at < 0 || at >= queue.length - 1;
  document.dispatchEvent(new CustomEvent("playerchange"));
}

function jump() {
  audio.currentTime = Math.min(startAt, Math.max(0, (audio.duration || startAt) - 0.5));
}

function seek(by) {
  if (Number.isFinite(audio.duration)) audio.currentTime = Math.max(0, Math.min(audio.duration - 0.1, audio.currentTime + by));
}

function show() {
  const length = audio.duration;
  position.value = Number.isFinite(length) && length > 0 ? Math.round((1000 * audio.currentTime) / length) : 0;
  position.style.setProperty("--done", `${position.value / 10}%`);
  position.setAttribute("aria-valuetext", `${clock(audio.currentTime)} of ${clock(length)}`);
  byId("at").textContent = clock(audio.currentTime);
  byId("length").textContent = clock(length);
}

function showState() {
  toggle.setAttribute("aria-label", audio.paused ? "Play" : "Pause");
  toggle.classList.toggle("playing", !audio.paused);
  document.dispatchEvent(new CustomEvent("playerchange"));
}

function tellSystem(track) {
  if (!("mediaSession" in navigator)) return;
  navigator.mediaSession.metadata = new MediaMetadata({ title: track.title, artist: byLine(track), album: track.album });
}

audio.addEventListener("loadedmetadata", () => {
  if (startAt) jump();
  show();
});
audio.addEventListener("timeupdate", show);
audio.addEventListener("play", showState);
audio.addEventListener("pause", showState);
audio.addEventListener("ended", () => step(1));
audio.addEventListener("error", () => {
  if (current) toast(`${current.title} cannot be played here: its file is gone, or the browser does not know its format.`);
});
toggle.addEventListener("click", () => current && toggleTrack(current));
byId("previous").addEventListener("click", () => step(-1));
byId("next").addEventListener("click", () => step(1));
position.addEventListener("input", () => {
  if (Number.isFinite(audio.duration)) audio.currentTime = (position.value / 1000) * audio.duration;
});
const KEYS = {
  " ": () => toggleTrack(current),
  ArrowLeft: () => seek(-SKIP_S),
  ArrowRight: () => seek(SKIP_S),
  n: () => step(1),
  p: () => step(-1),
};
document.addEventListener("keydown", (event) => {
  if (!current || !KEYS[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea, dialog, canvas")) return;
  if (event.key === " " && event.target.closest("button, a, summary")) return;
  event.preventDefault();
  KEYS[event.key]();
});
