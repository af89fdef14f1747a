// The state as request bodies of the API, and as code that sends them. Knows no page.

const DEFAULT_MODE = "optimize"; // of an inversion
const SHOWN_SIZE = 512; // pixels of a saved file; models below it are scaled up, as on the page

/** The body of POST /v1/edit and /v1/edit/stream. Without edits: no step, for picture and scores. */
export function editBody(state, card) {
  const [first] = card.attributes;
  const nothing = [{ attribute: first.name, target: first.classes[0], steps: 0 }];
  const body = {
    model: state.model,
    source: sourceOf(state),
    edits: state.edits.length ? state.edits.map(asRequest) : nothing,
  };
  const { seed, mode } = state.source;
  if (seed !== undefined && state.truncation !== null) body.truncation = state.truncation;
  if (seed === undefined && mode !== DEFAULT_MODE) body.inversion = { mode };
  return body;
}

/** The body of POST /v1/edit/image: the final picture, or all frames as an animation. */
export function imageBody(state, card, animation) {
  const size = Math.max(SHOWN_SIZE, card.resolution);
  return {
    ...editBody(state, card),
    output: { format: animation ? "webp" : "png", ...(size > card.resolution ? { size } : {}) },
    animation,
  };
}

function sourceOf(state) {
  const { seed, image } = state.source;
  if (image !== undefined) return { image };
  return state.class_label === null ? { seed } : { seed, class_label: state.class_label };
}

function asRequest({ stop, ...edit }) {
  return stop === undefined || stop === null ? edit : { ...edit, stop: { probability: stop } };
}

/** A curl command; a photo is sent by name. `needsKey`: with the key's header, not the key. */
export function curlOf(body, address, needsKey) {
  const key = needsKey ? ` \\\n  -H "authorization: Bearer $GRADCTRL_API_KEY"` : "";
  const { source, ...rest } = body;
  if (source.image !== undefined) {
    const request = quoted(json(rest));
    return `curl -s ${address}/v1/edit/upload${key} \\\n  -F image=@photo.jpg -F request=${request}`;
  }
  const head = `curl -s ${address}/v1/edit/image -o edited.png${key}`;
  return `${head} \\\n  -H 'content-type: application/json' -d ${quoted(json(body))}`;
}

/** The same with the Python client. */
export function pythonOf(body, address, needsKey) {
  const { source, edits, ...rest } = body;
  const given = source.image === undefined ? source : {};
  const lines = Object.entries({ ...rest, ...given }).map(
    ([name, value]) => `        ${name}=${spaced(value)},`,
  );
  if (source.image !== undefined) lines.push(`        image=Path("photo.jpg").read_bytes(),`);
  const listed = edits.map((edit) => `            ${spaced(edit)},`);
  const key = needsKey ? `, api_key=os.environ["GRADCTRL_API_KEY"]` : "";
  const imports = [
    needsKey ? "import os\n" : "",
    source.image === undefined ? "" : "from pathlib import Path\n",
  ].join("");
  return `${imports}${imports && "\n"}from gradctrl_client import Client

with Client("${address}"${key}) as client:
    edit = client.edit(
${lines.join("\n")}
        edits=[
${listed.join("\n")}
        ],
    )
    edit.frames[-1].image.save("edited.png")
`;
}

/** JSON with an edit per line. */
function json({ edits, ...rest }) {
  const lines = edits.map((edit) => `\n    ${spaced(edit)}`);
  return `{\n  ${spaced(rest).slice(1, -1)},\n  "edits": [${lines}\n  ]}`;
}

/** JSON in one line, with spaces where people put them. */
function spaced(value) {
  return JSON.stringify(value, null, 1).replaceAll(/\n\s*/g, " ").replaceAll(/([[{]) | ([\]}])/g, "$1$2");
}

function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
