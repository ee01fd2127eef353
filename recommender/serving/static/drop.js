// A file that is dropped anywhere is heard, and shown with what it resembles and who would like it.

import { api, pause, problem } from "./api.js";
import { byId } from "./dom.js";

const POLL_MS = 700;
const FIRST_POLLS_MS = 250;
const status = byId("drop-status");
const bar = byId("drop-progress");
let facts = null;
let heard = async () => {};
let queue = Promise.resolve();

/**
 * @param {(track: object) => Promise<void>} onheard when a file has its place among the tracks
 */
export function startDrop(onheard) {
  heard = onheard;
}

/** Say whether files can be heard, by GET /v1/model. */
export function allowDrop(model) {
  facts = model;
  byId("drop").classList.toggle("unable", !model.can_hear_uploads);
  byId("file").disabled = !model.can_hear_uploads;
  if (!model.can_hear_uploads) status.textContent = "This model has no ears: it was trained without audio, so files cannot be heard.";
}

function take(files) {
  for (const file of files) queue = queue.then(() => upload(file));
}

async function upload(file) {
  if (!facts?.can_hear_uploads) return;
  if (file.size > facts.max_upload_bytes) {
    status.textContent = `${file.name} is too large: at most ${Math.floor(facts.max_upload_bytes / 2 ** 20)} MiB.`;
    return;
  }
  const began = performance.now();
  show(`Sending ${file.name}…`, 0);
  try {
    const answer = await finished(await sent(file), file);
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    const known = answer.created === false ? "This file is known already." : `Heard in ${seconds} s; it can be recommended now.`;
    show([known, ...(answer.warnings ?? [])].join(" "), null);
    await heard(answer.track);
  } catch (error) {
    show(`${file.name}: ${error.message}`, null);
  }
}

// fetch tells nothing of how far an upload is
function sent(file) {
  const form = new FormData();
  form.append("file", file);
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/v1/tracks");
    request.setRequestHeader("Accept", "application/json");
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) show(event.loaded < event.total ? `Sending ${file.name}…` : `Listening to ${file.name}…`, event.loaded / event.total);
    });
    request.addEventListener("error", () => fail(new Error("The server cannot be reached; is it running?")));
    request.addEventListener("load", () => {
      const headers = new Headers();
      for (const name of ["Location", "Retry-After", "Content-Type"]) {
        const value = request.getResponseHeader(name);
        if (value) headers.set(name, value);
      }
      done(new Response(request.responseText, { status: request.status, headers }));
    });
    request.send(form);
  });
}

async function finished(response, file) {
  if (!response.ok) throw await problem(response);
  const body = await response.json();
  if (response.status !== 202) return body;
  const place = response.headers.get("Location");
  for (let asked = 0; ; asked += 1) {
    show(`Listening to ${file.name}…`, undefined);
    await pause(asked < 4 ? FIRST_POLLS_MS : POLL_MS);
    const upload = await api(place);
    if (upload.status === "failed") throw new Error(upload.reason || "the file could not be heard");
    if (upload.track) return upload;
  }
}

// share: 0 to 1, undefined while nobody knows, null when there is nothing to wait for
function show(text, share) {
  if (status.textContent !== text) status.textContent = text;
  bar.hidden = share === null;
  if (share === undefined || share === 1) bar.removeAttribute("value");
  else if (share !== null) bar.value = share;
}

byId("file").addEventListener("change", (event) => {
  take([...event.target.files]);
  event.target.value = "";
});
byId("drop").addEventListener("submit", (event) => event.preventDefault());
const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
let over = 0;
for (const [kind, change] of [["dragenter", 1], ["dragleave", -1]]) {
  document.addEventListener(kind, (event) => {
    if (!holdsFiles(event)) return;
    over = Math.max(0, over + change);
    document.body.classList.toggle("dragging", over > 0);
  });
}
document.addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
document.addEventListener("drop", (event) => {
  over = 0;
  document.body.classList.remove("dragging");
  if (!holdsFiles(event)) return;
  event.preventDefault();
  take([...event.dataTransfer.files]);
});
