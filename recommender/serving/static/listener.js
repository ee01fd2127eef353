// The right side: choose a listener, see what they would get and why, and what a word of theirs changes.

import { api, latest, send, userPath } from "./api.js";
import { combobox } from "./combo.js";
import { byId, count, h, remember, toast } from "./dom.js";
import { compare, glide, leave, placesOf } from "./motion.js";
import { recommendedRow } from "./recommended.js";
import { basisBadge } from "./rows.js";
import { showView } from "./views.js";

const TOP = 20;
const SAID = { love: "loved", hate: "hated", skip: "skipped", play: "played" };
const field = byId("user");
const list = byId("recommendations");
const status = byId("listener-status");
const change = byId("listener-change");
const findUsers = latest();
const getList = latest();
const getShares = latest();
let chosen = "";
let onlyNew = false;
let items = [];
let openTrack = () => {};
let changed = () => {};

/** Who is chosen; empty at first. */
export const listener = () => chosen;

/**
 * @param {{onopen: (track: object) => void, onchange: (track: object) => void}} what
 *   when a title is clicked, and when a verdict changed what is known of a track
 */
export function startListener({ onopen, onchange }) {
  openTrack = onopen;
  changed = onchange;
}

/** Show what somebody would get. */
export async function chooseListener(user) {
  chosen = user;
  field.value = user;
  items = [];
  change.replaceChildren();
  remember("user", user);
  await refresh();
}

async function refresh(cause = null) {
  if (!chosen) return;
  if (!items.length) status.textContent = "Asking…";
  try {
    const answer = await getList(userPath(chosen, `/recommendations?top=${TOP}${onlyNew ? "&max_listeners=0" : ""}`));
    status.replaceChildren(`${answer.basis === "default" ? "Default list" : "For " + chosen}: ${answer.note}. `, basisBadge(answer.basis));
    draw(answer.items, cause);
    await showShares(answer);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === 404) await showDefault();
    else status.textContent = error.message;
  }
}

async function showDefault() {
  // nothing is known of them: which new track they would like cannot be told
  setOnly(false);
  const answer = await send("/v1/recommendations", { liked: [], top: TOP });
  status.replaceChildren(
    `${chosen} has not listened yet. This is the default: popular tracks and new releases by turns. Love a track to begin. `,
    basisBadge(answer.basis),
  );
  draw(answer.items, null);
}

function draw(now, cause) {
  const before = placesOf(list);
  // places are compared without the track itself: that the rest moves up when it leaves is no news
  const stays = items.map((item) => item.track.id).filter((id) => id !== cause?.track.id);
  const { moves, gone } = compare(stays, now.filter((item) => item.track.id !== cause?.track.id).map((item) => item.track.id));
  const titles = new Map(items.map((item) => [item.track.id, item.track.title]));
  items = now;
  const move = (id) => (cause && moves.has(id) ? moves.get(id) : undefined);
  list.replaceChildren(...now.map((item) => recommendedRow(item, { move: move(item.track.id), user: () => chosen, open: openTrack, say })));
  if (!cause) return;
  glide(list, before);
  tell(cause, moves, gone.map((id) => titles.get(id)));
}

function tell(cause, moves, gone) {
  const came = [...moves.values()].filter((by) => by === null).length;
  const parts = [came && `${came} new`, gone.length && `gone: ${gone.slice(0, 3).join(", ")}${gone.length > 3 ? ` and ${gone.length - 3} more` : ""}`, moves.size - came && `${count(moves.size - came, "place")} moved`];
  const text = parts.filter(Boolean).join("; ") || "the list stays as it is";
  const why = `Because ${chosen} ${SAID[cause.verdict]} ${cause.track.title}: ${text}.`;
  const undo = cause.verdict === "play" ? null : h("button", { type: "button", className: "quiet", onclick: () => say(cause.track, "clear") }, "Take it back");
  change.replaceChildren(h("span", { dir: "auto" }, why), undo ?? "");
}

async function showShares(answer) {
  const rows = [...list.children].filter((row) => row.fill);
  if (answer.basis === "default" || !rows.length) return;
  const asked = rows.map((row) => `track=${encodeURIComponent(row.dataset.track)}`).join("&");
  const found = await getShares(userPath(answer.user, `/shares?${asked}`));
  const byTrack = new Map(found.items.map((item) => [item.track, item]));
  rows.forEach((row) => byTrack.has(row.dataset.track) && row.fill(byTrack.get(row.dataset.track)));
}

/**
 * Say what the listener makes of a track, and show what it changes.
 * @param {object} track
 * @param {"love" | "hate" | "skip" | "play" | "clear"} verdict
 */
export async function say(track, verdict) {
  if (!chosen) {
    toast("Choose a listener first.");
    showView("listener");
    field.focus();
    return;
  }
  try {
    if (verdict === "skip" || verdict === "play") {
      const listen = { user_id: chosen, track_id: track.id, skipped: verdict === "skip", id: newId() };
      const report = await send("/v1/listens", { listens: [listen] });
      if (report.rejected) throw new Error(report.items[0].reason);
    } else {
      await send(userPath(chosen, `/feedback/${encodeURIComponent(track.id)}`), { value: verdict }, "PUT");
    }
    if (verdict === "clear") {
      const before = placesOf(list);
      await refresh();
      glide(list, before);
      change.replaceChildren("Taken back: the list is what it was before.");
    } else {
      await leave([...list.children].find((row) => row.dataset.track === track.id));
      await refresh({ track, verdict });
    }
    changed(track);
  } catch (error) {
    toast(error.message);
  }
}

function setOnly(value) {
  onlyNew = value;
  document.querySelectorAll("[data-only]").forEach((button) => button.setAttribute("aria-pressed", String((button.dataset.only === "new") === value)));
}

document.querySelectorAll("[data-only]").forEach((button) =>
  button.addEventListener("click", () => {
    setOnly(button.dataset.only === "new");
    items = [];
    change.replaceChildren();
    refresh();
  }),
);

const newId = () => [...crypto.getRandomValues(new Uint32Array(4))].map((n) => n.toString(16).padStart(8, "0")).join("");

/** Suggest users, also one that is not there yet. */
export async function suggestUsers(query) {
  const path = `/v1/users?limit=8&query=${encodeURIComponent(query)}`;
  const page = await findUsers(path).catch((error) => {
    if (error.status === 403) return { items: [] }; // the key speaks of one user only
    throw error;
  });
  const found = page.items.map((user) => ({ value: user.id, label: user.id, note: count(user.tracks_played, "track") }));
  if (query && !page.items.some((user) => user.id === query)) found.push({ value: query, label: query, note: "a new listener" });
  return found;
}

combobox(field, byId("users"), { find: suggestUsers, pick: chooseListener, free: chooseListener, resting: () => chosen });
