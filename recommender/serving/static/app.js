// The page: find a track, hear it, see what sounds like it; the listener's side is in listener.js.

import { api, latest, trackPath } from "./api.js";
import { byId, byLine, count, cover, h, toast } from "./dom.js";
import { chooseListener, record, startListener } from "./listener.js";
import { playing } from "./player.js";
import { evidence, playButton, trackRow } from "./rows.js";
import { moment } from "./why.js";

const search = byId("search");
const results = byId("results");
const searchStatus = byId("search-status");
const findTracks = latest();
const findAlike = latest();
const PAGE = 20;
let facts = null;

async function showFacts() {
  facts = await api("/v1/model");
  const since = facts.listens_since ? `, ${count(facts.listens_since, "listen")} since` : "";
  byId("facts").textContent =
    `${count(facts.tracks, "track")}, ${count(facts.tracks_without_listeners, "of them new", "of them new")} · ` +
    `${count(facts.users, "listener")}${since} · bundle ${facts.bundle}`;
  byId("drop").classList.toggle("unable", !facts.can_hear_uploads);
  byId("file").disabled = !facts.can_hear_uploads;
  if (!facts.can_hear_uploads) {
    byId("drop-status").textContent = "This model has no ears: it was trained without audio, so files cannot be heard.";
  }
}

const foundRow = (track) => trackRow(track, { details: [h("p", { className: "marks" }, evidence(track.listeners))], onopen: open });

function group(title, tracks) {
  return [h("h3", {}, title), h("ul", { className: "rows" }, tracks.map(foundRow))];
}

async function showShelf() {
  const [fresh, popular] = await Promise.all([
    api("/v1/tracks?order=new&limit=6"),
    api("/v1/tracks?order=popular&limit=8"),
  ]);
  const unplayed = fresh.items.filter((track) => track.listeners === 0);
  searchStatus.textContent = "";
  results.replaceChildren(
    ...(unplayed.length ? group("Nobody has played these yet", unplayed) : []),
    ...group("Most played", popular.items.filter((track) => track.listeners > 0)),
  );
  return fresh.items[0];
}

async function showFound() {
  const query = search.value.trim();
  try {
    if (!query) {
      await showShelf();
      return;
    }
    const page = await findTracks(`/v1/tracks?limit=${PAGE}&query=${encodeURIComponent(query)}`);
    searchStatus.textContent = page.total ? count(page.total, "track") : `Nothing is called “${query}”.`;
    const list = h("ul", { className: "rows" }, page.items.map(foundRow));
    results.replaceChildren(list, ...moreButton(page, list));
  } catch (error) {
    if (error.name !== "AbortError") searchStatus.textContent = error.message;
  }
}

function moreButton(page, list) {
  if (!page.next) return [];
  const button = h("button", { type: "button", className: "more" }, "Show more");
  button.addEventListener("click", async () => {
    try {
      const next = await api(page.next);
      const added = next.items.map(foundRow);
      list.append(...added);
      button.replaceWith(...moreButton(next, list));
      added[0]?.querySelector("button.title").focus();
    } catch (error) {
      toast(error.message);
    }
  });
  return [button];
}

export async function open(track) {
  showView("alike");
  byId("subject").replaceChildren(subject(track));
  const status = byId("alike-status");
  status.textContent = "Listening…";
  byId("similar").replaceChildren();
  remember("track", track.id);
  document.querySelectorAll(".row").forEach((row) => row.classList.toggle("chosen", row.dataset.track === track.id));
  try {
    const answer = await findAlike(trackPath(track.id, "/similar?top=15"));
    byId("subject").replaceChildren(subject(answer.track));
    status.textContent = "By sound alone, however often they were played. The times jump to the seconds that match.";
    byId("similar").replaceChildren(...answer.items.map((item) => alikeRow(answer.track, item)));
  } catch (error) {
    if (error.name === "AbortError") return;
    status.textContent = error.message;
  }
}

function subject(track) {
  return h(
    "div",
    { className: "subject" },
    h("span", { className: "art big" }, cover(track), playButton(track)),
    h(
      "div",
      { className: "text" },
      h("h3", { dir: "auto" }, track.title),
      h("p", { className: "byline", dir: "auto" }, [byLine(track), track.album, track.released.slice(0, 4)].filter(Boolean).join(" · ")),
      h("p", { className: "marks" }, evidence(track.listeners), track.uploaded ? h("span", { className: "badge content" }, "uploaded") : null),
    ),
  );
}

