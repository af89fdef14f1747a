// Where an edit starts: model, seed, photo, truncation. Knows no server.

import { byId, element, plain } from "./elements.js";
import { preview, readPhoto } from "./photo.js";
import { slider } from "./slider.js";
import { onModel } from "./state.js";

const SHUFFLED_BELOW = 100_000; // short enough to read out

/** `change(update, waitMs)` takes a function from state to state. */
export function createSource(models, change) {
  const model = byId("model");
  model.append(...models.map((card) => element("option", { value: card.name }, card.name)));
  model.disabled = false;
  const chosen = () => models.find((card) => card.name === model.value);
  model.addEventListener("change", () => change((state) => onModel(state, chosen())));
  connectSeed(change);
  connectPhoto(change);

  return {
    show(state, card) {
      const { seed, image, name } = state.source;
      model.value = state.model;
      if (seed !== undefined && byId("seed").value !== String(seed)) byId("seed").value = seed;
      byId("seeded").hidden = image !== undefined;
      byId("photo").hidden = image === undefined;
      byId("photo-name").textContent = name ?? "";
      byId("class-field").hidden = card.c_dim === 0;
      byId("class-label").max = card.c_dim - 1;
      byId("class-label").value = state.class_label ?? "";
    },
  };
}

function connectSeed(change) {
  const seed = byId("seed");
  let used = 0;
  const use = (value) => {
    used = value;
    change((state) => ({ ...state, source: { seed: value } }));
  };
  seed.addEventListener("input", () => {
    if (seed.value !== "" && seed.validity.valid) use(Number(seed.value));
  });
  seed.addEventListener("blur", () => {
    if (!seed.validity.valid || seed.value === "") seed.value = used;
  });
  byId("shuffle").addEventListener("click", () => use(Math.floor(Math.random() * SHUFFLED_BELOW)));
  byId("photo-remove").addEventListener("click", () => {
    use(Number(seed.value));
    seed.focus();
  });
  byId("class-label").addEventListener("input", ({ target }) => {
    if (!target.validity.valid || target.value === "") return;
    change((state) => ({ ...state, class_label: Number(target.value) }));
  });
}

/** Upload, drop and paste all end here. */
function connectPhoto(change) {
  async function take(file) {
    const photo = { ...(await readPhoto(file)), mode: byId("inversion").value };
    await showPreview(file);
    change((state) => ({ ...state, source: photo }));
  }
  byId("inversion").addEventListener("change", ({ target }) => {
    change((state) => ({ ...state, source: { ...state.source, mode: target.value } }));
  });
  byId("upload").addEventListener("change", ({ target }) => {
    if (target.files[0]) take(target.files[0]);
    target.value = ""; // so that the same file can be chosen again
  });
  addEventListener("paste", (event) => {
    const file = event.clipboardData.files[0];
    if (file) take(file);
  });
  let inside = 0; // dragenter and dragleave also come from every child
  const mark = (by) => {
    inside = by === 0 ? 0 : inside + by;
    document.body.classList.toggle("dropping", inside > 0);
  };
  addEventListener("dragenter", () => mark(1));
  addEventListener("dragleave", () => mark(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    mark(0);
    const file = event.dataTransfer.files[0];
    if (file) take(file);
  });
}

async function showPreview(file) {
  const thumb = byId("photo-thumb");
  if (thumb.src) URL.revokeObjectURL(thumb.src);
  const url = await preview(file);
  thumb.hidden = url === null;
  if (url === null) thumb.removeAttribute("src");
  else thumb.src = url;
}

/** The truncation slider of models that have one; null for the others. */
export function truncationSlider(card, change) {
  if (card.spaces[0] !== "w_plus") return null;
  const bounds = { min: 0, max: 1, step: 0.05, id: "truncation" };
  const one = slider("Truncation", bounds, plain, (value) =>
    change((state) => ({ ...state, truncation: value }), true),
  );
  return {
    element: one.element,
    show(state) {
      one.show(state.truncation ?? card.truncation);
      one.range.disabled = state.source.image !== undefined;
    },
  };
}
