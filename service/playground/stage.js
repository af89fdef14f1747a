// The large picture: before, after, or both with a divider. Knows no model and no server.

import { byId } from "./elements.js";

/** `show` puts pictures up, `view` is what the user compares. */
export function createStage() {
  const stage = byId("stage");
  const pictures = { before: byId("before"), after: byId("after") };
  const divider = byId("divider");

  divider.addEventListener("input", () => {
    stage.style.setProperty("--split", `${divider.value}%`);
    divider.setAttribute("aria-valuetext", `${divider.value} % before`);
  });
  byId("compare").addEventListener("change", (event) => {
    stage.dataset.view = event.target.value;
  });

  return {
    /** Put a picture ("before" or "after") up, with what it shows in words. */
    show(which, source, words) {
      pictures[which].src = source;
      pictures[which].alt = words;
      pictures[which].hidden = false;
    },
    /** How far the running edit is, 0 to 1; null when none runs. */
    progress(share) {
      stage.dataset.busy = share === null ? "no" : share > 0 ? "rendering" : "waiting";
      stage.style.setProperty("--progress", share ?? 1);
    },
    /** Whether the pictures are those of the last request. */
    stale(isStale) {
      stage.dataset.stale = isStale;
    },
  };
}
