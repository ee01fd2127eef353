// One audio element, and the bar that drives it.

import { trackPath } from "./api.js";
import { byId, byLine, clock, toast } from "./dom.js";

const audio = byId("audio");
const toggle = byId("toggle");
const position = byId("position");
let current = null;
let startAt = 0;

export const playing = () => current;

export function play(track, atSeconds = 0) {
  if (!track.playable) {
    toast(`There is no file to play for ${track.title}.`);
    return;
  }
  byId("player").hidden = false;
  document.body.classList.add("with-player");
  if (current?.id !== track.id) {
    current = track;
    byId("now-title").textContent = `${track.title} · ${byLine(track)}`;
    audio.src = trackPath(track.id, "/audio");
    document.dispatchEvent(new CustomEvent("playerchange"));
  }
  startAt = atSeconds;
  if (audio.readyState >= 1) jump();
  audio.play().catch((error) => {
    if (error.name !== "AbortError") toast(`${track.title} cannot be played: ${error.message}`);
  });
}

export function toggleTrack(track) {
  if (current?.id === track.id && !audio.paused) audio.pause();
  else if (current?.id === track.id) audio.play();
  else play(track);
}

export const isPlaying = (track) => current?.id === track.id && !audio.paused;

function jump() {
  audio.currentTime = Math.min(startAt, Math.max(0, (audio.duration || startAt) - 0.5));
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

audio.addEventListener("loadedmetadata", () => {
  if (startAt) jump();
  show();
});
audio.addEventListener("timeupdate", show);
audio.addEventListener("play", showState);
audio.addEventListener("pause", showState);
audio.addEventListener("error", () => {
  if (current) toast(`${current.title} cannot be played here: its file is gone, or the browser does not know its format.`);
});
toggle.addEventListener("click", () => current && toggleTrack(current));
position.addEventListener("input", () => {
  if (Number.isFinite(audio.duration)) audio.currentTime = (position.value / 1000) * audio.duration;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== " " || !current || event.target.closest("input, button, a, select, textarea, summary")) return;
  event.preventDefault();
  toggleTrack(current);
});
