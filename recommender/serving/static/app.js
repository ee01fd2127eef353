// The page: what the parts tell each other.

import { api, trackPath } from "./api.js";
import { open, startAlike } from "./alike.js";
import { startBuilder } from "./builder.js";
import { byId, toast } from "./dom.js";
import { allowDrop, startDrop } from "./drop.js";
import { showFound, showShelf, startFind } from "./find.js";
import { chooseListener, say, startListener } from "./listener.js";
import { forgetMap, startMap } from "./map.js";
import { showModel } from "./model.js";
import { playing } from "./player.js";
import { evidence } from "./rows.js";
import { showView } from "./views.js";

async function afterListen(track) {
  await showModel();
  const answer = await api(trackPath(track.id));
  const marks = ".marks > .evidence, .marks > .badge.new";
  document.querySelectorAll(`[data-track="${CSS.escape(track.id)}"]`).forEach((row) => row.querySelectorAll(marks).forEach((mark) => mark.replaceWith(evidence(answer.track.listeners))));
}

async function afterUpload(track) {
  forgetMap();
  await Promise.all([open(track), showModel(), showFound()]);
}

async function listenTo(user) {
  showView("listener", true);
  await chooseListener(user);
}

startFind(open);
startAlike(listenTo);
startListener({ onopen: open, onchange: (track) => afterListen(track).catch((error) => toast(error.message)) });
startDrop(afterUpload);
startMap({ onopen: open });
startBuilder({ onopen: open });

byId("played").addEventListener("click", () => playing() && say(playing(), "play"));
byId("skipped").addEventListener("click", () => playing() && say(playing(), "skip"));
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, textarea, select, dialog")) return;
  event.preventDefault();
  const field = document.body.dataset.view === "map" ? "map-search" : "search";
  if (field === "search") showView("find");
  byId(field).focus();
});

// somebody in the middle: a list that rests on very many plays hardly moves with one more
async function someone(users) {
  const page = await api(`/v1/users?limit=1&offset=${Math.floor(users / 2)}`).catch(() => null);
  return page?.items[0]?.id;
}

async function start() {
  const state = new URLSearchParams(location.hash.slice(1));
  try {
    const session = await api("/v1/session");
    const [first, facts] = await Promise.all([showShelf(), showModel()]);
    allowDrop(facts);
    const wanted = state.get("track");
    const track = wanted ? (await api(trackPath(wanted)).catch(() => null))?.track ?? first : first;
    const user = state.get("user") || session.user || (await someone(facts.users));
    await Promise.all([track ? open(track) : null, user ? chooseListener(user) : null]);
    showView(state.get("view") || "find");
  } catch (error) {
    byId("facts").textContent = error.message;
  }
  document.body.dataset.ready = "yes";
}

start();
