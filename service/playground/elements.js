// Builds elements and names things for people. Knows nothing of models or edits.

/** A new element; `on…` properties are listeners, names with a dash are attributes. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "for" || name === "role") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** The element of index.html with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** hair_colour as people write it. */
export function spoken(name) {
  return name.replaceAll("_", " ");
}

/** A probability in whole percent; 0 and 100 only where it is exactly that. */
export function percent(probability) {
  const rounded = Math.round(probability * 100);
  if (rounded === 0 && probability > 0) return "<1 %";
  if (rounded === 100 && probability < 1) return ">99 %";
  return `${rounded} %`;
}

/** A number with at most three digits behind the point and no trailing zeros. */
export function plain(number) {
  return String(Number(number.toFixed(3)));
}

/** Keep the filled part of a range's track at its value. */
export function fillTrack(range) {
  const share = (range.value - range.min) / (range.max - range.min || 1);
  range.style.setProperty("--fill", `${share * 100}%`);
}
