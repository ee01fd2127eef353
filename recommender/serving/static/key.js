// The key goes to the server once, in a header; the server makes a cookie of it that no script can read.

import { byId } from "./dom.js";

let asking = null;

/**
 * Ask for a key until the server takes it; several who ask at once share one dialog.
 * @param {string} why what the server said
 * @returns {Promise<boolean>} whether there is a key now
 */
export function askForKey(why) {
  asking ??= ask(why).finally(() => {
    asking = null;
  });
  return asking;
}

function ask(why) {
  const dialog = byId("key-dialog");
  if (!dialog) return Promise.resolve(false);
  byId("key-status").textContent = why;
  byId("key").value = "";
  dialog.showModal();
  return new Promise((done) => {
    const finish = (given) => {
      byId("key-form").removeEventListener("submit", submit);
      dialog.removeEventListener("cancel", cancel);
      dialog.close();
      done(given);
    };
    const cancel = () => finish(false);
    const submit = async (event) => {
      event.preventDefault();
      const refused = await logIn(byId("key").value.trim());
      byId("key").value = "";
      if (refused) byId("key-status").textContent = refused;
      else finish(true);
    };
    byId("key-form").addEventListener("submit", submit);
    dialog.addEventListener("cancel", cancel);
  });
}

async function logIn(key) {
  if (!/^[\x21-\x7e]+$/.test(key)) return "This is no API key; it looks like fl_…";
  try {
    const response = await fetch("/v1/session", { method: "POST", headers: { Authorization: `Bearer ${key}` } });
    if (response.ok) return "";
    return (await response.json().catch(() => ({}))).detail || `The server answered ${response.status}.`;
  } catch {
    return "The server cannot be reached; is it running?";
  }
}
