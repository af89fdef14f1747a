// Edits from a web application, typed by gradctrl.d.ts. `npm run check` holds it to the API.

import type { components } from "./gradctrl";

type Schemas = components["schemas"];
type EditBody = Schemas["EditBody"];
type EditAnswer = Schemas["EditBodyAnswer"];
type EditSummary = Omit<EditAnswer, "frames">;
type Frame = Schemas["FrameAnswer"];
type Refusal = Schemas["ErrorAnswer"]["error"];

/** What the service refused, with the field to blame and what it allows. */
export class GradCtrlError extends Error {
  constructor(readonly refusal: Refusal) {
    super(`${refusal.code}: ${refusal.message}`);
  }
}

/** The answer to an edit. */
export async function edit(service: string, body: EditBody): Promise<EditAnswer> {
  const answer = await post(`${service}/v1/edit`, body);
  return (await answer.json()) as EditAnswer;
}

/** An image for an <img> element. */
export function imageUrl(frame: Frame, format = "png"): string {
  return `data:image/${format};base64,${frame.image}`;
}

/** The same edit as a stream: `onFrame` gets every frame as it is rendered. */
export async function editStream(
  service: string,
  body: EditBody,
  onFrame: (frame: Frame) => void,
  signal?: AbortSignal, // aborting stops the work that is left
): Promise<EditSummary> {
  const answer = await post(`${service}/v1/edit/stream`, body, signal);
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error("the stream ended before its summary");
    text += value;
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(event) ?? [];
      if (data === undefined) continue;
      if (name === "frame") onFrame(JSON.parse(data) as Frame);
      else if (name === "summary") return JSON.parse(data) as EditSummary;
      else throw new GradCtrlError((JSON.parse(data) as Schemas["ErrorAnswer"]).error);
    }
  }
}

async function post(url: string, body: EditBody, signal?: AbortSignal): Promise<Response> {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    ...(signal ? { signal } : {}),
  });
  if (!answer.ok) throw new GradCtrlError(((await answer.json()) as Schemas["ErrorAnswer"]).error);
  return answer;
}

// Fields with a default may be left out, names are checked by the compiler.
export const smiling: EditBody = {
  source: { seed: 36 },
  edits: [{ attribute: "smile", target: "smiling" }],
};

// @ts-expect-error: a source is missing
export const broken: EditBody = { edits: [{ attribute: "smile", target: "smiling" }] };
