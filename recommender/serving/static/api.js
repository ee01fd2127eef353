// Requests to the API. An error is always a problem document: its detail says what to do next.

import { askForKey } from "./key.js";

/** @typedef {Error & {status?: number}} ApiError */

/**
 * Ask the API; where it wants a key, ask the person for one, then again.
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<any>} the body; rejects with an ApiError
 */
export async function api(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { headers: { Accept: "application/json" }, ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server cannot be reached; is it running?");
  }
  if (response.status === 401 && (await askForKey(await detailOf(response)))) return api(path, options);
  if (!response.ok) throw await problem(response);
  return response.status === 204 ? null : response.json();
}

/**
 * Make an error of an answer that is one.
 * @param {Response} response
 * @returns {Promise<ApiError>}
 */
export async function problem(response) {
  const error = new Error((await detailOf(response)) || `The server answered ${response.status}.`);
  error.status = response.status;
  error.retryAfter = Number(response.headers.get("Retry-After")) || 0;
  return error;
}

const detailOf = (response) => response.clone().json().then((body) => body.detail ?? "", () => "");

/**
 * Send JSON.
 * @param {string} path
 * @param {any} value
 * @param {"POST" | "PUT"} [method]
 */
export function send(path, value, method = "POST") {
  return api(path, {
    method,
    headers: { Accept: "application/json", "Content-Type": "application/json" },
    body: JSON.stringify(value),
  });
}

/** The address of a track, or of something about it. */
export const trackPath = (id, rest = "") => `/v1/tracks/${encodeURIComponent(id)}${rest}`;

/** The address of a user, or of something about them. */
export const userPath = (id, rest = "") => `/v1/users/${encodeURIComponent(id)}${rest}`;

/** Make an `api` of which the newest answer wins: a slow earlier request must not overwrite a later one. */
export function latest() {
  let controller = null;
  return (path) => {
    controller?.abort();
    controller = new AbortController();
    return api(path, { signal: controller.signal });
  };
}

/** Wait some milliseconds. */
export const pause = (ms) => new Promise((done) => setTimeout(done, ms));
