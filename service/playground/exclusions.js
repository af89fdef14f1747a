// Which other attributes an edit must leave alone, and how many channels that takes away.

import { firstMask, headChannels } from "./channels.js";
import { element, spoken } from "./elements.js";
import { slider } from "./slider.js";

/** {element, show({exclude})} over all attributes but the edited one. */
export function createExclusions(card, attribute, set) {
  const channels = headChannels(card);
  const rows = card.attributes
    .filter((one) => one.name !== attribute.name)
    .map((one) => createRow(one.name, channels, firstTopK(card, attribute, one.name), tell));

  function tell() {
    set({ exclude: rows.map((row) => row.value()).filter(Boolean) });
  }
  const legend = element("legend", {}, "Keep unchanged, with channels masked");
  const whole = element("fieldset", { className: "exclusions" }, legend, ...rows.map((row) => row.element));
  whole.hidden = rows.length === 0;
  return {
    element: whole,
    show({ exclude }) {
      for (const row of rows) row.show(exclude.find((one) => one.attribute === row.name)?.top_k);
    },
  };
}

function firstTopK(card, attribute, name) {
  const known = attribute.defaults.exclude.find((one) => one.attribute === name);
  return known?.top_k ?? firstMask(card);
}

function createRow(name, channels, first, tell) {
  const check = element("input", { type: "checkbox" });
  const one = slider("", { min: 1, max: channels, step: 1 }, String, tell);
  one.range.setAttribute("aria-label", `Channels masked for ${spoken(name)}`);
  const label = element("label", { className: "check" }, check, spoken(name));
  const show = (topK) => {
    check.checked = topK !== undefined;
    one.element.classList.toggle("off", topK === undefined);
    one.range.disabled = topK === undefined;
    one.show(topK ?? first);
  };
  check.addEventListener("change", () => {
    show(check.checked ? first : undefined);
    tell();
  });
  return {
    name,
    show,
    element: element("div", { className: "knob checked" }, label, one.element),
    value: () => check.checked && { attribute: name, top_k: Number(one.range.value) },
  };
}
