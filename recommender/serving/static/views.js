// Which part of the page is seen: on a phone one section, on a desk the three that belong together.

import { byId, remember } from "./dom.js";

const NAMES = ["find", "alike", "listener", "map", "playlist"];
const shown = new Map();

/** Call something each time a view comes up. */
export function whenShown(name, then) {
  shown.set(name, then);
}

/**
 * Show a view; one of a name that is none is left alone.
 * @param {"find" | "alike" | "listener" | "map" | "playlist"} name
 * @param {boolean} [withFocus] whether the keyboard goes there
 */
export function showView(name, withFocus = false) {
  if (!NAMES.includes(name)) return;
  document.body.dataset.view = name;
  document.querySelectorAll(".tabs button").forEach((tab) => {
    const here = tab.dataset.view === name;
    tab.setAttribute("aria-current", String(here));
  });
  remember("view", name);
  shown.get(name)?.();
  if (withFocus) byId(name).focus({ preventScroll: true });
}

document.querySelectorAll(".tabs button").forEach((tab) =>
  tab.addEventListener("click", () => {
    showView(tab.dataset.view);
    scrollTo({ top: 0 });
  }),
);