function alikeRow(asked, item) {
  const details = h("p", { className: "marks" });
  if (item.match_start_s !== null) {
    details.append(moment(asked, item.query_start_s, "here"), h("span", { "aria-hidden": "true" }, "≈"), moment(item.track, item.match_start_s, "there"));
  }
  details.append(evidence(item.evidence.listeners));
  const meter = h("span", { className: "likeness", title: `Similarity ${item.similarity.toFixed(2)}` }, h("span", { className: "visually-hidden" }, `similarity ${item.similarity.toFixed(2)}`));
  meter.style.setProperty("--share", `${Math.max(0, 100 * item.similarity)}%`);
  return trackRow(item.track, { lead: meter, details: [details], onopen: open });
}

async function upload(file) {
  const status = byId("drop-status");
  if (!file || !facts?.can_hear_uploads) return;
  if (file.size > facts.max_upload_bytes) {
    status.textContent = `${file.name} is too large: at most ${Math.floor(facts.max_upload_bytes / 2 ** 20)} MiB.`;
    return;
  }
  status.textContent = `Listening to ${file.name}…`;
  const form = new FormData();
  form.append("file", file);
  const began = performance.now();
  try {
    const answer = await api("/v1/tracks", { method: "POST", body: form });
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    const known = answer.created ? `Heard in ${seconds} s; it can be recommended now.` : "This file is known already.";
    status.textContent = [known, ...answer.warnings].join(" ");
    await Promise.all([open(answer.track), showFacts(), showFound()]);
  } catch (error) {
    status.textContent = error.message;
  }
}

function showView(name) {
  document.body.dataset.view = name;
  document.querySelectorAll(".tabs button").forEach((tab) => tab.setAttribute("aria-pressed", String(tab.dataset.view === name)));
}

function remember(name, value) {
  const state = new URLSearchParams(location.hash.slice(1));
  state.set(name, value);
  history.replaceState(null, "", `#${state}`);
}

let typing = 0;
search.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(showFound, 120);
});
byId("file").addEventListener("change", (event) => {
  upload(event.target.files[0]);
  event.target.value = "";
});
byId("drop").addEventListener("submit", (event) => event.preventDefault());
let over = 0;
for (const [kind, change] of [["dragenter", 1], ["dragleave", -1]]) {
  document.addEventListener(kind, () => {
    over = Math.max(0, over + change);
    document.body.classList.toggle("dragging", over > 0);
  });
}
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  over = 0;
  document.body.classList.remove("dragging");
  upload(event.dataTransfer.files[0]);
});
document.querySelectorAll(".tabs button").forEach((tab) => tab.addEventListener("click", () => {
  showView(tab.dataset.view);
  window.scrollTo({ top: 0 });
}));
byId("played").addEventListener("click", () => playing() && record(playing(), false));
byId("skipped").addEventListener("click", () => playing() && record(playing(), true));
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input, textarea")) {
    event.preventDefault();
    showView("find");
    search.focus();
  }
});

async function afterListen(track) {
  await showFacts();
  const answer = await api(trackPath(track.id));
  document.querySelectorAll(`[data-track="${CSS.escape(track.id)}"] .marks > .evidence, [data-track="${CSS.escape(track.id)}"] .marks > .badge.new`).forEach((mark) => mark.replaceWith(evidence(answer.track.listeners)));
}

async function start() {
  const state = new URLSearchParams(location.hash.slice(1));
  startListener({ onopen: open, onchange: (track) => afterListen(track).catch((error) => toast(error.message)) });
  try {
    const [first] = await Promise.all([showShelf(), showFacts()]);
    const wanted = state.get("track");
    const track = wanted ? (await api(trackPath(wanted)).catch(() => null))?.track ?? first : first;
    if (track) await open(track);
    // somebody in the middle: a list that rests on very many plays hardly moves with one more
    const middle = Math.floor(facts.users / 2);
    const user = state.get("user") || (await api(`/v1/users?limit=1&offset=${middle}`)).items[0]?.id;
    if (user) await chooseListener(user);
    showView("find");
  } catch (error) {
    byId("facts").textContent = error.message;
  }
  document.body.dataset.ready = "yes";
}

start();
