// The state as the part of a URL behind the #, and back. Knows cards, but no page and no server.
//
//   #model=avatars&seed=27&edit=smile/smiling/steps=6/layers=0-4/exclude=age:3,hair:2
//
// A photo is not part of a link.

import { MAX_EDITS, MAX_SEED, firstState, onModel } from "./state.js";

const READERS = {
  steps: whole,
  step_size: number,
  stop: number,
  layers: (text) => text.split("-").map(whole),
  exclude: (text) => (text === "none" ? [] : text.split(",").map(exclusion)),
  method: (text) => text,
};

const WRITERS = {
  layers: (layers) => layers.join("-"),
  exclude: (list) => list.map((one) => `${one.attribute}:${one.top_k}`).join(",") || "none",
};

/** The state as text; starts with "#". */
export function writeLink(state) {
  const parts = [`model=${state.model}`];
  if (state.source.seed !== undefined) parts.push(`seed=${state.source.seed}`);
  if (state.class_label !== null) parts.push(`class=${state.class_label}`);
  if (state.truncation !== null) parts.push(`truncation=${state.truncation}`);
  for (const edit of state.edits) parts.push(`edit=${writeEdit(edit)}`);
  return `#${parts.join("&")}`;
}

function writeEdit(edit) {
  const knobs = Object.keys(READERS)
    .filter((name) => (edit[name] ?? null) !== null)
    .map((name) => `${name}=${(WRITERS[name] ?? String)(edit[name])}`);
  return [edit.attribute, edit.target, ...knobs].join("/");
}

/** The state that a link names, and what in it this server does not have. */
export function readLink(hash, models) {
  let state = firstState(models);
  const unknown = [];
  const pairs = hash.replace(/^#/, "").split("&").filter(Boolean).map(split);
  const named = pairs.find(([name]) => name === "model")?.[1];
  const card = models.find((one) => one.name === (named ?? state.model));
  if (!card) return { state, unknown: [`model ${named}`] };
  state = onModel(state, card);
  for (const [name, value] of pairs) {
    if (name === "seed" && isSeed(value)) state.source = { seed: Number(value) };
    else if (name === "class") state.class_label = whole(value);
    else if (name === "truncation") state.truncation = number(value);
    else if (name === "edit") addEdit(state, readEdit(value, card), value, unknown);
    else if (name !== "model") unknown.push(`${name}=${value}`);
  }
  return { state, unknown };
}

function addEdit(state, edit, text, unknown) {
  const isSecond = edit && state.edits.some((one) => one.attribute === edit.attribute);
  if (!edit || isSecond || state.edits.length === MAX_EDITS) unknown.push(`edit ${text}`);
  else state.edits.push(edit);
}

/** An edit of a link, or null if this model cannot do it. */
function readEdit(text, card) {
  const [name, target, ...knobs] = text.split("/");
  const attribute = card.attributes.find((one) => one.name === name);
  if (!attribute?.classes.includes(target)) return null;
  const edit = { attribute: name, target };
  for (const [knob, value] of knobs.map(split)) {
    if (!Object.hasOwn(READERS, knob)) return null;
    edit[knob] = READERS[knob](value);
  }
  const others = card.attributes.map((one) => one.name).filter((one) => one !== name);
  if (edit.exclude?.some((one) => !others.includes(one.attribute))) return null;
  return edit;
}

function split(text) {
  const at = text.indexOf("=");
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function exclusion(text) {
  const [attribute, top_k] = text.split(":");
  return { attribute, top_k: whole(top_k) };
}

function whole(text) {
  return Math.trunc(number(text));
}

function number(text) {
  const value = Number(text);
  return Number.isFinite(value) ? value : 0;
}

function isSeed(text) {
  return /^\d+$/.test(text) && Number(text) <= MAX_SEED;
}
