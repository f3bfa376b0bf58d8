//! The panels around the picture: the row of figures, the top pages, the causes of failure.
//!
//! A figure has its window beside it. Causes are asked for every five seconds while the page is looked at; their words, hints
//! and commands are the server's, so that the command line says the same.

import { get } from "./api.js";
import { copyButton, el, occupied, setText, show, value } from "./dom.js";
import * as text from "./format.js";
import { Surface } from "./paint.js";

/** @typedef {{label: string, value: string, note?: string, tone?: "" | "failed" | "warn"}} Figure */

/** The share of failed events over the last minutes, from the counters that every frame carries. */
export class Failures {
  constructor() {
    /** @type {{at: number, failed: number, all: number}[]} one a second */
    this.marks = [];
  }

  /**
   * @param {import("./api.js").Frame} frame
   * @param {number} at ms
   */
  push(frame, at) {
    const last = this.marks[this.marks.length - 1];
    const { failed: standing, repaired, enriched, duplicates } = frame.equation;
    // What arrived and failed; a repair later on takes nothing back from that.
    const failed = standing + (repaired ?? 0);
    // Counters that went back are another process's: what was counted before says nothing about it.
    if (last && failed < last.failed) this.marks = [];
    if (last && at - last.at < 1000) return;
    this.marks.push({ at, failed, all: enriched + standing + duplicates });
    while (this.marks.length > 3700) this.marks.shift();
  }

  /**
   * @param {number} ms how far back
   * @returns {{failed: number, all: number, ms: number}} with the time that is really covered
   */
  over(ms) {
    const last = this.marks[this.marks.length - 1];
    if (!last) return { failed: 0, all: 0, ms: 0 };
    let first = last;
    for (let i = this.marks.length - 1; i >= 0; i -= 1) {
      const mark = this.marks[i];
      if (!mark || last.at - mark.at > ms) break;
      first = mark;
    }
    return { failed: last.failed - first.failed, all: last.all - first.all, ms: last.at - first.at };
  }
}

export class Figures {
  constructor() {
    this.root = el("dl", { class: "figures card" });
    /** @type {{cell: HTMLDivElement, label: HTMLElement, number: HTMLElement, note: HTMLElement}[]} */
    this.cells = [];
  }

  /** @param {Figure[]} figures */
  draw(figures) {
    figures.forEach((figure, i) => {
      const cell = this.cells[i] ?? this.add();
      setText(cell.label, figure.label);
      setText(cell.number, figure.value);
      setText(cell.note, figure.note ?? "");
      show(cell.cell, true);
      cell.cell.dataset["tone"] = figure.tone ?? "";
    });
    for (const cell of this.cells.slice(figures.length)) show(cell.cell, false);
  }

  add() {
    const label = el("dt", {});
    const number = el("span", { class: "figure" });
    const note = el("span", { class: "figure-note" });
    const cell = el("div", {}, label, el("dd", {}, number, note));
    this.root.append(cell);
    const made = { cell, label, number, note };
    this.cells.push(made);
    return made;
  }
}

/** @typedef {{name: string, batch: number, speed: number, merged: number}} Entry */

const MOST_PAGES = 10;
const REDRAW_MS = 1000;

export class Top {
  constructor() {
    this.list = el("ol", { class: "top-list" });
    this.busy = occupied(this.list);
    this.none = el("p", { class: "muted" }, "No page view in the last hour.");
    this.root = el("div", {}, this.list, this.none);
    /** @type {{item: HTMLLIElement, name: HTMLElement, number: HTMLElement, batch: HTMLElement, speed: HTMLElement}[]} */
    this.rows = [];
    this.drawn = 0;
  }

  /** @param {Entry[]} entries by their rank */
  draw(entries) {
    if (performance.now() - this.drawn < REDRAW_MS || this.busy()) return;
    this.drawn = performance.now();
    const top = entries.slice(0, MOST_PAGES);
    const most = Math.max(1, top[0]?.merged ?? 0);
    show(this.none, top.length === 0);
    top.forEach((entry, i) => {
      const row = this.rows[i] ?? this.add();
      setText(row.name, entry.name);
      setText(row.number, text.count(entry.merged));
      row.item.title = `${text.count(entry.batch)} committed + ${text.count(entry.speed)} in memory`;
      row.batch.style.width = `${(entry.batch / most) * 100}%`;
      row.speed.style.width = `${(entry.speed / most) * 100}%`;
      show(row.speed, entry.speed > 0);
      show(row.item, true);
    });
    for (const row of this.rows.slice(top.length)) show(row.item, false);
  }

  add() {
    const name = el("span", { class: "top-name" });
    const number = el("span", { class: "top-number" });
    const batch = el("span", { class: "tone committed" });
    const speed = el("span", { class: "tone memory" });
    const item = el("li", {}, name, number, el("span", { class: "top-bar", "aria-hidden": "true" }, batch, speed));
    this.list.append(item);
    const made = { item, name, number, batch, speed };
    this.rows.push(made);
    return made;
  }
}

/** @typedef {import("./api.js").Cause} Cause */

const EVERY_MS = 5000;
const MOST_CAUSES = 6;

