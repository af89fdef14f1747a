// A range of layers, as two sliders on one track. Knows nothing of edits.

import { element } from "./elements.js";

/** {element, show({layers})}; layers are half-open [from, to) of `count`. */
export function createLayers(count, set) {
  const low = thumb(count, "First layer");
  const high = thumb(count, "Last layer");
  const output = element("output");
  const track = element("span", { className: "pair" }, low, high);

  function paint() {
    const [from, to] = [Number(low.value), Number(high.value)];
    track.style.setProperty("--from", `${(from / (count - 1)) * 100}%`);
    track.style.setProperty("--to", `${(to / (count - 1)) * 100}%`);
    output.value = from === to ? `${from}` : `${from} – ${to}`;
  }
  function use(moved) {
    if (Number(low.value) > Number(high.value)) {
      const other = moved === low ? high : low;
      other.value = moved.value;
    }
    paint();
    set({ layers: [Number(low.value), Number(high.value) + 1] });
  }
  for (const one of [low, high]) one.addEventListener("input", () => use(one));

  return {
    element: element(
      "div",
      { className: "knob", role: "group", "aria-label": `Layers, 0 to ${count - 1}` },
      element("span", {}, "Layers"),
      track,
      output,
    ),
    show({ layers: [from, to] }) {
      low.value = from;
      high.value = to - 1;
      paint();
    },
  };
}

function thumb(count, label) {
  return element("input", { type: "range", min: 0, max: count - 1, step: 1, "aria-label": label });
}
