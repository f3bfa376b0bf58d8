//! The seam, drawn: two-tone bars of arrival time, the boundary that moves over them, the micro-batches under them.
//!
//! Blue is what the warehouse holds, amber is what memory holds; both halves of a bar come from one snapshot, so their
//! heights add up. The second that is still running is hatched. A stretch without an answer is grey, never zero.

import { Ceiling, fitText, hatch, reducedMotion, Surface, TimeScale, timeTicks } from "./paint.js";
import * as text from "./format.js";
import { drawLane, LANE } from "./lane.js";

/** @typedef {import("./paint.js").Colours} Colours */
/** @typedef {{t: number, batch: number, speed: number, merged: number}} Bar `t`: start, in seconds */
/**
 * Times are ms; `grain` is the width of a bar in seconds, `slots` their number; without `arrival` the axis is event time,
 * where the boundary is no line and micro-batches have no place.
 * @typedef {{end: number, grain: number, slots: number, arrival: boolean, bars: Map<number, Bar>, boundary: number,
 *   batches: import("./api.js").Batch[], lostSince: number, now: number, at: number, clock: text.Clock}} Model
 */

const LEFT = 46;
const TOP = 30;
const AXIS = 22;
const GLIDE_MS = 200;
/** A part that is not zero is seen, however tall its neighbours are. */
const LEAST_PX = 2;

