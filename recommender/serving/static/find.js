// The shelf, and search as one types.

import { api, latest } from "./api.js";
import { byId, count, h, toast } from "./dom.js";
import { evidence, trackRow } from "./rows.js";

const PAGE = 20;
const WAIT_MS = 120;
const search = byId("search");
const results = byId("results");
const status = byId("search-status");
const findTracks = latest();
let open = () => {};

/** @param {(track: object) => void} onopen when a title is clicked */
export function startFind(onopen) {
  open = onopen;
}

const row = (track) => trackRow(track, { details: [h("p", { className: "marks" }, evidence(track.listeners))], onopen: open });
const group = (title, tracks) => [h("h3", {}, title), h("ul", { className: "rows" }, tracks.map(row))];

/** Show what is new and what is popular; returns the newest track. */
export async function showShelf() {
  const [fresh, popular] = await Promise.all([api("/v1/tracks?order=new&limit=6"), api("/v1/tracks?order=popular&limit=8")]);
  const unplayed = fresh.items.filter((track) => track.listeners === 0);
  status.textContent = "";
  results.replaceChildren(
    ...(unplayed.length ? group("Nobody has played these yet", unplayed) : []),
    ...group("Most played", popular.items.filter((track) => track.listeners > 0)),
  );
  return fresh.items[0];
}

/** Show what the field asks for. */
export async function showFound() {
  const query = search.value.trim();
  try {
    if (!query) {
      await showShelf();
      return;
    }
    const page = await findTracks(`/v1/tracks?limit=${PAGE}&query=${encodeURIComponent(query)}`);
    status.textContent = page.total ? count(page.total, "track") : `Nothing is called “${query}”.`;
    const list = h("ul", { className: "rows" }, page.items.map(row));
    results.replaceChildren(list, ...moreButton(page, list));
  } catch (error) {
    if (error.name !== "AbortError") status.textContent = error.message;
  }
}

function moreButton(page, list) {
  if (!page.next) return [];
  const button = h("button", { type: "button", className: "more" }, "Show more");
  button.addEventListener("click", async () => {
    try {
      const next = await api(page.next);
      const added = next.items.map(row);
      list.append(...added);
      button.replaceWith(...moreButton(next, list));
      added[0]?.querySelector("button.title").focus();
    } catch (error) {
      toast(error.message);
    }
  });
  return [button];
}

let typing = 0;
search.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(showFound, WAIT_MS);
});
