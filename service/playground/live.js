// Keeps one stream running, that of the newest request. Knows nothing of what the frames show.

import { editStream } from "./api.js";

/**
 * `ask(body, waitMs)` stops the stream that runs, waits, and starts the next one; a request that
 * follows within the wait takes its place. `on`: {start, frame(frame, index), summary, error}.
 */
export function createLive(on) {
  let timer = 0;
  let running = new AbortController();

  async function run(body) {
    const mine = new AbortController();
    running = mine;
    try {
      let index = 0;
      for await (const { name, data } of editStream(body, mine.signal)) {
        if (mine.signal.aborted) return;
        if (name === "frame") on.frame(data, index++);
        else on.summary(data);
      }
    } catch (error) {
      if (!mine.signal.aborted) on.error(error);
    }
  }

  return {
    ask(body, waitMs) {
      clearTimeout(timer);
      running.abort();
      on.start();
      if (waitMs) timer = setTimeout(run, waitMs, body);
      else run(body);
    },
  };
}
