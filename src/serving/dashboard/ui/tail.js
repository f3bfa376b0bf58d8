//! Events as they are enriched: good ones beside failed ones, each failed one with its reason.
//!
//! The dot of a row is amber while the event is in memory and turns blue when the boundary passes its offset: one sees
//! events become history. Pointer, selection and an opened row hold the list still; it then says how many wait.

import { copyButton, el, occupied, setText, show, value } from "./dom.js";
import * as text from "./format.js";
import { passes } from "./url.js";

/** @typedef {import("./api.js").TailRow} Row */

const GOOD_SLOTS = 12;
/** A failed event takes two lines: the second one is its reason. */
const FAILED_SLOTS = 7;
const KEEP = 500;
/** Columns that every row of the stream carries. */
const KNOWN = ["app_id", "event_name", "event_id", "page_urlpath"];
/** At more than a handful of rows a turn the list changes once a second, so that it can be read. */
const CALM_MS = 1000;
const HANDFUL = 3;

/** @param {Row} row */
function isFailed(row) {
  return row.state === "failed";
}

/** One of the two lists. */
class Lane {
  /**
   * @param {string} title
   * @param {boolean} failed
   */
  constructor(title, failed) {
    this.slots = failed ? FAILED_SLOTS : GOOD_SLOTS;
    this.note = el("span", { class: "muted" });
    this.waiting = el("span", { class: "held", hidden: true });
    this.list = el("ul", { class: `tail-list${failed ? " failed" : ""}` });
    this.busy = occupied(this.list);
    // Asked in a frame, a selection makes the browser lay the page out; it tells when it changes.
    this.selected = false;
    document.addEventListener("selectionchange", () => {
      const selection = document.getSelection();
      this.selected = selection !== null && !selection.isCollapsed && this.list.contains(selection.anchorNode);
    });
    this.none = el("p", { class: "muted" }, failed ? "None." : "None yet.");
    this.root = el(
      "section",
      { class: "lane" },
      el("h3", {}, title, " ", this.note, this.waiting),
      this.list,
      this.none,
    );
    /** @type {Row[]} newest first */
    this.rows = [];
    /** @type {{item: HTMLLIElement, row: Row}[]} */
    this.shown = [];
    this.pending = 0;
    this.drawn = 0;
  }

  /** @param {Row[]} rows newest first */
  push(rows) {
    this.rows = [...rows, ...this.rows].slice(0, KEEP);
    this.pending += rows.length;
  }

  held() {
    return this.busy() || this.selected || this.list.querySelector("details[open]") !== null;
  }

  /**
   * @param {(row: Row) => boolean} wanted
   * @param {boolean} anew also when nothing came: the filter changed
   * @param {text.Clock} clock
   */
  draw(wanted, anew, clock) {
    const held = this.held();
    show(this.waiting, held && this.pending > 0);
    if (held && this.pending > 0) setText(this.waiting, `paused, ${text.count(this.pending)} new`);
    if (held || (!anew && this.pending === 0)) return;
    const since = performance.now() - this.drawn;
    if (!anew && this.pending > HANDFUL && since < CALM_MS) return;
    this.drawn = performance.now();
    this.pending = 0;
    const top = this.rows.filter(wanted).slice(0, this.slots);
    show(this.none, top.length === 0);
    const keep = new Map(this.shown.map((s) => [s.row, s]));
    const next = top.map((row) => keep.get(row) ?? { item: entry(row, clock), row });
    this.list.replaceChildren(...next.map((s) => s.item));
    this.shown = next;
  }

  /** @param {number} boundary */
  mark(boundary) {
    for (const { item, row } of this.shown) item.classList.toggle("committed", row.offset < boundary);
  }
}

/**
 * @param {Row} row
 * @param {text.Clock} clock
 */
