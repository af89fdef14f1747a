// Keeps one stream running, that of the newest request. Knows nothing of what the frames show.

import { editStream } from "./api.js";

/**
 * `ask(body, waitMs, photo)` stops the stream that runs, waits, and starts the next one; a request
 * that follows within the wait takes its place. A stream that still looks for the latent of the
 * same photo is not stopped before its first frame: the server keeps what it found, and the next
 * stream starts from there. `on`: {start(isSearch), frame(frame, index), summary, error}.
 */
export function createLive(on) {
  let timer = 0;
  let running = new AbortController();
  const found = new WeakSet(); // photos that the server has found
  let searched = null; // the one that it looks for
  let next = null; // what was asked for meanwhile

  async function run(body, photo) {
    const mine = new AbortController();
    running = mine;
    searched = photo;
    try {
      let index = 0;
      for await (const { name, data } of editStream(body, mine.signal)) {
        if (mine.signal.aborted) return;
        if (photo) found.add(photo);
        searched = null;
        if (next) return begin(next, 0, null);
        if (name === "frame") on.frame(data, index++);
        else on.summary(data);
      }
    } catch (error) {
      if (mine.signal.aborted) return;
      searched = null;
      if (next) begin(next, 0, null);
      else on.error(error);
    }
  }

  function begin(body, waitMs, photo) {
    clearTimeout(timer);
    running.abort();
    searched = next = null;
    on.start(photo !== null);
    if (waitMs) timer = setTimeout(run, waitMs, body, photo);
    else run(body, photo);
  }

  return {
    ask(body, waitMs, photo) {
      if (photo && photo === searched) next = body;
      else begin(body, waitMs, photo && !found.has(photo) ? photo : null);
    },
  };
}
