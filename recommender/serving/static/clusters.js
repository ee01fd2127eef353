// The legend of the map; a cluster in it can be named, and becomes a playlist.

import { send } from "./api.js";
import { count, h, toast } from "./dom.js";

const SURE = 0.75;

/**
 * @param {{by: string, legend: object[], clusters: object[], chosen: number | null, choose: (key: number) => void,
 *   onnamed: (place: number, cluster: object) => void, onplaylist: (cluster: object) => void}} what
 */
export function legendOf({ by, legend, clusters, chosen, choose, onnamed, onplaylist }) {
  if (by === "tempo") return tempoLegend(legend);
  const rows = legend.map((entry) => {
    const cluster = by === "cluster" ? clusters[entry.key] : null;
    const row = h("li", { className: `entry${chosen === entry.key ? " chosen" : ""}` });
    row.append(face(entry, cluster, chosen === entry.key, choose), ...(cluster ? tools(cluster, entry.key, row, onnamed, onplaylist) : []));
    return row;
  });
  return h("ul", {}, rows);
}

function dot(colour) {
  const element = h("span", { className: "dot", "aria-hidden": "true" });
  element.style.background = colour;
  return element;
}

function face(entry, cluster, pressed, choose) {
  const name = cluster ? (cluster.name ?? `${entry.key + 1} · ${cluster.label}`) : entry.text;
  const note = cluster ? [count(entry.size, "track"), cluster.traits.replaceAll(/ \([^)]*\)/g, "") || (cluster.tempo_bpm && `${Math.round(cluster.tempo_bpm)} BPM`), cluster.stability < SURE ? "loose" : null].filter(Boolean).join(" · ") : count(entry.size, "track");
  return h(
    "button",
    { type: "button", className: "key", "aria-pressed": String(pressed), onclick: () => choose(entry.key), title: cluster ? `${cluster.traits ? `${cluster.traits}. ` : ""}Found again in a part of the tracks: ${Math.round(100 * cluster.stability)} %` : null },
    dot(entry.colour),
    h("span", { className: "key-name", dir: "auto" }, name),
    h("span", { className: "note" }, note),
  );
}

function tools(cluster, place, row, onnamed, onplaylist) {
  const called = cluster.name ?? `cluster ${place + 1}`;
  return [
    h("button", { type: "button", className: "quiet", "aria-label": `Name ${called}`, onclick: () => rename(cluster, place, row, onnamed) }, "Name"),
    h("button", { type: "button", className: "quiet", "aria-label": `Make a playlist of ${called}`, onclick: () => onplaylist(cluster) }, "Playlist"),
  ];
}

function rename(cluster, place, row, onnamed) {
  const input = h("input", { type: "text", maxlength: "80", value: cluster.name ?? "", "aria-label": `Name of cluster ${place + 1}`, placeholder: cluster.label, spellcheck: "false" });
  const done = async (event) => {
    event.preventDefault();
    try {
      const answer = await send(`/v1/clusters/${encodeURIComponent(cluster.id)}`, { name: input.value.trim() }, "PUT");
      toast(answer.cluster.name ? `It is called “${answer.cluster.name}” now, after the next training too.` : "Its name is taken away.");
      onnamed(place, answer.cluster);
    } catch (error) {
      toast(error.message);
    }
  };
  const form = h("form", { className: "naming", onsubmit: done, onkeydown: (event) => event.key === "Escape" && onnamed(place, cluster) }, input, h("button", { type: "submit", className: "quiet" }, "Save"));
  row.replaceChildren(form);
  input.focus();
  input.select();
}

function tempoLegend(legend) {
  const known = legend.filter((entry) => entry.key >= 0);
  const unknown = legend.find((entry) => entry.key < 0);
  const steps = known.map((entry) => {
    const step = h("span", { className: "step", title: `${entry.text}: ${count(entry.size, "track")}` });
    step.style.background = entry.colour;
    return step;
  });
  return h(
    "div",
    { className: "ramp" },
    h("div", { className: "steps", "aria-hidden": "true" }, steps),
    h("p", { className: "note ends" }, h("span", {}, `${known[0]?.text ?? "–"} BPM`), h("span", {}, known.at(-1)?.text ?? "–")),
    unknown ? h("p", { className: "note" }, dot(unknown.colour), ` ${count(unknown.size, "track")} of unknown tempo`) : null,
  );
}
