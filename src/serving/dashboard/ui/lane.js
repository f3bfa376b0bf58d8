//! The row of micro-batches under the bars, each from its first to its last arrival on the same axis.
//!
//! Committed ones are blue with their number of rows; the others are amber with their state in words, and the open one is
//! hatched, so that it is told apart in grey too.

import * as text from "./format.js";
import { fitText, hatch } from "./paint.js";

/** @typedef {import("./api.js").Batch} Batch */
/** @typedef {import("./paint.js").Colours} Colours */
/** @typedef {{x: number, y: number, width: number, height: number}} Box */

/** Height of the row, px. */
export const LANE = 26;
/** A box that is narrower than this is not drawn. */
const LEAST_WIDTH = 3;

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {import("./paint.js").TimeScale} scale
 * @param {number} y
 * @param {import("./bars.js").Model} model
 * @param {Colours} colours
 */
export function drawLane(pen, scale, y, model, colours) {
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  for (const batch of model.batches) {
    const first = batch.times?.first ? Date.parse(batch.times.first) : NaN;
    const last = batch.state === "open" ? model.at : batch.times?.last ? Date.parse(batch.times.last) : NaN;
    if (!(last >= scale.from) || !(first <= scale.to)) continue;
    const x = Math.round(scale.clamp(scale.x(first))) + 0.5;
    const width = Math.round(scale.clamp(scale.x(last))) - 2 - x + 0.5;
    if (width >= LEAST_WIDTH) drawBatch(pen, batch, { x, y: y + 0.5, width, height: LANE - 3 }, colours);
  }
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {Batch} batch
 * @param {Box} box
 * @param {Colours} colours
 */
function drawBatch(pen, batch, box, colours) {
  const done = batch.state === "committed";
  const open = batch.state === "open";
  pen.beginPath();
  pen.roundRect(box.x, box.y, box.width, box.height, 4);
  pen.globalAlpha = open ? 0.45 : 0.14;
  pen.fillStyle = open ? hatch(pen, colours.memory, null) : done ? colours.committed : colours.memory;
  pen.fill();
  pen.globalAlpha = 1;
  pen.lineWidth = 1;
  pen.strokeStyle = done ? colours.committed : colours.memory;
  pen.stroke();
  const rows = text.count(batch.rows);
  const short = text.axis(batch.rows, batch.rows);
  const label = fitText(pen, done ? [rows, short] : [`${batch.state} ${rows}`, batch.state, rows, short], box.width - 8);
  if (!label) return;
  const x = box.x + box.width / 2;
  const y = box.y + box.height / 2;
  if (open) plate(pen, label, x, y, colours.surface);
  pen.fillStyle = done ? colours.committedText : colours.memoryText;
  pen.fillText(label, x, y + 0.5);
}

/**
 * Quiet ground under a label that stands on a hatch.
 * @param {CanvasRenderingContext2D} pen
 * @param {string} label
 * @param {number} x
 * @param {number} y
 * @param {string} ground
 */
function plate(pen, label, x, y, ground) {
  const width = pen.measureText(label).width + 8;
  pen.fillStyle = ground;
  pen.beginPath();
  pen.roundRect(x - width / 2, y - 8, width, 16, 3);
  pen.fill();
}
