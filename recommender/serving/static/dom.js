// Elements from values. Everything from outside goes in as text, never as HTML.

export const byId = (id) => document.getElementById(id);

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

export function clock(seconds) {
  if (!Number.isFinite(seconds)) return "–:––";
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

export const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

export const byLine = (track) => track.artist || "Unknown artist";

export const spoken = (track) => `${track.title} by ${byLine(track)}`;

// A cover for music that has none: its colours follow the artist, its pattern the title.
export function cover(track) {
  const tile = h("span", { className: "cover", "aria-hidden": "true" });
  const hue = hash(track.artist || track.id) % 360;
  const turn = hash(track.title + track.album) % 360;
  tile.style.setProperty("--hue", hue);
  tile.style.setProperty("--turn", `${turn}deg`);
  return tile;
}

function hash(text) {
  let value = 2166136261;
  for (const character of text) value = Math.imul(value ^ character.codePointAt(0), 16777619);
  return value >>> 0;
}

let hideToast = 0;
export function toast(text) {
  const box = byId("toast");
  box.textContent = text;
  box.classList.add("shown");
  clearTimeout(hideToast);
  hideToast = setTimeout(() => box.classList.remove("shown"), 4500);
}
