// One track: what sounds like it, with the seconds that match, and who would like it.

import { latest, trackPath } from "./api.js";
import { byId, byLine, count, cover, h, remember } from "./dom.js";
import { addButton, evidence, playButton, trackRow } from "./rows.js";
import { showView } from "./views.js";
import { moment } from "./why.js";

const TOP = 15;
const FANS = 5;
const findAlike = latest();
const findFans = latest();
let choose = () => {};

/** @param {(user: string) => void} onlistener when somebody who would like the track is clicked */
export function startAlike(onlistener) {
  choose = onlistener;
}

/**
 * Show a track.
 * @param {object} track
 */
export async function open(track) {
  showView("alike");
  remember("track", track.id);
  byId("subject").replaceChildren(subject(track));
  byId("similar").replaceChildren();
  byId("alike-status").textContent = "Listening…";
  document.querySelectorAll(".row").forEach((row) => row.classList.toggle("chosen", row.dataset.track === track.id));
  await Promise.all([showAlike(track), showFans(track)]);
}

async function showAlike(track) {
  const status = byId("alike-status");
  try {
    const answer = await findAlike(trackPath(track.id, `/similar?top=${TOP}`));
    byId("subject").replaceChildren(subject(answer.track));
    status.textContent = "By sound alone, however often they were played. The times jump to the seconds that match.";
    byId("similar").replaceChildren(...answer.items.map((item) => alikeRow(answer.track, item)));
  } catch (error) {
    if (error.name !== "AbortError") status.textContent = error.message;
  }
}

async function showFans(track) {
  const box = byId("fans");
  try {
    const answer = await findFans(trackPath(track.id, `/listeners?top=${FANS}`));
    byId("fans-status").textContent = answer.items.length ? "" : "Nobody’s taste is known well enough to say.";
    const best = Math.max(...answer.items.map((fan) => fan.standing), 1e-9);
    box.replaceChildren(...answer.items.map((fan) => fanRow(fan, best)));
  } catch (error) {
    if (error.name === "AbortError") return;
    box.replaceChildren();
    byId("fans-status").textContent = error.message;
  }
}

function fanRow(fan, best) {
  const meter = h("span", { className: "meter", "aria-hidden": "true" });
  meter.style.setProperty("--share", `${Math.max(4, (100 * fan.standing) / best)}%`);
  return h(
    "li",
    {},
    h(
      "button",
      {
        type: "button",
        className: "fan",
        title: `${fan.standing.toFixed(1)} standard deviations above what else there is for them; ${count(fan.tracks_played, "track")} played`,
        onclick: () => choose(fan.user),
      },
      h("span", { className: "fan-name", dir: "auto" }, fan.user),
      meter,
      h("span", { className: "note" }, fan.place === 1 ? "their first choice" : `number ${fan.place} for them`),
    ),
  );
}

function subject(track) {
  const tempo = track.signature ? ` · ${Math.round(track.signature.tempo_bpm)} BPM, ${track.signature.key}` : "";
  return h(
    "div",
    { className: "subject" },
    h("span", { className: "art big" }, cover(track), playButton(track)),
    h(
      "div",
      { className: "text" },
      h("h3", { dir: "auto" }, track.title),
      h("p", { className: "byline", dir: "auto" }, [byLine(track), track.album, track.released.slice(0, 4)].filter(Boolean).join(" · ") + tempo),
      h("p", { className: "marks" }, evidence(track.listeners), track.uploaded ? h("span", { className: "badge content" }, "uploaded") : null, addButton(track)),
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
