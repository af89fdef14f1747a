// Talks to the REST API: JSON, streams, files, typed errors, the key. Knows no page.

import { events } from "./events.js";

const KEY = "gradctrl-api-key"; // of sessionStorage: this tab, until it is closed

/** A refusal of the server; `field` and `allowed` where they say something. */
export class ApiError extends Error {
  constructor({ code, message, field = null, allowed = null }) {
    super(message);
    Object.assign(this, { code, field, allowed });
  }
}

export function apiKey() {
  return sessionStorage.getItem(KEY);
}

/** Use a key from now on; an empty one is none. */
export function useApiKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

/** The cards of all served models. */
export async function servedModels() {
  const answer = await call("v1/models", { method: "GET" });
  return (await answer.json()).models;
}

/** Events of POST /v1/edit/stream: {name, data}; ends early when `signal` aborts. */
export async function* editStream(body, signal) {
  const answer = await post("v1/edit/stream", body, signal);
  for await (const event of events(answer.body)) {
    if (event.name === "error") throw new ApiError(event.data.error);
    yield event;
  }
}

/** The file that POST /v1/edit/image answers. */
export async function editedFile(body) {
  return (await post("v1/edit/image", body)).blob();
}

function post(path, body, signal) {
  const headers = { "content-type": "application/json" };
  return call(path, { method: "POST", headers, body: JSON.stringify(body), signal });
}

async function call(path, options) {
  const key = apiKey();
  const headers = { ...options.headers, ...(key ? { authorization: `Bearer ${key}` } : {}) };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError({ code: "unreachable", message: "The server does not answer." });
  }
  if (answer.ok) return answer;
  throw new ApiError(await refusal(answer));
}

/** The error of the body, also of answers that no handler wrote (a proxy's, for instance). */
async function refusal(answer) {
  const unnamed = { code: "internal", message: `The server answered ${answer.status}.` };
  const body = await answer.json().catch(() => null);
  return body?.error ?? unnamed;
}
