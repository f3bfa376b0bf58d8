//! Top pages: horizontal two-tone bars, one per page, with the exact count.

import { el, setText, show } from "./dom.js";
import * as text from "./format.js";

/** @typedef {{name: string, batch: number, speed: number, merged: number}} Entry */

const MOST = 10;
const REDRAW_MS = 1000;

export class Top {
  constructor() {
    this.list = el("ol", { class: "top-list" });
    this.none = el("p", { class: "muted" }, "No page view in the last hour.");
    this.root = el("div", {}, this.list, this.none);
    /** @type {{item: HTMLLIElement, name: HTMLElement, number: HTMLElement, batch: HTMLElement, speed: HTMLElement}[]} */
    this.rows = [];
    this.drawn = 0;
  }

  /** @param {Entry[]} entries in any order */
  draw(entries) {
    if (performance.now() - this.drawn < REDRAW_MS || this.list.matches(":hover")) return;
    this.drawn = performance.now();
    const top = [...entries].sort((a, b) => b.merged - a.merged || a.name.localeCompare(b.name)).slice(0, MOST);
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
