//! The state of a screen is the fragment of its URL.
//!
//! `#/live?f.app_id=shop&tz=UTC`: a path, then parameters; defaults are left out. The fragment never reaches a server, so a
//! filter by user id is in no log, and it works under any proxy prefix. Only this file reads or writes `location.hash`.

/**
 * One condition of a filter: `field=value`, or `field=!value` when it excludes.
 * @typedef {{field: string, value: string, exclude: boolean}} Condition
 */

/**
 * A screen: which page, its single-valued parameters, its filter.
 * @typedef {{path: string, params: Map<string, string>, filter: Condition[]}} Screen
 */

const MAX_CONDITIONS = 16;
const MAX_VALUE = 512;
const START = "/live";

/**
 * Reads a fragment. Anything that does not parse is dropped: a damaged link still opens.
 * @param {string} hash with or without `#`
 * @returns {Screen}
 */
export function parse(hash) {
  const text = hash.startsWith("#") ? hash.slice(1) : hash;
  const mark = text.indexOf("?");
  const path = mark < 0 ? text : text.slice(0, mark);
  /** @type {Screen} */
  const screen = { path: path.startsWith("/") ? path : START, params: new Map(), filter: [] };
  if (mark < 0) return screen;
  for (const [key, value] of new URLSearchParams(text.slice(mark + 1))) {
    if (value.length > MAX_VALUE) continue;
    if (!key.startsWith("f.")) screen.params.set(key, value);
    else if (screen.filter.length < MAX_CONDITIONS) {
      screen.filter.push(readCondition(key.slice(2), value));
    }
  }
  return screen;
}

/**
 * Writes a fragment; the inverse of {@link parse}.
 * @param {Screen} screen
 * @returns {string} with its `#`
 */
export function format(screen) {
  const query = new URLSearchParams();
  for (const [key, value] of screen.params) if (value !== "") query.append(key, value);
  for (const c of screen.filter) query.append(`f.${c.field}`, conditionText(c));
  const text = query.toString();
  return `#${screen.path}${text ? `?${text}` : ""}`;
}

/**
 * `value`, or `!value` to exclude; a value that itself begins with `!` has a backslash in front, as in the API.
 * @param {string} field
 * @param {string} text
 * @returns {Condition}
 */
export function readCondition(field, text) {
  const exclude = text.startsWith("!");
  const rest = exclude ? text.slice(1) : text;
  return { field, value: rest.startsWith("\\!") ? rest.slice(1) : rest, exclude };
}

/** @param {Condition} c */
export function conditionText(c) {
  return (c.exclude ? "!" : "") + (c.value.startsWith("!") ? `\\${c.value}` : c.value);
}

/** @returns {Screen} what the address bar says now */
export function current() {
  return parse(location.hash);
}

/**
 * Goes to a screen. Pages and filters make a history entry, so that Back undoes them; the rest replaces the entry.
 * @param {Screen} screen
 * @param {"push" | "replace"} how
 */
export function go(screen, how) {
  const target = format(screen);
  if (target === location.hash) return;
  if (how === "push") history.pushState(null, "", target);
  else history.replaceState(null, "", target);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

/**
 * The current screen with one parameter changed; an empty value takes it out.
 * @param {string} key
 * @param {string} value
 * @param {"push" | "replace"} [how]
 */
export function setParam(key, value, how = "replace") {
  const screen = current();
  if (value === "") screen.params.delete(key);
  else screen.params.set(key, value);
  go(screen, how);
}

/** @param {Condition[]} filter */
export function setFilter(filter) {
  go({ ...current(), filter }, "push");
}

/**
 * Takes the token of a printed link (`/#token=…`) out of the address bar, so that it is in no history and no copied link.
 * @returns {string} empty when there is none
 */
export function takeToken() {
  const found = /^#\/?\??token=([^&]+)/.exec(location.hash);
  if (!found) return "";
  history.replaceState(null, "", location.pathname + location.search);
  try {
    return decodeURIComponent(found[1] ?? "");
  } catch {
    return "";
  }
}

/**
 * Does an event with these field values pass? Values of one field are alternatives; every excluded value excludes.
 * @param {Condition[]} filter
 * @param {(field: string) => string | null | undefined} valueOf null when the event has none, undefined when it is not known here
 */
export function passes(filter, valueOf) {
  /** @type {Map<string, boolean>} */
  const wanted = new Map();
  for (const c of filter) {
    const found = valueOf(c.field);
    // A field that the page does not have: the server has applied the condition already.
    if (found === undefined) continue;
    const equal = (found ?? "") === c.value;
    if (c.exclude && equal) return false;
    if (!c.exclude) wanted.set(c.field, (wanted.get(c.field) ?? false) || equal);
  }
  return [...wanted.values()].every(Boolean);
}
