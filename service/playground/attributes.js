// The list of attributes: classes to choose as targets, their scores as bars, knobs of chosen ones.
// Built once per model, so that an update never takes the focus away. Knows no server.

import { element, percent, spoken } from "./elements.js";
import { createKnobs } from "./knobs.js";
import { reportText } from "./report.js";
import { MAX_EDITS, editOf, withEdit, withoutEdit } from "./state.js";

const LEAST_MOVE = 0.02; // of a probability, for the mark where it was before

/** Views of all attributes of a model: {elements, show(state), scores(now, before), report(edits)}. */
export function createAttributes(card, change) {
  const views = card.attributes.map((attribute) => createAttribute(card, attribute, change));
  return {
    elements: views.map((view) => view.element),
    show: (state) => views.forEach((view) => view.show(state)),
    scores: (now, before) => views.forEach((view) => view.scores(now, before)),
    report(edits) {
      for (const view of views) {
        view.report(edits.find((edit) => edit.attribute === view.name) ?? null);
      }
    },
    /** The control that a refused field means: edits[1].layers is in the second edit's card. */
    mark(state, field) {
      const [, index] = field?.match(/^edits\[(\d+)\]/) ?? [];
      const name = state.edits[index]?.attribute;
      for (const view of views) view.element.classList.toggle("refused", view.name === name);
    },
  };
}

function createAttribute(card, attribute, change) {
  const { name } = attribute;
  const chips = attribute.classes.map((target) => createChip(name, target, change));
  const badge = element("span", { className: "badge", hidden: true });
  const remove = element(
    "button",
    { type: "button", className: "remove", "aria-label": `Remove the edit of ${spoken(name)}` },
    "×",
  );
  const knobs = createKnobs(card, attribute, change);
  const report = element("p", { className: "report" });
  const group = element(
    "fieldset",
    { className: "classes" },
    element("legend", {}, badge, element("span", {}, spoken(name))),
    element("div", { className: "chips" }, ...chips.map((chip) => chip.element)),
  );
  const body = element("div", { className: "chosen", hidden: true }, knobs.element, report);
  const whole = element("section", { className: "attribute" }, group, remove, body);
  whole.dataset.attribute = name;
  remove.addEventListener("click", () => {
    change((state) => withoutEdit(state, name));
    chips[0].radio.focus();
  });
  whole.dataset.classes = attribute.classes.length;

  return {
    name,
    element: whole,
    show(state) {
      const edit = editOf(state, name);
      const isFull = state.edits.length === MAX_EDITS && !edit;
      for (const chip of chips) {
        chip.radio.checked = chip.target === edit?.target;
        chip.radio.disabled = isFull;
      }
      badge.hidden = remove.hidden = body.hidden = !edit;
      whole.classList.toggle("active", Boolean(edit));
      if (!edit) return;
      badge.textContent = state.edits.indexOf(edit) + 1;
      knobs.show(edit);
    },
    scores: (now, before) => {
      for (const chip of chips) {
        chip.score(now[name]?.[chip.target], before[name]?.[chip.target]);
      }
    },
    report(edit) {
      report.textContent = edit ? reportText(edit, card) : "";
    },
  };
}

/** One class: a radio button that looks like a chip, with its probability as a bar. */
function createChip(name, target, change) {
  const ids = { name: `${name}-${target}`, percent: `${name}-${target}-score` };
  const radio = element("input", {
    type: "radio",
    name,
    className: "unseen",
    "aria-labelledby": ids.name,
    "aria-describedby": ids.percent,
  });
  const score = element("span", { className: "percent", id: ids.percent });
  const bar = element("span", { className: "bar", "aria-hidden": "true" });
  const words = element("span", { className: "name", id: ids.name }, spoken(target));
  const chip = element("label", { className: "chip" }, radio, words, score, bar);
  const drop = () => change((state) => withoutEdit(state, name));
  radio.addEventListener("change", () => change((state) => withEdit(state, name, { target })));
  chip.addEventListener("click", (event) => {
    // a chip that is chosen already is let go of; the label's click comes before the radio's
    if (event.target !== radio && radio.checked) {
      event.preventDefault();
      drop();
    }
  });
  radio.addEventListener("keydown", (event) => {
    if (["Delete", "Backspace"].includes(event.key) && radio.checked) {
      event.preventDefault();
      drop();
    }
  });
  return {
    target,
    radio,
    element: chip,
    /** Without a probability now: no classifier can read the frame. */
    score(now, before) {
      score.textContent = now === undefined ? "–" : percent(now);
      bar.style.setProperty("--now", now ?? 0);
      bar.style.setProperty("--before", before);
      const hasMoved = Math.abs(now - before) > LEAST_MOVE; // never without a probability
      chip.classList.toggle("moved", hasMoved);
      chip.title = hasMoved ? `${percent(before)} before` : "";
    },
  };
}
