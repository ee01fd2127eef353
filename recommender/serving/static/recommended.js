// One place of a list of recommendations: its reason in three parts, why, and what the listener says.

import { api, userPath } from "./api.js";
import { count, h } from "./dom.js";
import { evidence, knownBadge, sourceBadge, trackRow } from "./rows.js";
import { explanation, shareBar } from "./why.js";

const VERDICTS = [["love", "Love", "♥"], ["skip", "Skip", "↷"], ["hate", "Hate", "✕"]];

/**
 * @param {object} item a place, as the API gives it
 * @param {{move?: number | null, user: () => string, open: (track: object) => void, say: (track: object, verdict: string) => void}} how
 *   `move`: places it went up; null if it came in, undefined if it stayed
 */
export function recommendedRow(item, { move, user, open, say }) {
  const track = item.track;
  const why = h("div", { className: "why", hidden: true });
  const shares = shareBar();
  const ask = h(
    "button",
    { type: "button", className: "quiet", "aria-expanded": "false", "aria-label": `Why ${track.title}?`, onclick: () => explain(track, ask, why, user(), open) },
    "Why?",
  );
  const row = trackRow(track, {
    lead: h("span", { className: "rank" }, String(item.rank), moved(move)),
    details: [
      h("p", { className: "reason", dir: "auto" }, item.reason),
      shares.element,
      h("p", { className: "marks" }, sourceBadge(item.source), item.explored ? h("span", { className: "badge", title: "It may be better than is known" }, "a try") : null, evidence(item.evidence.listeners), knownBadge(item.confidence), ask),
      why,
    ],
    actions: VERDICTS.map(([verdict, label, sign]) => h("button", { type: "button", className: `quiet verdict-${verdict}`, title: label, "aria-label": `${label} ${track.title}`, onclick: () => say(track, verdict) }, sign)),
    onopen: open,
    className: move === undefined ? "" : "changed",
  });
  row.fill = shares.fill;
  return row;
}

function moved(by) {
  if (by === undefined) return null;
  if (by === null) return h("span", { className: "move in" }, "new");
  const steps = Math.abs(by);
  const way = by > 0 ? "up" : "down";
  return h("span", { className: `move ${way}`, title: `${way} ${count(steps, "place")}` }, h("span", { "aria-hidden": "true" }, `${by > 0 ? "▲" : "▼"}${steps}`), h("span", { className: "visually-hidden" }, `${way} ${count(steps, "place")}`));
}

async function explain(track, button, box, user, open) {
  const opened = button.getAttribute("aria-expanded") === "true";
  button.setAttribute("aria-expanded", String(!opened));
  box.hidden = opened;
  if (opened) return;
  try {
    box.replaceChildren(explanation(await api(userPath(user, `/explanations/${encodeURIComponent(track.id)}`)), open));
  } catch (error) {
    box.textContent = error.status === 404 ? "Nothing is known of this listener yet; popularity alone decides." : error.message;
  }
}
