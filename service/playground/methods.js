// How the methods of an edit differ for the knobs: which do without one, and where they start.
// The server refuses a knob that a method cannot honour; here it is not offered. Knows no page.

export const DEFAULT_METHOD = "gradctrl";
const LINE = { without: ["exclude", "layers"] }; // its layers were chosen together with the line
const METHODS = {
  "gradctrl-released": { without: ["step_size"], defaults: { steps: 9 } },
  "gradctrl-paper": { without: ["step_size", "stop"] },
  interfacegan: LINE,
  "interfacegan-conditional": LINE,
  ganspace: LINE,
  stylespace: { without: ["exclude", "layers", "stop"], defaults: { step_size: 1 } },
};

/** Methods that can edit an attribute of a model, the default one first. */
export function methodsFor(card, attribute) {
  return Object.keys(card.methods).filter((name) => card.methods[name].includes(attribute));
}

/** Whether a knob is offered for a method. */
export function takes(method, knob) {
  return !METHODS[method]?.without.includes(knob);
}

/** The knobs that a method sets otherwise than the card. */
export function ownDefaults(method) {
  return METHODS[method]?.defaults ?? {};
}

/** Changes of an edit that hand it to a method, without the knobs that this one does without. */
export function asMethod(method) {
  const dropped = (METHODS[method]?.without ?? []).map((knob) => [knob, undefined]);
  return { ...Object.fromEntries(dropped), method };
}
