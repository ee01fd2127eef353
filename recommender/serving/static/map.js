// The map of the library: colours and their legend, search, the track in hand, clusters that get names.

import { api, latest, pause, trackPath } from "./api.js";
import { fillFromCluster } from "./builder.js";
import { legendOf } from "./clusters.js";
import { coloursOf, inks } from "./colours.js";
import { byId, byLine, clock, count, cover, h } from "./dom.js";
import { makePlane } from "./plane.js";
import { toggleTrack } from "./player.js";
import { addButton, playButton } from "./rows.js";
import { showView, whenShown } from "./views.js";

const FOUND = 200;
const WAIT_MS = 150;
const status = byId("map-status");
const card = byId("map-card");
const tracks = new Map();
const findTracks = latest();
let map = null;
let clusters = [];
let by = "cluster";
let chosen = null;
let found = null;
let rowOf = new Map();
let loading = null;
let openTrack = () => {};

const plane = makePlane(byId("plane"), { onpoint: point, onpick: pick });

/** @param {{onopen: (track: object) => void}} what when a track shall be shown */
export function startMap({ onopen }) {
  openTrack = onopen;
  whenShown("map", load);
}

/** Ask for the map again when it is next shown: a track has come. */
export function forgetMap() {
  map = null;
}

function load() {
  if (map || loading) return loading;
  loading = read().catch((error) => {
    status.textContent = error.message;
  }).finally(() => {
    loading = null;
  });
  return loading;
}

async function read() {
  for (;;) {
    try {
      [map, clusters] = await Promise.all([api("/v1/map"), api("/v1/clusters").then((answer) => answer.items)]);
      break;
    } catch (error) {
      if (error.status !== 503) throw error;
      status.textContent = error.message;
      await pause(1000 * Math.max(1, error.retryAfter ?? 1));
    }
  }
  rowOf = new Map(map.ids.map((id, place) => [id, place]));
  const missing = map.total - map.ids.length;
  status.textContent = `${count(map.ids.length, "track")} in ${count(clusters.length, "cluster")}${missing ? `; ${missing} of unknown sound are not here` : ""}. The like lie near the like.`;
  plane.show(map);
  paint();
}

function paint() {
  if (!map) return;
  const { groups, legend, keyOf } = coloursOf(map, by);
  const faint = (place) => (found ? !found.has(place) : chosen !== null && keyOf(place) !== chosen);
  const labels = by === "cluster" ? clusters.map((cluster, place) => ({ x: cluster.x, y: cluster.y, text: cluster.name ?? String(place + 1) })) : [];
  plane.paint({ groups, faint, labels, ...inks() });
  const choose = (key) => {
    chosen = chosen === key ? null : key;
    paint();
  };
  byId("legend").replaceChildren(legendOf({ by, legend, clusters, chosen, choose, onnamed, onplaylist }));
}

function onnamed(place, cluster) {
  clusters[place] = cluster;
  paint();
}

async function onplaylist(cluster) {
  showView("playlist", true);
  await fillFromCluster(cluster);
}

async function trackAt(place) {
  const id = map.ids[place];
  if (!tracks.has(id)) tracks.set(id, api(trackPath(id)).then((answer) => answer.track));
  try {
    return await tracks.get(id);
  } catch (error) {
    tracks.delete(id);
    throw error;
  }
}

let pointed = -1;
async function point(place) {
  pointed = place;
  if (place < 0) return;
  await pause(60);
  if (pointed !== place) return;
  try {
    const track = await trackAt(place);
    if (pointed === place) showCard(track, place);
  } catch (error) {
    status.textContent = error.message;
  }
}

async function pick(place) {
  try {
    const track = await trackAt(place);
    showCard(track, place);
    toggleTrack(track);
  } catch (error) {
    status.textContent = error.message;
  }
}

function showCard(track, place) {
  const cluster = clusters[map.cluster[place]];
  const tempo = map.tempo[place] ? `${map.tempo[place]} BPM` : null;
  card.replaceChildren(
    h("span", { className: "art" }, cover(track), playButton(track)),
    h(
      "div",
      { className: "text" },
      h("button", { type: "button", className: "title", onclick: () => openTrack(track), "data-open": track.id }, h("span", { dir: "auto" }, track.title)),
      h("p", { className: "byline", dir: "auto" }, [byLine(track), tempo, cluster?.name ?? `cluster ${map.cluster[place] + 1}`, track.duration_s && clock(track.duration_s)].filter(Boolean).join(" · ")),
    ),
    addButton(track),
  );
  byId("map-said").textContent = `${track.title}, ${byLine(track)}`;
}

async function search() {
  const query = byId("map-search").value.trim();
  if (!query) {
    found = null;
    paint();
    return;
  }
  try {
    await load();
    const page = await findTracks(`/v1/tracks?limit=${FOUND}&query=${encodeURIComponent(query)}`);
    const places = page.items.map((track) => rowOf.get(track.id)).filter((place) => place !== undefined);
    page.items.forEach((track) => tracks.set(track.id, Promise.resolve(track)));
    found = new Set(places);
    status.textContent = page.total ? `${count(page.total, "track")} found${page.total > FOUND ? `, the first ${FOUND} are marked` : ""}.` : `Nothing is called “${query}”.`;
    paint();
    if (places.length === 1) {
      plane.go(places[0]);
      point(places[0]);
    }
  } catch (error) {
    if (error.name !== "AbortError") status.textContent = error.message;
  }
}

let typing = 0;
byId("map-search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(search, WAIT_MS);
});
document.querySelectorAll("[data-by]").forEach((button) =>
  button.addEventListener("click", () => {
    by = button.dataset.by;
    chosen = null;
    document.querySelectorAll("[data-by]").forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
    paint();
  }),
);
byId("zoom-in").addEventListener("click", () => plane.zoom(1.5));
byId("zoom-out").addEventListener("click", () => plane.zoom(1 / 1.5));
byId("zoom-whole").addEventListener("click", () => plane.whole());
document.addEventListener("themechange", paint);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);

/** Where a track is on the canvas, in CSS pixels. */
export const placeOf = (id) => plane.where(rowOf.get(id));
