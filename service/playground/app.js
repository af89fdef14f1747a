// The page: one state, the views of it, and the stream that follows it. Starts on load.

import { connectActions } from "./actions.js";
import { servedModels } from "./api.js";
import { createAttributes } from "./attributes.js";
import { createChain } from "./chain.js";
import { byId, element } from "./elements.js";
import { createFilm } from "./film.js";
import { createKey } from "./key.js";
import { readLink, writeLink } from "./link.js";
import { createLive } from "./live.js";
import { createProblem } from "./problem.js";
import { modelFacts } from "./report.js";
import { editBody } from "./requests.js";
import { createSource, truncationSlider } from "./source.js";

const SETTLE_MS = 60; // a slider's pause before its edit is asked for

const key = createKey(() => (state ? ask() : start()));
const problem = createProblem(() => (state ? ask() : start()));
const film = createFilm((now, before) => attributes.scores(now, before));
const chain = createChain(change);
const live = createLive({
  start: (isSearch) => film.start(framesOf(state), isSearch),
  frame(frame, index) {
    if (index === 0) problem.solved();
    film.frame(frame, index, state);
  },
  summary(summary) {
    attributes.mark(state, null);
    attributes.report(state.edits.length ? summary.edits : []);
    film.finish(summary.inversion);
  },
  error: fail,
});

let models = [];
let state = null;
let card = null;
let attributes = null;
let truncation = null;
let source = null;

/** Take a new state; `isMoving` while a slider is under way. */
function change(update, isMoving = false) {
  problem.read();
  use(update(state), isMoving ? SETTLE_MS : 0);
  history.replaceState(null, "", writeLink(state));
}

function use(next, waitMs = 0) {
  state = next;
  if (card?.name !== state.model) useModel(models.find((one) => one.name === state.model));
  source.show(state, card);
  truncation?.show(state);
  chain.show(state);
  attributes.show(state);
  ask(waitMs);
}

function ask(waitMs = 0) {
  const photo = state.source.image === undefined ? null : state.source;
  if (card.attributes.length) live.ask(editBody(state, card), waitMs, photo);
  else problem.note("Nothing to edit yet", "This model has no attributes: gradctrl train adds them.");
}

function useModel(next) {
  card = next;
  attributes = createAttributes(card, change);
  truncation = truncationSlider(card, change);
  byId("attributes").replaceChildren(...attributes.elements);
  const facts = modelFacts(card).flatMap(([name, text]) => [
    element("dt", {}, name),
    element("dd", {}, text),
  ]);
  byId("facts").replaceChildren(...facts);
  byId("model-facts").querySelector(".knob")?.remove();
  if (truncation) byId("facts").before(truncation.element);
}

/** Frames that an edit will have: the unedited one, and one for each step. */
function framesOf({ edits }) {
  const steps = (edit) =>
    edit.steps ?? card.attributes.find((one) => one.name === edit.attribute).defaults.steps;
  return edits.reduce((sum, edit) => sum + steps(edit), 1);
}

function fail(error) {
  film.fail();
  problem.show(error);
  attributes?.mark(state, error.field);
  if (error.code === "unauthenticated") key.ask();
}

function open() {
  const { state: named, unknown } = readLink(location.hash, models);
  use(named);
  if (unknown.length) problem.note("Not all of this link is here", `Left out: ${unknown.join("; ")}.`);
}

async function start() {
  film.start(1);
  try {
    models = await servedModels();
  } catch (error) {
    fail(error);
    return;
  }
  problem.solved();
  source ??= createSource(models, change);
  open();
}

addEventListener("hashchange", () => models.length && open());
connectActions(() => ({ state, card }), fail);
start();
