// What to take away: a link, code, files. Knows requests, but no view of them.

import { apiKey, editedFile } from "./api.js";
import { byId, element } from "./elements.js";
import { curlOf, editBody, imageBody, pythonOf } from "./requests.js";

const TOAST_MS = 2600;

/** `now()` is {state, card}; `fail(error)` shows what went wrong. */
export function connectActions(now, fail) {
  byId("share").addEventListener("click", async () => {
    const isPhoto = now().state.source.image !== undefined;
    await copy(location.href);
    toast(isPhoto ? "Link copied. The photo is not part of it." : "Link copied.");
  });
  byId("save-png").addEventListener("click", (event) => save(event.currentTarget, false));
  byId("save-animation").addEventListener("click", (event) => save(event.currentTarget, true));
  connectCode(now);

  async function save(button, animation) {
    const { state, card } = now();
    button.disabled = true;
    try {
      const file = await editedFile(imageBody(state, card, animation));
      download(file, `${fileName(state)}.${animation ? "webp" : "png"}`);
    } catch (error) {
      fail(error);
    } finally {
      button.disabled = false;
      button.focus();
    }
  }
}

function connectCode(now) {
  const dialog = byId("code");
  const address = new URL(".", document.baseURI).href.replace(/\/$/, "");
  let language = "curl";

  function fill() {
    const { state, card } = now();
    const body = editBody(state, card);
    const write = language === "curl" ? curlOf : pythonOf;
    byId("code-text").textContent = write(body, address, Boolean(apiKey()));
    byId("code-note").textContent =
      language === "curl" ? "What is left out takes the model's defaults." : "pip install gradctrl-client";
  }
  byId("show-code").addEventListener("click", () => {
    fill();
    dialog.showModal();
  });
  dialog.addEventListener("change", (event) => {
    language = event.target.value;
    fill();
  });
  byId("code-copy").addEventListener("click", async () => {
    await copy(byId("code-text").textContent, dialog);
    dialog.close();
    toast("Code copied.");
  });
}

/** Copy a text. Without https a browser has no clipboard API, but still the old command. */
async function copy(text, place = document.body) {
  const copied = await navigator.clipboard?.writeText(text).then(
    () => true,
    () => false,
  );
  if (copied) return;
  const area = element("textarea", { value: text, className: "unseen" });
  place.append(area); // a modal dialog lets nothing outside be selected
  area.select();
  document.execCommand("copy");
  area.remove();
}

function download(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), TOAST_MS);
}

function fileName(state) {
  const start = state.source.seed ?? "photo";
  return [state.model, start, ...state.edits.map((edit) => edit.target)].join("-");
}

let toastTimer = 0;

/** A line that goes away by itself. */
export function toast(text) {
  const place = byId("toast");
  place.textContent = text;
  place.classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => place.classList.remove("shown"), TOAST_MS);
}
