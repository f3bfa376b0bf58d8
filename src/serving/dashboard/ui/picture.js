//! The signature picture as one thing: `merged = committed + in memory`, the bars under it, the crosshair, the same as a table.
//!
//! The three numbers come from one row of one frame. They are never rounded and never animated: at every moment the sum on
//! the screen can be done by hand.

import { ApiError, get } from "./api.js";
import { Bars } from "./bars.js";
import { append, el, setText, show } from "./dom.js";
import * as text from "./format.js";

/** @typedef {{batch: number, speed: number, merged: number}} Parts */

/**
 * One term: its number over its words.
 * @param {string} kind
 * @param {string} sign
 */
function term(kind, sign) {
  const number = el("span", { class: "term-number" }, "-");
  const name = el("span", { class: "term-name" });
  const note = el("span", { class: "term-note" });
  const root = el(
    "div",
    { class: `term ${kind}` },
    sign ? el("span", { class: "sign" }, sign) : null,
    el("div", {}, number, el("div", { class: "term-words" }, name, note)),
  );
  return { root, number, name, note };
}

export class Headline {
  /** @param {() => string} verifyPath the question that the button has checked */
  constructor(verifyPath) {
    this.verifyPath = verifyPath;
    this.merged = term("merged", "");
    this.batch = term("committed", "=");
    this.speed = term("memory", "+");
    setText(this.batch.name, "committed");
    setText(this.speed.name, "in memory");
    this.button = el("button", { type: "button", class: "small", title: "Ask the warehouse the same question as SQL (v)" }, "verify");
    this.button.addEventListener("click", () => this.verify());
    this.result = el("p", { class: "verify-result", role: "status", hidden: true });
    const sum = el("div", { class: "sum", id: "sum" }, this.merged.root, this.batch.root, this.speed.root);
    this.root = el("div", { class: "headline" }, sum, el("div", { class: "verify" }, this.button), this.result);
  }

  /**
   * @param {Parts} parts
   * @param {string} what the words under the total: view, window, filter
   * @param {{boundaryOffset: number, memoryMs: number | null}} seam
   */
  draw(parts, what, seam) {
    setText(this.merged.number, text.count(parts.merged));
    setText(this.batch.number, text.count(parts.batch));
    setText(this.speed.number, text.count(parts.speed));
    setText(this.merged.name, what);
    setText(this.batch.note, `up to offset ${text.count(seam.boundaryOffset)}`);
    setText(this.speed.note, seam.memoryMs === null ? "" : `last ${text.duration(seam.memoryMs)}`);
  }

  async verify() {
    this.button.disabled = true;
    this.say("asking the warehouse …", "");
    try {
      const answer = await get(this.verifyPath());
      const outcome = answer.verify ?? answer;
      if (typeof outcome.equal !== "boolean") throw new ApiError(0, "this server does not verify");
      const differences = outcome.differences?.length ?? 0;
      const rows = outcome.compared ?? answer.rows?.length ?? 0;
      if (outcome.equal) this.say(`equal, ${text.count(rows)} of ${text.count(rows)} buckets, by SQL in the same snapshot`, "good");
      else this.say(`different in ${text.count(differences)} of ${text.count(rows)} buckets`, "bad");
    } catch (error) {
      const e = error instanceof ApiError ? error : new ApiError(0, String(error));
      this.say(`not verified: ${e.message}${e.hint ? `. ${e.hint}` : ""}`, "bad");
    } finally {
      this.button.disabled = false;
    }
  }

  /**
   * @param {string} words
   * @param {"" | "good" | "bad"} tone
   */
  say(words, tone) {
    this.result.replaceChildren();
    this.result.className = `verify-result ${tone}`;
    append(this.result, tone === "good" ? "✓ " : tone === "bad" ? "✕ " : "", words);
    show(this.result, true);
  }
}

/** @typedef {import("./bars.js").Bar} Bar */
/** @typedef {import("./bars.js").Model} Model */

export class Picture {
  /**
   * @param {import("./paint.js").Colours} colours
   * @param {() => string} verifyPath
   */
  constructor(colours, verifyPath) {
    this.headline = new Headline(verifyPath);
    this.canvas = el("canvas", { class: "bars-paint", "aria-hidden": "true" });
    this.tip = el("div", { class: "tip", hidden: true, role: "status" });
    this.frame = el("div", { class: "bars", tabindex: 0, role: "img", "aria-label": "Events a second, waiting for the first frame" }, this.canvas, this.tip);
    this.bars = new Bars(this.canvas, colours);
    this.twin = new Twin();
    this.toggle = el("button", { type: "button", class: "small", "aria-expanded": "false", title: "The same as a table (x)" }, "table");
    this.toggle.addEventListener("click", () => this.showTable());
    this.headline.root.querySelector(".verify")?.append(this.toggle);
    this.root = el("section", { class: "picture card", "aria-label": "Events in both layers" }, this.headline.root, this.frame, this.twin.root);
    this.listen();
  }

  showTable() {
    show(this.twin.root, this.twin.root.hidden !== false);
    this.toggle.setAttribute("aria-expanded", String(!this.twin.root.hidden));
    if (this.bars.model) this.twin.draw(this.bars.model);
  }

