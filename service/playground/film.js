// Follows a stream: which frame stands where, which one is shown, and what is said about it.
//
// While a slider moves, most frames stay as they were. Those do not touch the large picture, which
// would otherwise jump back to the start with every change.

import { byId, percent, spoken } from "./elements.js";
import { inversionText } from "./report.js";
import { createStage } from "./stage.js";
import { createStrip } from "./strip.js";

/** `onScores(now, before)` is called with the scores of the frame that is shown. */
export function createFilm(onScores) {
  const stage = createStage();
  const strip = createStrip((index) => frames[index] && show(index)); // some are still to come
  const status = byId("status");
  let frames = []; // {source, words, scores}
  let expected = 1;
  let hasMoved = false; // whether a frame of this stream differs from what stood there
  let startedAt = 0;
  let soon = 0;

  /** Frames come in bursts; only what the screen can show is put up. */
  function showSoon() {
    soon ||= requestAnimationFrame(() => show(frames.length - 1));
  }

  function forget() {
    cancelAnimationFrame(soon);
    soon = 0;
  }

  function show(index) {
    forget();
    strip.select(index);
    stage.show("after", frames[index].source, frames[index].words);
    onScores(frames[index].scores, frames[0].scores);
  }

  return {
    start(count, isSearch = false) {
      forget();
      [frames, expected, hasMoved, startedAt] = [[], count, false, performance.now()];
      stage.progress(0);
      if (isSearch) status.textContent = "Looking for the photo in the model …";
    },
    frame(frame, index, state) {
      const source = `data:image/png;base64,${frame.image}`;
      const words = wordsOf(frame, state);
      hasMoved ||= strip.sourceAt(index) !== source;
      frames.push({ source, words, scores: frame.scores });
      const opens = index > 0 && frame.step === 1 && frame.edit > 0;
      strip.put(index, source, index === 0 ? "start" : String(frame.step), words, opens);
      if (index === 0) {
        stage.stale(false);
        stage.show("before", source, words);
      }
      if (hasMoved) showSoon();
      stage.progress((index + 1) / expected);
    },
    /** The end of a stream; `inversion` says how a photo became the first frame. */
    finish(inversion) {
      const took = Math.round(performance.now() - startedAt);
      strip.cut(frames.length);
      show(frames.length - 1);
      stage.progress(null);
      const count = `${frames.length} ${frames.length === 1 ? "frame" : "frames"} in ${took} ms`;
      status.textContent = inversion ? `${inversionText(inversion)} · ${count}` : count;
    },
    fail() {
      forget();
      stage.progress(null);
      stage.stale(frames.length === 0);
      status.textContent = "";
    },
  };
}

/** A frame for those who do not see it. */
function wordsOf(frame, { edits }) {
  const edit = edits[frame.edit];
  if (!edit || (frame.step === 0 && frame.edit === 0)) return "Unedited";
  const score = frame.scores[edit.attribute]?.[edit.target]; // none where styles were moved
  const words = `Edit ${frame.edit + 1}, step ${frame.step}: ${spoken(edit.target)}`;
  return score === undefined ? words : `${words} ${percent(score)}`;
}
