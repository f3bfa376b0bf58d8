//! Elements made from text, and from text only.
//!
//! Event data is hostile: it reaches the page as text nodes, never as markup, selector, class, style or URL. Characters that
//! could lie about what is read (controls, bidi overrides) are shown as escapes. The page has no other way to make elements.

/** @typedef {Node | string | null | undefined | false} Child */

/** Attributes that may be set; none of them takes code or markup. */
const ATTRIBUTES = new Set([
  "for", "id", "type", "name", "value", "placeholder", "autocomplete", "role", "title", "tabindex", "scope", "hidden",
  "disabled", "open", "spellcheck", "maxlength", "list", "datetime", "rel", "target", "dir", "method",
]);

/**
 * Makes an element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {{class?: string, href?: string, on?: Record<string, (e: any) => void>} & Record<string, any>} [attributes]
 * @param {...Child} children strings become text nodes, with escapes for what is invisible
 * @returns {HTMLElementTagNameMap[K]}
 */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") node.className = value;
    else if (key === "on") for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    else if (key === "href") node.setAttribute("href", safeHref(value));
    else if (key.startsWith("aria-") || key.startsWith("data-") || ATTRIBUTES.has(key)) node.setAttribute(key, value === true ? "" : String(value));
    else throw new TypeError(`attribute ${key} is not allowed`);
  }
  append(node, ...children);
  return node;
}

/**
 * @param {Element} node
 * @param {...Child} children
 */
export function append(node, ...children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    node.append(typeof child === "string" ? visible(child) : child);
  }
}

/**
 * Only fragments of this page and http(s) addresses are ever linked.
 * @param {string} href
 */
function safeHref(href) {
  if (href.startsWith("#")) return href;
  return /^https?:\/\//i.test(href) ? href : "#";
}

/**
 * Sets the text of an element when it differs: an unchanged node keeps its selection.
 * @param {Element} node
 * @param {string} text
 */
export function setText(node, text) {
  const shown = visible(text);
  if (node.textContent !== shown) node.textContent = shown;
}

/**
 * @param {HTMLElement} node
 * @param {boolean} shown
 */
export function show(node, shown) {
  if (node.hidden === shown) node.hidden = !shown;
}

/** What an event may not show as itself: controls, bidi marks and overrides, zero-width, separators, lone surrogates. */
const INVISIBLE =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Longest text that is shown without being asked for. */
export const MAX_SHOWN = 2048;

/**
 * The text with invisible characters as escapes (`\u202e`), cut at {@link MAX_SHOWN}.
 * @param {string} text
 */
export function visible(text) {
  const cut = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}… (${text.length} characters)` : text;
  return cut.replace(INVISIBLE, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * A value of an event as one line of text: NULL is `-`, an empty text is `""`.
 * @param {unknown} value
 */
export function value(value) {
  if (value === null || value === undefined) return "-";
  return value === "" ? '""' : String(value);
}

/**
 * Is the reader on this element, with the pointer or the focus? Asking the browser for `:hover` in a frame would make it
 * compute all styles; this listens instead.
 * @param {HTMLElement} node
 * @returns {() => boolean}
 */
export function occupied(node) {
  let pointer = false;
  node.addEventListener("pointerenter", (e) => { pointer = e.pointerType !== "touch"; });
  node.addEventListener("pointerleave", () => { pointer = false; });
  return () => pointer || node.contains(document.activeElement);
}

/**
 * An element that `index.html` promises.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const node = document.getElementById(id);
  if (!node) throw new Error(`index.html has no #${id}`);
  return node;
}

/**
 * A button that copies a text, and says so in its own label for a moment.
 * @param {string} label
 * @param {() => string} text
 */
export function copyButton(label, text) {
  const button = el("button", { type: "button", class: "small" }, label);
  button.addEventListener("click", async () => {
    setText(button, (await copy(text())) ? "copied" : "copy failed");
    setTimeout(() => setText(button, label), 1500);
  });
  return button;
}

/**
 * @param {string} text
 * @returns {Promise<boolean>}
 */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/**
 * Plain http on another host has no clipboard API: select the text in a field and let the browser copy it.
 * @param {string} text
 */
function copyBySelection(text) {
  const field = el("textarea", { class: "offscreen", "aria-hidden": "true" });
  field.value = text;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}
