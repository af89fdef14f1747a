// Says what went wrong and what to do about it. Knows the error codes of the API, but no edit.

import { byId, element } from "./elements.js";

const TITLES = {
  bad_image: "This file is not an image the server can read",
  image_too_large: "This image is too large",
  inversion_failed: "The model cannot draw this picture",
  no_face: "No face found",
  several_faces: "More than one face found",
  no_editable_channels: "Nothing is left to move: fewer channels must be masked",
  unauthenticated: "This server asks for a key",
  overloaded: "The server is busy",
  too_many_requests: "That was too fast for the server",
  deadline_exceeded: "This took longer than the server allows",
  unreachable: "The server does not answer",
};
const WORTH_REPEATING = ["overloaded", "too_many_requests", "deadline_exceeded", "unreachable"];
const MOST_ALLOWED = 12;

/** `solved()` ends an error, `read()` a note. */
export function createProblem(retry) {
  const place = byId("problem");
  let isNote = false;

  function say(title, ...rest) {
    place.replaceChildren(element("strong", {}, title), ...rest);
    place.hidden = false;
  }
  return {
    show(error) {
      const code = error.code ?? "internal";
      isNote = false;
      const again = element("button", { type: "button", className: "button small" }, "Try again");
      again.addEventListener("click", retry);
      say(
        TITLES[code] ?? "The server refused this",
        element("p", {}, error.message),
        ...(error.allowed?.length ? [allowed(error.allowed)] : []),
        element("p", { className: "code" }, error.field ? `${code} · ${error.field}` : code),
        ...(WORTH_REPEATING.includes(code) ? [again] : []),
      );
    },
    note(title, text) {
      isNote = true;
      say(title, element("p", {}, text));
    },
    solved() {
      place.hidden ||= !isNote;
    },
    read() {
      place.hidden ||= isNote;
    },
  };
}

function allowed(values) {
  const shown = values.slice(0, MOST_ALLOWED).map(String).join(", ");
  return element("p", {}, `Allowed: ${shown}${values.length > MOST_ALLOWED ? ", …" : ""}`);
}
