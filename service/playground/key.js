// The API key, for servers that ask for one. Until one does, nothing of it is to be seen.

import { apiKey, useApiKey } from "./api.js";
import { byId } from "./elements.js";

/** `ask()` opens the dialog; `onUse()` is called with a key in place. */
export function createKey(onUse) {
  const dialog = byId("key-dialog");
  const button = byId("key");
  const value = byId("key-value");

  function ask() {
    button.hidden = false;
    value.value = apiKey() ?? "";
    if (!dialog.open) dialog.showModal();
  }
  button.hidden = apiKey() === null;
  button.addEventListener("click", ask);
  value.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // Enter would press the form's first button, Cancel
    dialog.close("use");
  });
  dialog.addEventListener("close", () => {
    if (dialog.returnValue !== "use") return;
    useApiKey(value.value.trim());
    onUse();
  });
  return { ask };
}
