// What a model's heads read, and so what a mask counts. Knows nothing about the page.

const FIRST_SHARE = 0.05; // of the channels of one layer, where the card names no number

export function headChannels(card) {
  const channels = card.w_dim ?? card.z_dim;
  return card.heads_read === "all_layers" ? card.num_ws * channels : channels;
}

// Where heads read all layers a projection protects by itself; one channel switches it on.
export function firstMask(card) {
  if (card.heads_read === "all_layers") return 1;
  return Math.max(1, Math.round(headChannels(card) * FIRST_SHARE));
}
