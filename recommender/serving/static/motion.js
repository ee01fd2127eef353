// What a change did to a list: who moved, who came, who went; shown by moving the rows there.

import { calm } from "./dom.js";

const STEP = { duration: 420, easing: "cubic-bezier(.2,.8,.2,1)" };

/**
 * Compare two orders of ids.
 * @param {string[]} before
 * @param {string[]} after
 * @returns {{moves: Map<string, number | null>, gone: string[]}} places each moved up by, null for one that came in
 */
export function compare(before, after) {
  const was = new Map(before.map((id, place) => [id, place]));
  const moves = new Map();
  after.forEach((id, place) => {
    if (!was.has(id)) moves.set(id, null);
    else if (was.get(id) !== place) moves.set(id, was.get(id) - place);
  });
  return { moves, gone: before.filter((id) => !after.includes(id)) };
}

/** Where the rows of a list are now, by track. */
export const placesOf = (list) => new Map([...list.children].map((row) => [row.dataset.track, row.getBoundingClientRect().top]));

/** Move rows from where they were to where they are; nothing moves for those who asked for calm. */
export function glide(list, before) {
  if (calm()) return;
  for (const row of list.children) {
    const top = before.get(row.dataset.track);
    const way = top === undefined ? 24 : top - row.getBoundingClientRect().top;
    if (way) row.animate([{ transform: `translateY(${way}px)`, opacity: top === undefined ? 0 : 1 }, { transform: "none", opacity: 1 }], STEP);
  }
}

/** Let a row go; resolves when it may be removed. */
export async function leave(row) {
  if (calm() || !row) return;
  await row.animate([{ opacity: 1 }, { opacity: 0, transform: "translateX(32px)" }], { duration: 180, easing: "ease-in" }).finished;
}
