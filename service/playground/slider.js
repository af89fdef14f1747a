// A range with its name and value beside it. Knows nothing of edits.

import { element, fillTrack } from "./elements.js";

/** A labelled range as a label with the value beside it; `words` says the value. */
export function slider(text, bounds, words, onInput) {
  const range = element("input", { type: "range", ...bounds });
  const output = element("output");
  const show = (value) => {
    range.value = value;
    output.value = words(Number(range.value));
    range.setAttribute("aria-valuetext", output.value);
    fillTrack(range);
  };
  range.addEventListener("input", () => {
    show(range.value);
    onInput(Number(range.value));
  });
  const label = element("label", { className: "knob" }, element("span", {}, text), range, output);
  return { element: label, range, show };
}
