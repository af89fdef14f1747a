// What an edit did and what a model is, in words. Knows no page.

import { headChannels } from "./channels.js";
import { percent, spoken } from "./elements.js";

/** The answer's report of one edit as a sentence or two. */
export function reportText(edit, card) {
  const steps = `${edit.steps_taken} ${edit.steps_taken === 1 ? "step" : "steps"}`;
  if (edit.reached === null) return `Styles moved in ${steps}; the classifiers cannot read them.`;
  const end = edit.reached ? "Target reached" : "Target not reached";
  return `${end} in ${steps}. ${maskText(edit, card)}`;
}

function maskText(edit, card) {
  const masked = edit.masked.filter((one) => one.top_k > 0);
  if (masked.length === 0) return "Nothing masked.";
  const channels = headChannels(card);
  const names = masked.map((one) => spoken(one.attribute)).join(", ");
  const kept = `${percent(edit.kept_norm)} of the direction kept`;
  return `Masked ${edit.masked_channels} of ${channels} channels for ${names}; ${kept}.`;
}

/** How close the model came to a photo. */
export function inversionText({ errors }) {
  const close = `photo matched at ${errors.psnr.toFixed(0)} dB`;
  return errors.identity === null ? close : `${close}, ${percent(Math.max(0, errors.identity))} the same face`;
}

/** Pairs of a name and a text about a model. */
export function modelFacts(card) {
  const channels = card.num_ws ? `${card.num_ws} layers of ${card.w_dim}` : `${card.z_dim} numbers`;
  return [
    ["Generator", `${card.family}, ${card.resolution} px`],
    ["Edits in", `${card.spaces[0]}: ${channels}`],
    ["Version", card.tag],
    ["From", card.provenance.source],
    ["Licence", card.provenance.licence],
  ];
}