export class Bars {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Colours} colours
   */
  constructor(canvas, colours) {
    this.surface = new Surface(canvas, () => this.redraw());
    this.colours = colours;
    this.ceiling = new Ceiling();
    /** @type {Model | null} */
    this.model = null;
    /** Where the boundary line stands while it glides. */
    this.shown = 0;
    this.glideFrom = 0;
    this.glideStart = 0;
    /** @type {number | null} start of the bar under the crosshair, s */
    this.cross = null;
  }

  /** @param {Colours} colours */
  recolour(colours) {
    this.colours = colours;
    this.redraw();
  }

  /** @param {Model} model */
  draw(model) {
    if (this.model && model.boundary > this.model.boundary && this.shown && !reducedMotion()) {
      this.glideFrom = this.shown;
      this.glideStart = performance.now();
      this.model = model;
      this.glide();
      return;
    }
    if (!this.glideStart) this.shown = model.boundary;
    this.model = model;
    this.redraw();
  }

  glide() {
    const model = this.model;
    if (!model) return;
    const part = Math.min(1, (performance.now() - this.glideStart) / GLIDE_MS);
    const eased = 1 - (1 - part) ** 3;
    this.shown = this.glideFrom + (model.boundary - this.glideFrom) * eased;
    this.redraw();
    if (part < 1) requestAnimationFrame(() => this.glide());
    else this.glideStart = 0;
  }

  /** @returns {TimeScale | null} */
  scale() {
    const model = this.model;
    if (!model) return null;
    return new TimeScale(model.end - model.slots * model.grain * 1000, model.end, LEFT, this.surface.width - 1);
  }

  redraw() {
    const model = this.model;
    const scale = this.scale();
    if (!model || !scale || !this.surface.isShown()) return;
    const pen = this.surface.begin();
    scale.right = this.surface.width - 1;
    const base = this.surface.height - AXIS - (model.arrival ? LANE : 0) - 0.5;
    pen.font = `500 12px ${this.colours.font}`;
    const top = this.ceiling.update(highest(model), model.now);
    if (model.arrival) this.memoryGround(pen, scale, base);
    this.grid(pen, base, top);
    this.unanswered(pen, scale, base);
    this.allBars(pen, scale, base, top);
    this.timeAxis(pen, scale, base);
    if (model.arrival) {
      drawLane(pen, scale, base + AXIS, model, this.colours);
      this.boundaryLine(pen, scale, base);
    } else this.eventTimeWords(pen);
    this.crosshair(pen, scale, base);
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {TimeScale} scale
   * @param {number} base
   */
  memoryGround(pen, scale, base) {
    if (!this.shown) return;
    const x = scale.clamp(scale.x(this.shown));
    const end = this.model?.lostSince ? scale.clamp(scale.x(this.model.lostSince)) : scale.right;
    pen.globalAlpha = 0.09;
    pen.fillStyle = this.colours.memory;
    pen.fillRect(x, TOP - 6, Math.max(0, end - x), base - TOP + 6);
    pen.globalAlpha = 1;
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {number} base
   * @param {number} top
   */
  grid(pen, base, top) {
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (const part of [0, 0.5, 1]) {
      const y = Math.round(base - part * (base - TOP)) + 0.5;
      pen.strokeStyle = part === 0 ? this.colours.edge : this.colours.line;
      pen.lineWidth = 1;
      pen.beginPath();
      pen.moveTo(LEFT, y);
      pen.lineTo(this.surface.width, y);
      pen.stroke();
      pen.fillStyle = this.colours.muted;
      pen.fillText(text.axis(Math.round(top * part), top), LEFT - 8, y);
    }
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {TimeScale} scale
   * @param {number} base
   */
  unanswered(pen, scale, base) {
    const model = /** @type {Model} */ (this.model);
    if (!model.lostSince) return;
    const x = scale.clamp(scale.x(model.lostSince));
    const width = scale.right - x;
    pen.fillStyle = this.colours.raised;
    pen.fillRect(x, TOP, width, base - TOP);
    pen.fillStyle = hatch(pen, this.colours.line, null);
    pen.fillRect(x, TOP, width, base - TOP);
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillStyle = this.colours.muted;
    const label = fitText(pen, [`no answer since ${model.clock.hms(model.lostSince)}`, "no answer"], width - 8);
    pen.fillText(label, x + width / 2, (TOP + base) / 2);
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {TimeScale} scale
   * @param {number} base
   * @param {number} top
   */
  allBars(pen, scale, base, top) {
    const model = /** @type {Model} */ (this.model);
    const first = Math.round(scale.from / 1000);
    const open = Math.floor(model.at / 1000 / model.grain) * model.grain;
    const slot = (scale.right - scale.left) / model.slots;
    const gap = slot >= 4 ? 1 : 0.5;
    const perEvent = (base - TOP) / top;
    const openFill = hatch(pen, this.colours.memory, this.colours.surface);
    for (let i = 0; i < model.slots; i += 1) {
      const bar = model.bars.get(first + i * model.grain);
      if (!bar || bar.merged <= 0) continue;
      const x = Math.round(scale.left + i * slot);
      const width = Math.max(1, Math.round(scale.left + (i + 1) * slot) - x - gap);
      const batch = bar.batch > 0 ? Math.max(LEAST_PX, Math.round(bar.batch * perEvent)) : 0;
      const speed = bar.speed > 0 ? Math.max(LEAST_PX, Math.round(bar.speed * perEvent)) : 0;
      pen.fillStyle = this.colours.committed;
      pen.fillRect(x, base - batch, width, batch);
      if (!speed) continue;
      const tall = Math.max(LEAST_PX, speed - (batch ? 1 : 0));
      const y = base - batch - (batch ? 1 : 0) - tall;
      pen.fillStyle = bar.t >= open ? openFill : this.colours.memory;
      pen.fillRect(x, y, width, tall);
      if (bar.t >= open && tall > 3) outline(pen, this.colours.memory, x, y, width, tall);
    }
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {TimeScale} scale
   * @param {number} base
   */
  timeAxis(pen, scale, base) {
    const model = /** @type {Model} */ (this.model);
    const most = Math.floor((scale.right - scale.left) / 84);
    const { at, step } = timeTicks(scale.from, scale.to, most, model.clock.offsetMinutes(model.now));
    const y = base + AXIS / 2 + 1;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    pen.fillStyle = this.colours.text;
    pen.fillText("now", scale.right, y);
    const limit = scale.right - pen.measureText("now").width - 12;
    pen.textAlign = "center";
    pen.fillStyle = this.colours.muted;
    for (const ms of at) {
      const label = step < 60 ? model.clock.hms(ms) : model.clock.hm(ms);
      const half = pen.measureText(label).width / 2;
      const x = scale.x(ms);
      if (x - half < scale.left - 6 || x + half > limit) continue;
      pen.fillRect(Math.round(x), base, 1, 4);
      pen.fillText(label, x, y);
    }
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {TimeScale} scale
   * @param {number} base
   */
  boundaryLine(pen, scale, base) {
    const model = /** @type {Model} */ (this.model);
    if (!this.shown) return;
    const at = scale.x(this.shown);
    const x = Math.round(scale.clamp(at)) + 0.5;
    pen.strokeStyle = this.colours.text;
    pen.lineWidth = 1.5;
    pen.beginPath();
    // Not through the labels of the axis.
    pen.moveTo(x, TOP - 8);
    pen.lineTo(x, base);
    pen.moveTo(x, base + AXIS);
    pen.lineTo(x, base + AXIS + LANE - 2);
    pen.stroke();
    const words = `${at < scale.left ? "◂ " : ""}boundary ${model.clock.hms(model.boundary)}`;
    pen.font = `600 12px ${this.colours.font}`;
    const width = pen.measureText(words).width + 16;
    // The label hangs on the side of history, so that the short side of memory keeps room for its own name.
    const left = Math.max(x + 0.75 - width, Math.min(scale.left, x));
    pen.fillStyle = this.colours.text;
    pen.beginPath();
    pen.roundRect(left, 1, width, 21, 4);
    pen.fill();
    pen.fillStyle = this.colours.surface;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(words, left + width / 2, 12);
    this.sides(pen, scale, left, width);
  }

  /**
   * On an axis of event time there is no boundary line; what came late is said in words.
   * @param {CanvasRenderingContext2D} pen
   */
  eventTimeWords(pen) {
    const model = /** @type {Model} */ (this.model);
    const edge = Math.floor(model.boundary / 1000 / model.grain) * model.grain;
    const late = [...model.bars.values()].filter((bar) => bar.t < edge && bar.speed > 0);
    const sum = late.reduce((all, bar) => all + bar.speed, 0);
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    pen.fillStyle = this.colours.muted;
    pen.fillText(`by minute of event time${sum && model.boundary ? `; ${text.count(sum)} late, in ${late.length} ${late.length === 1 ? "bucket" : "buckets"}` : ""}`, LEFT, 12);
  }

  /**
   * The names of the two sides, where there is room beside the label of the boundary.
   * @param {CanvasRenderingContext2D} pen
   * @param {TimeScale} scale
   * @param {number} left
   * @param {number} width
   */
  sides(pen, scale, left, width) {
    pen.font = `500 12px ${this.colours.font}`;
    pen.textAlign = "right";
    pen.fillStyle = this.colours.committedText;
    if (left - scale.left > 120) pen.fillText("committed", left - 10, 12);
    pen.fillStyle = this.colours.memoryText;
    const room = this.surface.width - left - width - 8;
    pen.textAlign = "left";
    pen.fillText(fitText(pen, ["in memory", "memory"], room), left + width + 8, 12);
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {TimeScale} scale
   * @param {number} base
   */
  crosshair(pen, scale, base) {
    if (this.cross === null) return;
    const x = scale.x((this.cross + (this.model?.grain ?? 1) / 2) * 1000);
    if (x < scale.left || x > scale.right) return;
    pen.strokeStyle = this.colours.muted;
    pen.setLineDash([3, 3]);
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(Math.round(x) + 0.5, TOP - 6);
    pen.lineTo(Math.round(x) + 0.5, base);
    pen.stroke();
    pen.setLineDash([]);
  }

  /**
   * @param {number} cssX CSS px in the canvas
   * @returns {number | null} start of the bar there, s
   */
  barAt(cssX) {
    const x = cssX / this.surface.zoom;
    const scale = this.scale();
    const grain = this.model?.grain ?? 1;
    if (!scale || x < scale.left || x > scale.right) return null;
    return Math.floor(scale.time(x) / 1000 / grain) * grain;
  }
}

/** @param {Model} model */
function highest(model) {
  let most = 0;
  const from = model.end / 1000 - model.slots * model.grain;
  for (const bar of model.bars.values()) if (bar.t >= from && bar.merged > most) most = bar.merged;
  return most;
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {string} colour
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} height
 */
function outline(pen, colour, x, y, width, height) {
  pen.strokeStyle = colour;
  pen.lineWidth = 1;
  pen.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
}
