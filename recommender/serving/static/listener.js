// The right side: choose a listener, see what they would get and why, and what a listen changes.

import { api, latest, post, userPath } from "./api.js";
import { byId, count, h, toast } from "./dom.js";
import { basisBadge, evidence, knownBadge, sourceBadge, trackRow } from "./rows.js";
import { explanation } from "./why.js";

const field = byId("user");
const options = byId("users");
const list = byId("recommendations");
const status = byId("listener-status");
const findUsers = latest();
const getList = latest();
const TOP = 20;
let chosen = "";
let onlyNew = false;
let places = new Map();
let openTrack = () => {};
let refreshFacts = () => {};

export const listener = () => chosen;

export function startListener({ onopen, onchange }) {
  openTrack = onopen;
  refreshFacts = onchange;
}

export async function chooseListener(user) {
  chosen = user;
  field.value = user;
  closeOptions();
  places = new Map();
  remember();
  await show(false);
}

async function show(compare) {
  if (!chosen) return;
  status.textContent = places.size ? status.textContent : "Asking…";
  try {
    const answer = await getList(userPath(chosen, `/recommendations?top=${TOP}${onlyNew ? "&max_listeners=0" : ""}`));
    status.replaceChildren(`${answer.basis === "default" ? "Default list" : "For " + chosen}: ${answer.note}. `, basisBadge(answer.basis));
    draw(answer.items, compare);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === 404) await showDefault();
    else status.textContent = error.message;
  }
}

async function showDefault() {
  // nothing is known of them: which new track they would like cannot be told
  setOnly(false);
  const answer = await post("/v1/recommendations", { liked: [], top: TOP });
  status.replaceChildren(
    `${chosen} has not listened yet. This is the default: popular tracks and new releases by turns. Press Played on any track to begin. `,
    basisBadge(answer.basis),
  );
  draw(answer.items, false);
}

function draw(items, compare) {
  const before = new Map([...list.children].map((row) => [row.dataset.track, row.getBoundingClientRect().top]));
  let changed = 0;
  const rows = items.map((item) => {
    const was = places.get(item.track.id);
    const move = compare ? moved(was, item.rank) : null;
    if (move) changed += 1;
    return recommendedRow(item, move);
  });
  places = new Map(items.map((item) => [item.track.id, item.rank]));
  list.replaceChildren(...rows);
  if (compare) {
    animate(before);
    toast(changed ? `Recorded: ${count(changed, "place")} of ${items.length} changed.` : "Recorded; the list stays as it is.");
  }
}

function moved(was, is) {
  if (was === undefined) return h("span", { className: "move in" }, "in");
  if (was === is) return null;
  const up = was > is;
  const steps = Math.abs(was - is);
  return h(
    "span",
    { className: `move ${up ? "up" : "down"}`, "aria-label": `${up ? "up" : "down"} ${count(steps, "place")}` },
    `${up ? "▲" : "▼"}${steps}`,
  );
}

function recommendedRow(item, move) {
  const track = item.track;
  const why = h("div", { className: "why", hidden: true });
  const ask = h(
    "button",
    {
      type: "button",
      className: "quiet",
      "aria-expanded": "false",
      "aria-label": `Why ${track.title}?`,
      onclick: () => explain(track, ask, why),
    },
    "Why?",
  );
  const verdict = (label, skipped) =>
    h(
      "button",
      {
        type: "button",
        className: skipped ? "quiet" : "quiet yes",
        "aria-label": `${label} ${track.title}`,
        onclick: () => record(track, skipped),
      },
      label,
    );
  return trackRow(track, {
    lead: h("span", { className: "rank" }, String(item.rank), move),
    details: [
      h("p", { className: "reason", dir: "auto" }, item.reason),
      h("p", { className: "marks" }, sourceBadge(item.source), evidence(item.evidence.listeners), knownBadge(item.confidence), ask),
      why,
    ],
    actions: [verdict("Played", false), verdict("Skip", true)],
    onopen: openTrack,
    className: move ? "changed" : "",
  });
}

