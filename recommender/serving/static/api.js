// Requests to the API. An error is always a problem document: its detail says what to do next.

export async function api(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { headers: { Accept: "application/json" }, ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server cannot be reached; is it running?");
  }
  const body = await response.json().catch((error) => {
    if (error.name === "AbortError" || response.ok) throw error;
    return {};
  });
  if (response.status === 401) location.replace("/login");
  if (!response.ok) {
    const error = new Error(body.detail || `The server answered ${response.status}.`);
    error.status = response.status;
    throw error;
  }
  return body;
}

export function post(path, value) {
  return api(path, {
    method: "POST",
    headers: { Accept: "application/json", "Content-Type": "application/json" },
    body: JSON.stringify(value),
  });
}

export const trackPath = (id, rest = "") => `/v1/tracks/${encodeURIComponent(id)}${rest}`;
export const userPath = (id, rest = "") => `/v1/users/${encodeURIComponent(id)}${rest}`;

// The newest answer wins: a slow earlier request must not overwrite a later one.
export function latest() {
  let controller = null;
  return (path) => {
    controller?.abort();
    controller = new AbortController();
    return api(path, { signal: controller.signal });
  };
}
