//! The row of figures under the picture: each with its window beside it, each read from the same frame.

import { el, setText, show } from "./dom.js";
import * as text from "./format.js";

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
    const { failed, enriched, duplicates } = frame.equation;
    // Counters that went back are another process's: what was counted before says nothing about it.
    if (last && failed < last.failed) this.marks = [];
    if (last && at - last.at < 1000) return;
    this.marks.push({ at, failed, all: enriched + failed + duplicates });
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

/**
 * How long a window really was, as a label: a page that was opened a moment ago says so.
 * @param {number} wanted ms
 * @param {number} covered ms
 */
export function windowLabel(wanted, covered) {
  const ms = covered >= wanted - 1500 ? wanted : Math.max(1000, covered);
  return ms < 60_000 ? `${Math.round(ms / 1000)} s` : text.duration(ms);
}