  listen() {
    this.frame.addEventListener("pointermove", (e) => {
      this.point(this.bars.barAt(e.clientX - this.canvas.getBoundingClientRect().left));
    });
    this.frame.addEventListener("pointerleave", () => this.point(null));
    this.frame.addEventListener("blur", () => this.point(null));
    this.frame.addEventListener("keydown", (e) => {
      const step = e.key === "ArrowLeft" ? -1 : e.key === "ArrowRight" ? 1 : 0;
      const model = this.bars.model;
      if (!step || !model) return;
      e.preventDefault();
      const end = Math.round(model.end / 1000);
      const from = this.bars.cross ?? end;
      this.point(Math.min(end - model.grain, Math.max(end - model.slots * model.grain, from + step * model.grain)));
    });
  }

  /** @param {number | null} start of a bar, s */
  point(start) {
    if (start === null && this.bars.cross === null) return;
    this.bars.cross = start;
    this.bars.redraw();
    this.drawTip();
  }

  drawTip() {
    const model = this.bars.model;
    const start = this.bars.cross;
    const scale = this.bars.scale();
    show(this.tip, start !== null && model !== null);
    if (start === null || !model || !scale) return;
    const ms = start * 1000;
    const here = `${text.stamp(model.clock, ms, model.grain)} ${model.clock.zone}`;
    const utc = `${text.stamp(UTC, ms, model.grain)} UTC`;
    this.tip.replaceChildren(
      el("b", {}, here),
      ...(utc === here ? [] : [el("span", { class: "muted" }, utc)]),
      ...tipLines(model, start),
    );
    const x = scale.x(ms + model.grain * 500) * this.bars.surface.zoom;
    const width = this.tip.offsetWidth;
    const left = x + 12 + width > this.frame.clientWidth ? x - 12 - width : x + 12;
    this.tip.style.transform = `translate(${Math.max(0, Math.round(left))}px, 34px)`;
  }

  /** @param {Model} model */
  draw(model) {
    this.bars.draw(model);
    if (this.bars.cross !== null) this.drawTip();
    if (!this.twin.root.hidden) this.twin.draw(model);
  }

  /** @param {string} summary for readers who do not see the picture; every few seconds at most */
  describe(summary) {
    this.frame.setAttribute("aria-label", summary);
  }
}

const UTC = new text.Clock("UTC");

/**
 * @param {Model} model
 * @param {number} start s
 * @returns {HTMLElement[]}
 */
function tipLines(model, start) {
  const ms = start * 1000;
  if (model.lostSince > 0 && ms >= model.lostSince) return [el("span", {}, "no answer")];
  const bar = model.bars.get(start) ?? { batch: 0, speed: 0, merged: 0 };
  const open = ms + model.grain * 1000 > model.at;
  const lines = [
    el("span", { class: "tip-sum" }, `${text.count(bar.merged)} events${open ? " so far" : ""}`),
    el("span", { class: "tip-batch" }, `= ${text.count(bar.batch)} committed`),
    el("span", { class: "tip-speed" }, `+ ${text.count(bar.speed)} in memory`),
  ];
  const batch = model.arrival ? model.batches.find((b) => holds(b, ms, model.at)) : undefined;
  if (batch) lines.push(el("span", { class: "muted" }, `micro-batch ${text.count(batch.from)}, ${batch.state}`));
  return lines;
}

/**
 * @param {import("./api.js").Batch} batch
 * @param {number} ms
 * @param {number} now
 */
function holds(batch, ms, now) {
  const first = batch.times?.first ? Date.parse(batch.times.first) : NaN;
  const last = batch.state === "open" ? now : batch.times?.last ? Date.parse(batch.times.last) : NaN;
  return ms + 999 >= first && ms <= last;
}

/** The bars as a table: the same numbers, newest first, updated in place. */
class Twin {
  constructor() {
    this.body = el("tbody", {});
    const head = ["time", "events", "committed", "in memory"].map((name) => el("th", { scope: "col" }, name));
    this.root = el(
      "div",
      { class: "twin", hidden: true, tabindex: 0, role: "region", "aria-label": "Events a second as a table" },
      el("table", {}, el("thead", {}, el("tr", {}, ...head)), this.body),
    );
    /** @type {HTMLTableRowElement[]} */
    this.rows = [];
  }

  /** @param {Model} model */
  draw(model) {
    const newest = Math.round(model.end / 1000) - model.grain;
    while (this.rows.length < model.slots) {
      const row = el("tr", {}, el("th", { scope: "row" }), el("td", {}), el("td", {}), el("td", {}));
      this.rows.push(row);
      this.body.append(row);
    }
    this.rows.forEach((row, i) => {
      const start = newest - i * model.grain;
      show(row, i < model.slots);
      const boundary = model.arrival && start * 1000 <= model.boundary && model.boundary < (start + model.grain) * 1000;
      row.classList.toggle("boundary", boundary);
      const bar = model.bars.get(start);
      const lost = model.lostSince > 0 && start * 1000 >= model.lostSince;
      const cells = lost
        ? ["no answer", "-", "-"]
        : [text.count(bar?.merged ?? 0), text.count(bar?.batch ?? 0), text.count(bar?.speed ?? 0)];
      [text.stamp(model.clock, start * 1000, model.grain), ...cells].forEach((words, c) => setText(/** @type {Element} */ (row.children[c]), words));
    });
  }
}
