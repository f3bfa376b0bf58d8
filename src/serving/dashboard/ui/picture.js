//! The signature picture as one thing: the sum, the bars under it, the crosshair, and the same data as a table.

import { Bars } from "./bars.js";
import { el, setText, show } from "./dom.js";
import * as text from "./format.js";
import { Headline } from "./headline.js";

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
    show(this.twin.root, this.twin.root.hidden);
    this.toggle.setAttribute("aria-expanded", String(!this.twin.root.hidden));
    if (this.bars.model) this.twin.draw(this.bars.model);
  }

  listen() {
    this.frame.addEventListener("pointermove", (e) => {
      this.point(this.bars.secondAt(e.clientX - this.canvas.getBoundingClientRect().left));
    });
    this.frame.addEventListener("pointerleave", () => this.point(null));
    this.frame.addEventListener("blur", () => this.point(null));
    this.frame.addEventListener("keydown", (e) => {
      const step = e.key === "ArrowLeft" ? -1 : e.key === "ArrowRight" ? 1 : 0;
      const model = this.bars.model;
      if (!step || !model) return;
      e.preventDefault();
      const first = Math.round(model.end / 1000) - model.span;
      const from = this.bars.cross ?? first + model.span;
      this.point(Math.min(first + model.span - 1, Math.max(first, from + step)));
    });
  }

  /** @param {number | null} second */
  point(second) {
    if (second === null && this.bars.cross === null) return;
    this.bars.cross = second;
    this.bars.redraw();
    this.drawTip();
  }

  drawTip() {
    const model = this.bars.model;
    const second = this.bars.cross;
    const scale = this.bars.scale();
    show(this.tip, second !== null && model !== null);
    if (second === null || !model || !scale) return;
    const bar = model.bars.get(second) ?? { t: second, batch: 0, speed: 0, merged: 0 };
    const batch = model.batches.find((b) => holds(b, second * 1000, model.now));
    const lost = model.lostSince > 0 && second * 1000 >= model.lostSince;
    const lines = lost
      ? ["no answer"]
      : [`${text.count(bar.merged)} events${second >= Math.floor(model.now / 1000) ? " so far" : ""}`, `= ${text.count(bar.batch)} committed`, `+ ${text.count(bar.speed)} in memory`];
    if (batch) lines.push(`micro-batch ${text.count(batch.from)}, ${batch.state}`);
    this.tip.replaceChildren(
      el("b", {}, `${model.clock.hms(second * 1000)} ${model.clock.zone}`),
      el("span", { class: "muted" }, `${text.utc(second * 1000).slice(11, 19)} UTC`),
      ...lines.map((line) => el("span", {}, line)),
    );
    const x = scale.x((second + 0.5) * 1000);
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
    const newest = Math.round(model.end / 1000) - 1;
    while (this.rows.length < model.span) {
      const row = el("tr", {}, el("th", { scope: "row" }), el("td", {}), el("td", {}), el("td", {}));
      this.rows.push(row);
      this.body.append(row);
    }
    this.rows.forEach((row, i) => {
      const second = newest - i;
      show(row, i < model.span);
      const bar = model.bars.get(second);
      const lost = model.lostSince > 0 && second * 1000 >= model.lostSince;
      const cells = lost
        ? ["no answer", "-", "-"]
        : [text.count(bar?.merged ?? 0), text.count(bar?.batch ?? 0), text.count(bar?.speed ?? 0)];
      [model.clock.hms(second * 1000), ...cells].forEach((words, c) => setText(/** @type {Element} */ (row.children[c]), words));
    });
  }
}
