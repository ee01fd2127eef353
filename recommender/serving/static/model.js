// What answers: the bundle, its age, what it was measured at, what came in since.

import { api } from "./api.js";
import { byId, count, h } from "./dom.js";

const UNITS = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
const percent = (share) => `${Math.round(100 * share)} %`;
const number = (value) => (typeof value === "number" ? value.toFixed(3).replace(/^0/, "") : null);

/** Show the model, and return GET /v1/model. */
export async function showModel() {
  const model = await api("/v1/model");
  const since = model.listens_since ? `, ${count(model.listens_since, "listen")} since` : "";
  byId("facts").textContent =
    `${count(model.tracks, "track")}, ${count(model.tracks_without_listeners, "of them new", "of them new")} · ` +
    `${count(model.users, "listener")}${since} · trained ${age(model.created_at)}`;
  byId("model").replaceChildren(...facts(model));
  return model;
}

function age(createdAt) {
  const seconds = Math.max(0, (Date.now() - Date.parse(createdAt)) / 1000);
  const [size, unit] = UNITS.find(([each]) => seconds >= each) ?? UNITS[3];
  return `${count(Math.floor(seconds / size), unit)} ago`;
}

function facts(model) {
  const found = model.metrics.validation ?? {};
  const top = found.top ?? 20;
  const rows = [
    ["Bundle", model.bundle],
    ["Trained", `${age(model.created_at)}, ${new Date(model.created_at).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" })}`],
    ["Knows", `${count(model.tracks, "track")}, ${count(model.tracks_with_sound, "by its sound", "by their sound")}; ${count(model.users, "listener")}`],
    ["New", `${percent(model.tracks ? model.tracks_without_listeners / model.tracks : 0)} of the tracks have no plays yet`],
    ["Since then", `${count(model.listens_since, "listen")}, ${count(model.uploads, "upload")}`],
    measured(`NDCG@${top}, known tracks`, found.warm?.blend, found.warm?.["pure CF"], "plays alone"),
    measured(`NDCG@${top}, new tracks`, found.cold?.blend, found.cold?.["content alone"], "likeness alone"),
    measured(`NDCG@${top}, both`, found.mixed?.blend?.total, found.mixed?.["pure CF"]?.total, "plays alone"),
  ];
  return rows.filter((row) => row?.[1]).map(([term, text]) => h("div", {}, h("dt", {}, term), h("dd", {}, text)));
}

function measured(term, value, rival, name) {
  if (number(value) === null) return null;
  return [term, `${number(value)} on hidden plays${number(rival) === null ? "" : ` (${name}: ${number(rival)})`}`];
}

byId("facts-button").addEventListener("click", (event) => {
  const button = event.currentTarget;
  const open = button.getAttribute("aria-expanded") !== "true";
  button.setAttribute("aria-expanded", String(open));
  byId("model").hidden = !open;
});