async function explain(track, button, box) {
  const opened = button.getAttribute("aria-expanded") === "true";
  button.setAttribute("aria-expanded", String(!opened));
  box.hidden = opened;
  if (opened) return;
  try {
    box.replaceChildren(explanation(await api(userPath(chosen, `/explanations/${encodeURIComponent(track.id)}`)), openTrack));
  } catch (error) {
    box.textContent = error.status === 404 ? "Nothing is known of this listener yet; popularity alone decides." : error.message;
  }
}

export async function record(track, skipped) {
  if (!chosen) {
    toast("Choose a listener first.");
    field.focus();
    return;
  }
  try {
    const report = await post("/v1/listens", { listens: [{ user_id: chosen, track_id: track.id, skipped, id: newId() }] });
    if (report.rejected) throw new Error(report.items[0].reason);
    // places are compared without the track itself: that the rest moves up when it leaves is no news
    places = new Map([...places.keys()].filter((id) => id !== track.id).map((id, place) => [id, place + 1]));
    await show(true);
    refreshFacts(track);
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
    places = new Map();
    show(false);
  }),
);

const newId = () => [...crypto.getRandomValues(new Uint32Array(4))].map((n) => n.toString(16).padStart(8, "0")).join("");

function animate(before) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const row of list.children) {
    const top = before.get(row.dataset.track);
    const way = top === undefined ? 24 : top - row.getBoundingClientRect().top;
    if (!way) continue;
    row.animate(
      [{ transform: `translateY(${way}px)`, opacity: top === undefined ? 0 : 1 }, { transform: "none", opacity: 1 }],
      { duration: 420, easing: "cubic-bezier(.2,.8,.2,1)" },
    );
  }
}

// the combobox
let asked = 0;

async function showOptions(query) {
  const mine = ++asked;
  let page;
  try {
    page = await findUsers(`/v1/users?limit=8&query=${encodeURIComponent(query)}`);
  } catch (error) {
    if (error.name !== "AbortError") status.textContent = error.message;
    return;
  }
  // an answer that comes after the list was closed must not open it again
  if (mine !== asked || document.activeElement !== field) return;
  const found = page.items.map((user) => option(user.id, count(user.tracks_played, "track")));
  if (query && !page.items.some((user) => user.id === query)) found.push(option(query, "a new listener"));
  options.replaceChildren(...found);
  options.hidden = found.length === 0;
  field.setAttribute("aria-expanded", String(!options.hidden));
  field.removeAttribute("aria-activedescendant");
}

function option(user, note) {
  const item = h(
    "li",
    { role: "option", id: `user-${user}`, "aria-selected": "false", onmousedown: (event) => event.preventDefault(), onclick: () => chooseListener(user) },
    h("span", { dir: "auto" }, user),
    h("span", { className: "note" }, note),
  );
  item.user = user;
  return item;
}

function closeOptions() {
  asked += 1;
  options.hidden = true;
  field.setAttribute("aria-expanded", "false");
}

function step(by) {
  const all = [...options.children];
  const at = all.findIndex((item) => item.getAttribute("aria-selected") === "true");
  const next = all[(at + by + all.length) % all.length] ?? all[0];
  all.forEach((item) => item.setAttribute("aria-selected", String(item === next)));
  field.setAttribute("aria-activedescendant", next.id);
  next.scrollIntoView({ block: "nearest" });
}

field.addEventListener("focus", () => {
  field.select();
  showOptions("");
});
field.addEventListener("input", () => showOptions(field.value.trim()));
field.addEventListener("blur", () => {
  closeOptions();
  field.value = chosen;
});
field.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    field.value = chosen;
    closeOptions();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    if (options.hidden) showOptions("");
    else step(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Enter") {
    const active = options.querySelector('[aria-selected="true"]');
    const name = active?.user ?? field.value.trim();
    if (name) chooseListener(name);
  }
});

function remember() {
  const state = new URLSearchParams(location.hash.slice(1));
  state.set("user", chosen);
  history.replaceState(null, "", `#${state}`);
}
