// What the map's colours mean. Hues in OKLCH, so that all are equally strong; lighter on dark paper.

import { hash } from "./dom.js";

const UNKNOWN = "#8d867f";
const SLOW = 60;
const FAST = 180;
const STEPS = 12;
const MOST_ARTISTS = 14;

const isDark = () => getComputedStyle(document.documentElement).getPropertyValue("--is-dark").trim() === "1";

// neighbours in the list stand far apart on the wheel
const wheel = (place, dark) => `oklch(${(dark ? 0.76 : 0.58) + (place % 2 ? 0.05 : -0.03)} ${dark ? 0.13 : 0.15} ${(place * 137.5 + 30) % 360})`;
const heat = (share, dark) => `oklch(${(dark ? 0.62 : 0.5) + 0.2 * share} 0.16 ${265 - 235 * share})`;

/**
 * Group points by colour.
 * @param {{cluster: number[], tempo: number[], artist: number[], artists: string[]}} map
 * @param {"cluster" | "artist" | "tempo"} by
 * @returns {{groups: [string, number[]][], legend: {key: number, text: string, colour: string, size: number}[], keyOf: (place: number) => number}}
 */
export function coloursOf(map, by) {
  const dark = isDark();
  const bins = (bpm) => (bpm ? Math.max(0, Math.min(STEPS - 1, Math.floor(((bpm - SLOW) / (FAST - SLOW)) * STEPS))) : -1);
  const keyOf = by === "tempo" ? (place) => bins(map.tempo[place]) : (place) => map[by][place];
  const members = new Map();
  for (let place = 0; place < map.ids.length; place += 1) {
    const key = keyOf(place);
    if (!members.has(key)) members.set(key, []);
    members.get(key).push(place);
  }
  const colour = {
    cluster: (key) => wheel(key, dark),
    artist: (key) => (map.artists[key] ? wheel(hash(map.artists[key]) % 997, dark) : UNKNOWN),
    tempo: (key) => (key < 0 ? UNKNOWN : heat(key / (STEPS - 1), dark)),
  }[by];
  const text = {
    cluster: (key) => `${key + 1}`,
    artist: (key) => map.artists[key] || "Unknown artist",
    tempo: (key) => (key < 0 ? "unknown" : `${SLOW + key * ((FAST - SLOW) / STEPS)}${key === STEPS - 1 ? " BPM and more" : ""}`),
  }[by];
  const keys = [...members.keys()].sort((a, b) => (by === "artist" ? members.get(b).length - members.get(a).length : a - b));
  const legend = keys.map((key) => ({ key, text: text(key), colour: colour(key), size: members.get(key).length }));
  return { groups: keys.map((key) => [colour(key), members.get(key)]), legend: by === "artist" ? legend.slice(0, MOST_ARTISTS) : legend, keyOf };
}

/** Black or white paper and ink, as the canvas needs them. */
export function inks() {
  const style = getComputedStyle(document.body);
  return { ink: style.color, paper: style.backgroundColor };
}
