// The playlist: built from seeds and rules, then changed by hand, played, taken along as a file.

import { api, latest, problem, send } from "./api.js";
import { combobox } from "./combo.js";
import { byId, byLine, count, h, toast } from "./dom.js";
import { suggestUsers } from "./listener.js";
import { play } from "./player.js";
import { showList, takeList } from "./playlist.js";
import { whenShown } from "./views.js";

const form = byId("build");
const status = byId("playlist-status");
const findTracks = latest();
const ALL_SOFT = ["energy", "key", "tempo", "year", "genre", "max_per_artist", "recent", "album_spacing", "artist_spacing"];
let seeds = [];
let varied = 0;

/** @param {{onopen: (track: object) => void}} what when a title is clicked */
export function startBuilder({ onopen }) {
  takeList({ onopen, onchange: tell });
  whenShown("playlist", () => loadClusters().catch((error) => toast(error.message)));
  byId("build-key").append(...[..."AB"].flatMap((ring) => Array.from({ length: 12 }, (_, hour) => h("option", {}, `${hour + 1}${ring}`))));
  showSeeds();
}

/** Make a playlist of a cluster of the map. */
export async function fillFromCluster(cluster) {
  seeds = [];
  showSeeds();
  await loadClusters();
  byId("build-cluster").value = cluster.id;
  byId("playlist-name").value = cluster.name ?? cluster.label;
  await build();
}

async function loadClusters() {
  const select = byId("build-cluster");
  const before = select.value;
  const { items } = await api("/v1/clusters");
  select.replaceChildren(h("option", { value: "" }, "The whole library"), ...items.map((each, place) => h("option", { value: each.id }, each.name ?? `${place + 1} · ${each.label}`)));
  select.value = items.some((each) => each.id === before) ? before : "";
}

async function suggest(query) {
  const [tracks, users] = await Promise.all([findTracks(`/v1/tracks?limit=5&order=${query ? "relevance" : "popular"}&query=${encodeURIComponent(query)}`), suggestUsers(query)]);
  const known = users.filter((user) => user.note !== "a new listener").slice(0, 3);
  return [
    ...tracks.items.map((track) => ({ value: { kind: "tracks", id: track.id, label: `${track.title} · ${byLine(track)}` }, label: track.title, note: byLine(track) })),
    ...known.map((user) => ({ value: { kind: "users", id: user.value, label: user.label }, label: user.label, note: "listener" })),
  ];
}

function addSeed(seed) {
  if (!seeds.some((each) => each.id === seed.id && each.kind === seed.kind)) seeds.push(seed);
  showSeeds();
}

function showSeeds() {
  byId("seeds").replaceChildren(
    ...seeds.map((seed) =>
      h("li", {}, h("span", { dir: "auto" }, seed.label), h("button", {
        type: "button",
        className: "quiet",
        "aria-label": `Leave out ${seed.label}`,
        onclick: () => {
          seeds = seeds.filter((each) => each !== seed);
          showSeeds();
          byId("seed").focus();
        },
      }, "✕")),
    ),
  );
}

function request() {
  const fields = new FormData(form);
  const number = (name) => (fields.get(name) ? Number(fields.get(name)) : undefined);
  const asked = {
    tracks: seeds.filter((seed) => seed.kind === "tracks").map((seed) => seed.id),
    users: seeds.filter((seed) => seed.kind === "users").map((seed) => seed.id),
    [fields.get("unit")]: number("amount"),
    max_per_artist: number("cap") ?? null,
    tempo_from: number("tempo_from"),
    tempo_to: number("tempo_to"),
    year_from: number("year_from"),
    year_to: number("year_to"),
    not_played_days: number("not_played_days"),
    variety: Number(fields.get("variety")),
    arc: fields.get("arc"),
    ordered: fields.has("ordered"),
    unheard: fields.has("unheard"),
    seed: varied,
  };
  if (fields.get("cluster")) asked.cluster = fields.get("cluster");
  if (fields.get("key")) asked.key = [fields.get("key")];
  if (fields.get("energy")) [asked.energy_from, asked.energy_to] = fields.get("energy").split("-").map(Number);
  asked.genre = fields.get("genre").split(",").map((each) => each.trim()).filter(Boolean);
  if (fields.has("give_way")) asked.soft = ALL_SOFT;
  return asked;
}

async function build() {
  status.textContent = "Choosing…";
  try {
    const answer = await send("/v1/playlists", request());
    if (!byId("playlist-name").value) byId("playlist-name").value = answer.name === "Playlist" ? "" : answer.name;
    showList(answer.tracks);
    byId("relaxed").replaceChildren(...answer.relaxed_rules.map((rule) => h("li", {}, rule)));
    byId("relaxed-box").hidden = !answer.relaxed_rules.length;
    byId("relaxed-title").textContent = answer.relaxed.length ? "What the rules had to give up:" : "What the rules made of it:";
    byId("shares").textContent = answer.shares.map((share) => `${share.user}: suits better than ${Math.round(100 * share.fit)} % of the library`).join(" · ");
    byId("shares").hidden = !answer.shares.length;
  } catch (error) {
    status.textContent = error.message;
  }
}

function tell(tracks) {
  const minutes = tracks.reduce((sum, track) => sum + (track.duration_s ?? 0), 0) / 60;
  status.textContent = tracks.length ? `${count(tracks.length, "track")}, ${Math.round(minutes)} min` : "Empty: build one, or press + beside any track.";
  byId("tab-count").textContent = tracks.length || "";
  document.querySelectorAll("[data-needs-list]").forEach((button) => {
    button.disabled = !tracks.length;
  });
}

async function download(format) {
  const tracks = showList().map((track) => track.id);
  const name = byId("playlist-name").value.trim();
  try {
    const response = await fetch(`/v1/playlists?format=${format}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ tracks, name, as_given: true }),
    });
    if (!response.ok) throw await problem(response);
    const link = h("a", { href: URL.createObjectURL(await response.blob()), download: `${name || "playlist"}.${format}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  } catch (error) {
    toast(error.message);
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  varied = 0;
  build();
});
byId("vary").addEventListener("click", () => {
  varied += 1;
  build();
});
byId("play-all").addEventListener("click", () => {
  const tracks = showList();
  const first = tracks.find((track) => track.playable);
  if (first) play(first, 0, tracks);
});
document.querySelectorAll("[data-format]").forEach((button) => button.addEventListener("click", () => download(button.dataset.format)));
combobox(byId("seed"), byId("seed-options"), { find: suggest, pick: addSeed, resting: () => "" });
