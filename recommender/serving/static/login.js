// The key goes to the server once, in a header; the server makes a cookie of it that no script can read.

import { byId } from "./dom.js";

byId("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const status = byId("login-status");
  const key = byId("key").value.trim();
  if (!/^[\x21-\x7e]+$/.test(key)) {
    status.textContent = "This is no API key; it looks like fl_…";
    return;
  }
  try {
    const response = await fetch("/v1/session", { method: "POST", headers: { Authorization: `Bearer ${key}` } });
    if (response.ok) {
      location.replace("/");
      return;
    }
    status.textContent = (await response.json()).detail;
  } catch {
    status.textContent = "The server cannot be reached; is it running?";
  }
});
