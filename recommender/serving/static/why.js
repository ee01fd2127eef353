// An explanation, drawn: what plays, sound and popularity added, and from which tracks.

import { clock, count, h } from "./dom.js";
import { play } from "./player.js";

const PARTS = { factors: "plays", neighbours: "played together", content: "sound", popularity: "popularity", context: "anything else", distaste: "held back" };

const THREE = [["listeners", "cf"], ["sound", "content"], ["popularity", "popularity"]];

/**
 * The three parts of a reason as a bar and in words; empty at first, so that nothing moves when they come.
 * @returns {{element: Element, fill: (shares: {listeners: number, sound: number, popularity: number}) => void}}
 */
export function shareBar() {
  const parts = THREE.map(([, kind]) => h("span", { className: `part ${kind}` }));
  const words = h("span", { className: "share-words" }, "\u00a0");
  const element = h("p", { className: "shares" }, h("span", { className: "share-bar", "aria-hidden": "true" }, parts), words);
  const fill = (shares) => {
    THREE.forEach(([name], place) => parts[place].style.setProperty("--share", shares[name]));
    words.textContent = THREE.map(([name]) => `${name} ${Math.round(100 * shares[name])} %`).join(" · ");
  };
  return { element, fill };
}

/** An explanation, drawn. */
export function explanation(answer, openTrack) {
  const widest = Math.max(...Object.values(answer.parts).map(Math.abs), 1e-9);
  const shown = Object.entries(answer.parts).filter(([name, value]) => name !== "distaste" || Math.abs(value) >= 0.005);
  const bars = shown.map(([name, value]) => bar(PARTS[name] ?? name, name === "factors" || name === "neighbours" ? "cf" : name, value, widest));
  const percent = (share) => `${Math.round(100 * share)} %`;
  return h(
    "div",
    {},
    h("div", { className: "bars" }, bars),
    h(
      "p",
      {},
      `With ${count(answer.evidence.listeners, "listener")}, its plays weigh ${percent(answer.play_weight)} and its sound ${percent(1 - answer.play_weight)}. `,
      answer.taste_weight > 0.995
        ? `With ${count(answer.user_plays, "track")} played, this listener's own taste decides.`
        : `With ${count(answer.user_plays, "track")} played, this listener's own taste weighs ${percent(answer.taste_weight)}, popularity the rest.`,
    ),
    answer.sounds_like.length ? h("h4", {}, "It sounds like what they played") : null,
    answer.sounds_like.length ? h("ul", {}, answer.sounds_like.map((alike) => alikeItem(answer.track, alike, openTrack))) : null,
    answer.held_back_because ? h("p", { dir: "auto" }, `${answer.held_back_because[0].toUpperCase()}${answer.held_back_because.slice(1)}.`) : null,
    answer.from_plays.length ? h("h4", {}, "These plays pulled it up") : null,
    answer.from_plays.length ? h("ul", {}, answer.from_plays.map((pull) => h("li", {}, name(pull.track, openTrack)))) : null,
  );
}

function bar(label, kind, value, widest) {
  const fill = h("span", { className: `fill ${kind}${value < 0 ? " against" : ""}` });
  fill.style.setProperty("--share", `${(50 * Math.abs(value)) / widest}%`);
  return h(
    "div",
    { className: "bar" },
    h("span", { className: "bar-label" }, label),
    h("span", { className: "track-line", "aria-hidden": "true" }, fill),
    h("span", { className: "bar-value" }, value.toFixed(2).replace("-", "−")),
  );
}

function name(track, openTrack) {
  return h("button", { type: "button", className: "inline", dir: "auto", onclick: () => openTrack(track) }, `${track.title} · ${track.artist}`);
}

function alikeItem(subject, alike, openTrack) {
  const item = h("li", {}, name(alike.track, openTrack));
  if (alike.here_start_s !== null) {
    item.append(" ", moment(subject, alike.here_start_s, "this one"), " ≈ ", moment(alike.track, alike.there_start_s, "that one"));
  }
  return item;
}

/** A button that plays a track from some second on. */
export function moment(track, seconds, label) {
  return h(
    "button",
    {
      type: "button",
      className: "moment",
      disabled: !track.playable,
      "aria-label": `Play ${track.title} from ${clock(seconds)}`,
      title: `Play ${track.title} from ${clock(seconds)}`,
      onclick: () => play(track, seconds),
    },
    `▸ ${clock(seconds)} ${label}`,
  );
}
