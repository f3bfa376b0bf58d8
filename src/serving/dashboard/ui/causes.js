//! What fails now, by cause: how often, where in the event, in which sites, and what to do about it.
//!
//! Asked every five seconds while the page is looked at; the words, hints and commands are the server's, so that the command
//! line says the same.

import { get } from "./api.js";
import { copyButton, el, setText, show, value } from "./dom.js";
import * as text from "./format.js";

/** @typedef {import("./api.js").Cause} Cause */

const EVERY_MS = 5000;
const MOST = 6;

export class Causes {
  constructor() {
    this.list = el("ul", { class: "cause-list" });
    this.none = el("p", { class: "muted" }, "Nothing has failed.");
    this.root = el("div", {}, this.list, this.none);
    /** @type {Map<string, {item: HTMLLIElement, count: HTMLElement, note: HTMLElement}>} */
    this.shown = new Map();
    /** @type {Cause[]} */
    this.causes = [];
    this.timer = 0;
    /** @type {AbortController | null} */
    this.asking = null;
  }

  start() {
    this.stop();
    this.ask();
    this.timer = window.setInterval(() => this.ask(), EVERY_MS);
  }

  stop() {
    clearInterval(this.timer);
    this.asking?.abort();
    this.asking = null;
  }

  async ask() {
    if (this.asking) return;
    const asking = new AbortController();
    this.asking = asking;
    try {
      const answer = await get("v1/failed", asking.signal);
      this.draw(Array.isArray(answer) ? answer : (answer.failed ?? []));
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
    if (this.list.matches(":hover") || this.list.contains(document.activeElement)) {
      for (const cause of causes) this.refresh(cause);
      return;
    }
    const top = causes.slice(0, MOST);
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
  }

  /** @param {Cause} cause */
  add(cause) {
    const count = el("span", { class: "cause-count" });
    const note = el("span", { class: "cause-note" });
    const summary = el("summary", {}, count, el("span", { class: "cause-title" }, cause.title), note);
    const facts = el("dl", { class: "facts" });
    for (const [name, fact] of [["place", cause.path], ["got", cause.got], ["allowed", cause.want], ["what to do", cause.hint]]) {
      if (fact) facts.append(el("div", {}, el("dt", {}, String(name)), el("dd", {}, value(fact))));
    }
    const command = cause.command;
    const block = command
      ? el("div", { class: "command" }, el("code", {}, command), copyButton("copy", () => command))
      : null;
    const item = el("li", {}, el("details", {}, summary, facts, block));
    const made = { item, count, note };
    this.shown.set(cause.cause_id, made);
    return made;
  }
}

/** @param {Cause} cause */
function where(cause) {
  const apps = (cause.apps ?? []).slice(0, 3).map((a) => value(a)).join(", ");
  const more = (cause.apps?.length ?? 0) > 3 ? ` and ${(cause.apps?.length ?? 0) - 3} more` : "";
  return apps ? `from ${apps}${more}` : "";
}
