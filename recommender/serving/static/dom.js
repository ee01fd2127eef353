// Elements from values. Everything from outside goes in as text, never as HTML.

/** @param {string} id */
export const byId = (id) => document.getElementById(id);

/**
 * Make an element. Properties that begin with `on` are listeners; null, undefined and false are left out.
 * @param {string} tag
 * @param {Record<string, any>} properties
 * @param {...any} children elements, text, lists of them; null, undefined and false are left out
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "className") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Minutes and seconds. */
export function clock(seconds) {
  if (!Number.isFinite(seconds)) return "–:––";
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** A number and its noun. */
export const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

/** Whom a track is by. */
export const byLine = (track) => track.artist || "Unknown artist";

/** A track as it is said. */
export const spoken = (track) => `${track.title} by ${byLine(track)}`;

/** A cover for music that has none: its colours follow the artist, its pattern the title. */
export function cover(track) {
  const tile = h("span", { className: "cover", "aria-hidden": "true" });
  const hue = hash(track.artist || track.id) % 360;
  const turn = hash(track.title + track.album) % 360;
  tile.style.setProperty("--hue", hue);
  tile.style.setProperty("--turn", `${turn}deg`);
  return tile;
}

/** A number of 32 bits from text: FNV-1a. */
export function hash(text) {
  let value = 2166136261;
  for (const character of text) value = Math.imul(value ^ character.codePointAt(0), 16777619);
  return value >>> 0;
}

let hideToast = 0;
/** Say something in passing; it is read out too. */
export function toast(text) {
  const box = byId("toast");
  box.textContent = text;
  box.classList.add("shown");
  clearTimeout(hideToast);
  hideToast = setTimeout(() => box.classList.remove("shown"), 4500);
}

/** Whether things may move. */
export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Keep something in the address, so that a reload comes back to it. */
export function remember(name, value) {
  const state = new URLSearchParams(location.hash.slice(1));
  state.set(name, value);
  history.replaceState(null, "", `#${state}`);
}
