// What the user has chosen, as a plain value, and the changes that it takes. Knows no page and no server.
//
// state: {model, source: {seed} or {image, name, mode}, class_label, truncation, edits}
// edit:  {attribute, target, steps?, step_size?, exclude?, layers?, stop?, method?};
//        what is missing comes from the model's card.

import { DEFAULT_METHOD, ownDefaults } from "./methods.js";

export const MAX_EDITS = 8;
export const MAX_SEED = 2 ** 32 - 1;
const FIRST_SEED = 27;

/** Nothing edited yet, on the model that the server prefers. */
export function firstState(models) {
  const model = models.find((card) => card.default) ?? models[0];
  return onModel({ source: { seed: FIRST_SEED } }, model);
}

/** The same source on another model, whose attributes are others; conditional ones need a class. */
export function onModel({ source }, card) {
  const class_label = card.c_dim ? 0 : null;
  return { model: card.name, source: { ...source }, class_label, truncation: null, edits: [] };
}

export function editOf(state, attribute) {
  return state.edits.find((edit) => edit.attribute === attribute);
}

/** With this attribute edited: a new edit goes last, one that is there keeps its place. */
export function withEdit(state, attribute, changes) {
  const known = editOf(state, attribute);
  if (!known) return { ...state, edits: [...state.edits, { attribute, ...changes }] };
  const edits = state.edits.map((edit) => (edit === known ? { ...edit, ...changes } : edit));
  return { ...state, edits };
}

export function withoutEdit(state, attribute) {
  return { ...state, edits: state.edits.filter((edit) => edit.attribute !== attribute) };
}

/** With only attribute and target kept, so that the card decides the rest. */
export function withCardValues(state, attribute) {
  const edits = state.edits.map((edit) =>
    edit.attribute === attribute ? { attribute, target: edit.target } : edit,
  );
  return { ...state, edits };
}

/** With an edit one place earlier (-1) or later (1). */
export function withMoved(state, attribute, by) {
  const edits = [...state.edits];
  const from = edits.findIndex((edit) => edit.attribute === attribute);
  const [moved] = edits.splice(from, 1);
  edits.splice(from + by, 0, moved);
  return { ...state, edits };
}

/** Every knob of an edit: what the user set, else what its method does, else what the card says. */
export function effective(edit, attributeCard, numLayers) {
  const method = edit.method ?? DEFAULT_METHOD;
  const card = { ...attributeCard.defaults, ...ownDefaults(method) };
  return {
    steps: edit.steps ?? card.steps,
    step_size: edit.step_size ?? card.step_size,
    exclude: edit.exclude ?? card.exclude,
    layers: edit.layers ?? card.layers ?? [0, numLayers],
    stop: edit.stop ?? null,
    method,
  };
}
