// The edits in the order in which they are applied. Knows no server.

import { byId, element, spoken } from "./elements.js";
import { MAX_EDITS, withMoved, withoutEdit } from "./state.js";

/** {show(state)}; rebuilt at each change, with the focus put back where it was. */
export function createChain(change) {
  const place = byId("chain");
  return {
    show(state) {
      const focused = place.contains(document.activeElement) && document.activeElement.dataset.key;
      place.replaceChildren(...(state.edits.length ? listed(state, change) : [hint()]));
      if (!focused) return;
      const again = [...place.querySelectorAll("button")].find((one) => one.dataset.key === focused);
      (again && !again.disabled ? again : byId("panel")).focus({ preventScroll: true });
    },
  };
}

function hint() {
  return element("p", { className: "hint" }, "Choose what the picture should show.");
}

function listed(state, change) {
  const items = state.edits.map((edit, index) => item(edit, index, state.edits.length, change));
  const clear = element("button", { type: "button", className: "quiet" }, "Clear");
  clear.dataset.key = "clear";
  clear.setAttribute("aria-label", "Clear all edits");
  clear.addEventListener("click", () => change((now) => ({ ...now, edits: [] })));
  const list = element("ol", { "aria-label": `Edits in order, at most ${MAX_EDITS}` }, ...items);
  return [list, clear];
}

function item({ attribute, target }, index, count, change) {
  const words = spoken(target);
  const move = (by, sign, name, isEnd) => {
    const button = element("button", { type: "button", "aria-label": `${words}: ${name}` }, sign);
    button.dataset.key = `${attribute} ${by}`;
    button.disabled = isEnd;
    button.addEventListener("click", () => change((state) => withMoved(state, attribute, by)));
    return button;
  };
  const drop = element("button", { type: "button", "aria-label": `${words}: remove` }, "×");
  drop.dataset.key = `${attribute} x`;
  drop.addEventListener("click", () => change((state) => withoutEdit(state, attribute)));
  const moves =
    count > 1
      ? [move(-1, "‹", "earlier", index === 0), move(1, "›", "later", index === count - 1)]
      : [];
  const badge = element("span", { className: "badge" }, String(index + 1));
  return element("li", {}, badge, element("span", { className: "name" }, words), ...moves, drop);
}