export class Causes {
  /**
   * @param {() => string} path the question
   * @param {import("./paint.js").Colours} colours
   * @param {(rows: import("./api.js").TailRow[]) => void} found takes the examples of all causes, once
   */
  constructor(path, colours, found) {
    this.path = path;
    this.colours = colours;
    this.found = found;
    /** @type {number | null} failed events of the last five minutes */
    this.total = null;
    this.list = el("ul", { class: "cause-list" });
    this.busy = occupied(this.list);
    this.none = el("p", { class: "muted" }, "Nothing failed in the last five minutes.");
    this.root = el("div", {}, this.list, this.none);
    /** @type {Map<string, {item: HTMLLIElement, count: HTMLElement, note: HTMLElement, series: Surface}>} */
    this.shown = new Map();
    /** @type {Cause[]} */
    this.causes = [];
    this.timer = 0;
    this.asked = "";
    /** @type {AbortController | null} */
    this.asking = null;
  }

  /** Asks, now if the question is another one, and then every few seconds. */
  start() {
    if (this.timer && this.asked === this.path()) return;
    this.stop();
    this.asked = this.path();
    this.ask();
    this.timer = window.setInterval(() => this.ask(), EVERY_MS);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = 0;
    this.asking?.abort();
    this.asking = null;
  }

  async ask() {
    if (this.asking) return;
    const asking = new AbortController();
    this.asking = asking;
    try {
      const first = this.total === null;
      const answer = await get(`${this.path()}&examples=${first ? 2 : 0}`, asking.signal);
      this.total = Number(answer.total ?? 0);
      this.draw(answer.failed ?? []);
      if (first) this.found(this.causes.flatMap((cause) => (cause.examples ?? []).map((place) => exampleRow(cause, place))));
    } catch {
      // The stream says when the server is away; the last causes stay, and the next question is five seconds off.
    } finally {
      if (this.asking === asking) this.asking = null;
    }
  }

  /** @param {Cause[]} causes */
  draw(causes) {
    this.causes = causes;
    show(this.none, causes.length === 0);
    if (this.busy()) {
      for (const cause of causes) this.refresh(cause);
      return;
    }
    const top = causes.slice(0, MOST_CAUSES);
    const wanted = new Set(top.map((c) => c.cause_id));
    for (const [id, row] of this.shown) {
      if (wanted.has(id)) continue;
      row.item.remove();
      this.shown.delete(id);
    }
    top.forEach((cause, i) => {
      const row = this.shown.get(cause.cause_id) ?? this.add(cause);
      this.refresh(cause);
      if (this.list.children[i] !== row.item) this.list.insertBefore(row.item, this.list.children[i] ?? null);
    });
  }

  /** @param {Cause} cause */
  refresh(cause) {
    const row = this.shown.get(cause.cause_id);
    if (!row) return;
    setText(row.count, `× ${text.count(cause.count)}`);
    setText(row.note, where(cause));
    drawSeries(row.series, cause.series ?? [], this.colours);
  }

  /** @param {import("./paint.js").Colours} colours */
  recolour(colours) {
    this.colours = colours;
    for (const cause of this.causes) this.refresh(cause);
  }

  /** @param {Cause} cause */
  add(cause) {
    const count = el("span", { class: "cause-count" });
    const note = el("span", { class: "cause-note" });
    const series = el("canvas", { class: "cause-series", "aria-hidden": "true" });
    const summary = el("summary", {}, count, el("span", { class: "cause-title" }, cause.title), series, note);
    const facts = el("dl", { class: "facts" });
    for (const [name, fact] of [["place", cause.path], ["got", cause.got], ["allowed", cause.want], ["what to do", cause.hint]]) {
      if (fact) facts.append(el("div", {}, el("dt", {}, String(name)), el("dd", {}, value(fact))));
    }
    const command = cause.command;
    const block = command
      ? el("div", { class: "command" }, el("code", {}, command), copyButton("copy", () => command))
      : null;
    const item = el("li", {}, el("details", {}, summary, facts, block));
    const made = { item, count, note, series: new Surface(series, () => this.refresh(this.causes.find((c) => c.cause_id === cause.cause_id) ?? cause)) };
    this.shown.set(cause.cause_id, made);
    return made;
  }
}

/**
 * An example of a cause as a row of the tail.
 * @param {Cause} cause
 * @param {{offset: number, index: number, app_id?: string | null, time?: string | null}} place
 * @returns {import("./api.js").TailRow}
 */
function exampleRow(cause, { offset, index, app_id, time }) {
  return {
    offset, index, state: "failed", time: time ?? cause.last ?? "", app_id: app_id ?? null, event_name: null,
    reason: cause.title, hint: cause.hint ?? null,
  };
}

/**
 * Counts of a cause over the last minutes, as small bars.
 * @param {Surface} surface
 * @param {number[]} series
 * @param {import("./paint.js").Colours} colours
 */
function drawSeries(surface, series, colours) {
  if (!surface.isShown()) return;
  const pen = surface.begin();
  const most = Math.max(1, ...series);
  const slot = surface.width / Math.max(1, series.length);
  pen.fillStyle = colours.failed;
  series.forEach((n, i) => {
    const tall = n > 0 ? Math.max(1.5, (n / most) * surface.height) : 0;
    pen.fillRect(i * slot, surface.height - tall, Math.max(1, slot - 1), tall);
  });
}

/** @param {Cause} cause */
function where(cause) {
  const apps = (cause.apps ?? []).slice(0, 3).map((a) => value(a)).join(", ");
  const more = (cause.apps?.length ?? 0) > 3 ? ` and ${(cause.apps?.length ?? 0) - 3} more` : "";
  return apps ? `from ${apps}${more}` : "";
}