function entry(row, clock) {
  const at = Date.parse(row.time);
  const time = el("time", { datetime: row.time, title: row.time }, Number.isFinite(at) ? clock.hmsMillis(at) : "-");
  const what = isFailed(row) && row.reason ? row.reason : value(row.page);
  const summary = el(
    "summary",
    {},
    el("span", { class: "dot", "aria-hidden": "true" }),
    time,
    el("span", { class: "app" }, value(row.app_id)),
    el("span", { class: "event" }, value(row.event_name)),
    el("span", { class: isFailed(row) ? "what reason" : "what" }, what),
  );
  const details = el("details", {}, summary);
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(facts(row));
  });
  return el("li", { "data-event": row.event_id ?? undefined, "data-offset": row.offset }, details);
}

/** @param {Row} row */
function facts(row) {
  const list = el("dl", { class: "facts" });
  const all = [
    ["reason", row.reason], ["what to do", row.hint], ["journal", `${text.count(row.offset)}.${row.index}`],
    ["event id", row.event_id], ["user", row.user], ["page", row.page], ["received", row.time],
  ];
  for (const [name, fact] of all) if (fact) list.append(el("div", {}, el("dt", {}, String(name)), el("dd", {}, value(fact))));
  const id = row.event_id;
  return el("div", { class: "opened" }, list, id ? copyButton("copy id", () => id) : null);
}

export class Tail {
  constructor() {
    this.good = new Lane("Good", false);
    this.failed = new Lane("Failed", true);
    /** @type {Set<string>} places that were seen: a row that a frame repeats is one row */
    this.seen = new Set();
    this.filterText = "";
  }

  /**
   * The stream begins with what is new; failed events of the last minutes come from the list of causes.
   * @param {Row[]} rows
   */
  seed(rows) {
    if (this.failed.rows.length === 0) this.failed.push(this.unseen(rows.filter(isFailed)));
  }

  /**
   * Rows that were not here yet, newest first.
   * @param {Row[]} rows
   */
  unseen(rows) {
    const fresh = rows.filter((row) => {
      const place = `${row.offset}.${row.index}`;
      if (this.seen.has(place)) return false;
      this.seen.add(place);
      return true;
    });
    if (this.seen.size > 4 * KEEP) this.seen = new Set([...this.seen].slice(-2 * KEEP));
    return fresh.sort((a, b) => b.offset - a.offset || b.index - a.index);
  }

  /** @param {import("./api.js").Frame} frame */
  push(frame) {
    const fresh = this.unseen(frame.tail?.rows ?? []);
    const failed = fresh.filter(isFailed);
    const good = fresh.filter((row) => !isFailed(row));
    if (good.length) this.good.push(good);
    if (failed.length) this.failed.push(failed);
  }

  /**
   * @param {import("./api.js").Frame} frame
   * @param {import("./url.js").Condition[]} filter
   * @param {text.Clock} clock
   */
  draw(frame, filter, clock) {
    const filterText = JSON.stringify(filter) + clock.zone;
    const anew = filterText !== this.filterText;
    this.filterText = filterText;
    // Kept rows cannot be tested for a field that they do not carry.
    if (anew && filter.some((c) => !KNOWN.includes(c.field))) this.good.rows = this.failed.rows = [];
    const wanted = (/** @type {Row} */ row) => passes(filter, (field) => fieldOf(row, field));
    setText(this.good.note, `showing ${this.good.shown.length} of ${text.rate(frame.rates.events)}/s`);
    setText(this.failed.note, `showing ${this.failed.shown.length} of ${text.rate(frame.rates.failed)}/s`);
    for (const lane of [this.good, this.failed]) {
      lane.draw(wanted, anew, clock);
      lane.mark(frame.boundary.offset);
    }
  }
}

/**
 * @param {Row} row
 * @param {string} field
 */
function fieldOf(row, field) {
  switch (field) {
    case "app_id": return row.app_id;
    case "event_name": return row.event_name;
    case "event_id": return row.event_id ?? null;
    case "page_urlpath": return row.page ?? null;
    default: return undefined;
  }
}
