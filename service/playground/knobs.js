// The knobs of one edit: steps in sight, the rest behind "Fine control". Knows no server.

import { element, percent, plain, spoken } from "./elements.js";
import { createExclusions } from "./exclusions.js";
import { createLayers } from "./layers.js";
import { asMethod, methodsFor, takes } from "./methods.js";
import { slider } from "./slider.js";
import { effective, withCardValues, withEdit } from "./state.js";

const MAX_STEPS = 64;
const USUAL_STEPS = 24;
const SIZE_NOTCHES = 20; // of the step slider within the card's own step size
const SIZE_REACH = 4; // times the card's step size
const FIRST_STOP = 0.95;

/** {element, show(edit)} for an attribute that is edited. */
export function createKnobs(card, attribute, change) {
  const set = (changes) => change((state) => withEdit(state, attribute.name, changes), true);
  const knobs = { step_size: stepSize(attribute, set), stop: stop(set) };
  if (card.num_ws) knobs.layers = createLayers(card.num_ws, set);
  knobs.exclude = createExclusions(card, attribute, set);
  const methods = methodsFor(card, attribute.name);
  if (methods.length > 1) knobs.method = method(methods, set);
  const first = steps(attribute, set);
  const reset = element("button", { type: "button", className: "button small" }, "Reset to defaults");
  reset.addEventListener("click", () => change((state) => withCardValues(state, attribute.name)));
  const fine = element(
    "details",
    { className: "fine" },
    element("summary", {}, "Fine control"),
    ...Object.values(knobs).map((knob) => knob.element),
    reset,
  );
  return {
    element: element("div", { className: "knobs" }, first.element, fine),
    show(edit) {
      const values = effective(edit, attribute, card.num_ws ?? 1);
      first.show(values);
      for (const [name, knob] of Object.entries(knobs)) {
        knob.element.classList.toggle("unused", !takes(values.method, name));
        knob.show(values);
      }
    },
  };
}

function steps(attribute, set) {
  const most = Math.min(MAX_STEPS, Math.max(USUAL_STEPS, 2 * attribute.defaults.steps));
  const one = slider("Steps", { min: 0, max: most, step: 1 }, String, (value) => set({ steps: value }));
  return {
    element: one.element,
    show(values) {
      if (values.steps > one.range.max) one.range.max = MAX_STEPS; // as a link may ask
      one.show(values.steps);
    },
  };
}

function stepSize(attribute, set) {
  const notch = attribute.defaults.step_size / SIZE_NOTCHES;
  const bounds = { min: 1, max: SIZE_NOTCHES * SIZE_REACH, step: 1 };
  const size = (value) => Number((value * notch).toPrecision(6));
  const one = slider("Step size", bounds, (value) => plain(size(value)), (value) =>
    set({ step_size: size(value) }),
  );
  return {
    element: one.element,
    show: (values) => one.show(Math.round(values.step_size / notch)),
  };
}

/** Off, or the probability of the target at which the edit ends. */
function stop(set) {
  const check = element("input", { type: "checkbox" });
  const one = slider("", { min: 0.5, max: 0.99, step: 0.01 }, percent, (value) =>
    set({ stop: value }),
  );
  one.range.setAttribute("aria-label", "Probability to stop at");
  check.addEventListener("change", () => set({ stop: check.checked ? Number(one.range.value) : null }));
  const label = element("label", { className: "check" }, check, "Stop when sure");
  return {
    element: element("div", { className: "knob checked" }, label, one.element),
    show({ stop: at }) {
      check.checked = at !== null;
      one.element.classList.toggle("off", at === null);
      one.range.disabled = at === null;
      one.show(at ?? FIRST_STOP);
    },
  };
}

function method(methods, set) {
  const options = methods.map((name) => element("option", { value: name }, spoken(name)));
  const select = element("select", {}, ...options);
  select.addEventListener("change", () => set(asMethod(select.value)));
  return {
    element: element("label", { className: "knob" }, element("span", {}, "Method"), select),
    show: (values) => {
      select.value = values.method;
    },
  };
}
