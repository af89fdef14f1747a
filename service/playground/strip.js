// The film strip: one radio button per frame, so that arrow keys walk through the edit.
// Knows no model and no server.

import { byId, element } from "./elements.js";

/** `onPick(index)` is called when the user chooses a frame. */
export function createStrip(onPick) {
  const strip = byId("strip");
  const frames = []; // {label, radio, image, caption}

  function grow() {
    const index = frames.length;
    const radio = element("input", { type: "radio", name: "frame", className: "unseen" });
    radio.addEventListener("change", () => onPick(index));
    const image = element("img", { alt: "" });
    const caption = element("span");
    const label = element("label", { className: "frame" }, radio, image, caption);
    strip.append(label);
    frames.push({ label, radio, image, caption });
  }

  return {
    /** The picture that stands at a place, or undefined. */
    sourceAt: (index) => frames[index]?.image.src,
    /** Put a frame at its place; `opens` marks the first one of a further edit. */
    put(index, source, caption, words, opens) {
      if (index === frames.length) grow();
      const frame = frames[index];
      if (frame.image.src !== source) frame.image.src = source;
      frame.caption.textContent = caption;
      frame.radio.setAttribute("aria-label", words);
      frame.label.classList.toggle("opens", opens);
    },
    /** Drop what an earlier, longer edit left behind. */
    cut(count) {
      for (const { label } of frames.splice(count)) label.remove();
    },
    /** Mark a frame and bring it into sight. */
    select(index) {
      const { label, radio } = frames[index];
      radio.checked = true;
      const middle = label.offsetLeft - (strip.clientWidth - label.offsetWidth) / 2;
      strip.scrollLeft = middle;
    },
  };
}
