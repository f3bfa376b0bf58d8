//! What every picture of the page shares: a canvas in device pixels, colours from the style sheet, hatches, axes.
//!
//! Colours are read as the browser computes them, so that a canvas follows the theme, forced colours and print without a
//! second list of colours.

/**
 * @typedef {{surface: string, raised: string, line: string, edge: string, text: string, muted: string, committed: string,
 *   committedText: string, memory: string, memoryText: string, failed: string, ok: string, warn: string, link: string,
 *   font: string, mono: string}} Colours
 */

const TOKENS = /** @type {const} */ ({
  surface: "--surface", raised: "--raised", line: "--line", edge: "--edge", text: "--text", muted: "--muted",
  committed: "--committed", committedText: "--committed-text", memory: "--memory", memoryText: "--memory-text",
  failed: "--failed", ok: "--ok", warn: "--warn", link: "--link",
});

/**
 * The tokens as the browser computes them now.
 * @returns {Colours}
 */
export function readColours() {
  const probe = document.createElement("span");
  probe.className = "offscreen";
  document.body.append(probe);
  /** @type {Record<string, string>} */
  const out = {};
  for (const [name, token] of Object.entries(TOKENS)) {
    probe.style.color = `var(${token})`;
    out[name] = getComputedStyle(probe).color;
  }
  out["font"] = getComputedStyle(document.body).fontFamily;
  probe.style.fontFamily = "var(--mono)";
  out["mono"] = getComputedStyle(probe).fontFamily;
  probe.remove();
  return /** @type {Colours} */ (/** @type {unknown} */ (out));
}

/**
 * Calls back when colours may have changed: theme, forced colours, print.
 * @param {() => void} changed
 */
export function onColoursChange(changed) {
  for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)", "(prefers-contrast: more)", "print"]) {
    matchMedia(query).addEventListener("change", changed);
  }
  new MutationObserver(changed).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
}

/**
 * A canvas that keeps its bitmap at the size and density at which it is shown. The browser tells the size when it has laid
 * the page out; asking for it in a frame, after elements have changed, would make it do that once more for every question.
 */
export class Surface {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => void} resized called when it must be drawn anew
   */
  constructor(canvas, resized) {
    this.canvas = canvas;
    const context = canvas.getContext("2d");
    if (!context) throw new Error("this browser has no canvas");
    this.context = context;
    /** Size in the units of the drawing: CSS px, divided by how much the page's type is enlarged. */
    this.width = 0;
    this.height = 0;
    this.zoom = 1;
    this.density = 1;
    new ResizeObserver(() => {
      this.zoom = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16 || 1;
      this.width = canvas.clientWidth / this.zoom;
      this.height = canvas.clientHeight / this.zoom;
      resized();
    }).observe(canvas);
  }

  /** Is it on the page? */
  isShown() {
    return this.width > 0;
  }

  fit() {
    this.density = Math.min(3, window.devicePixelRatio || 1) * this.zoom;
    const width = Math.round(this.width * this.density);
    const height = Math.round(this.height * this.density);
    if (width === this.canvas.width && height === this.canvas.height) return;
    this.canvas.width = width;
    this.canvas.height = height;
  }

  /**
   * Clears and returns the context, in the units of `width` and `height`.
   * @returns {CanvasRenderingContext2D}
   */
  begin() {
    this.fit();
    this.context.setTransform(this.density, 0, 0, this.density, 0, 0);
    this.context.clearRect(0, 0, this.width, this.height);
    return this.context;
  }
}

/** @type {Map<string, CanvasPattern>} a handful: two or three colours in each theme */
const hatches = new Map();

/**
 * A diagonal hatch.
 * @param {CanvasRenderingContext2D} context
 * @param {string} colour
 * @param {string | null} ground
 * @returns {CanvasPattern | string}
 */
export function hatch(context, colour, ground) {
  const key = `${colour} ${ground}`;
  const known = hatches.get(key);
  if (known) return known;
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const pen = tile.getContext("2d");
  if (!pen) return colour;
  if (ground) {
    pen.fillStyle = ground;
    pen.fillRect(0, 0, 6, 6);
  }
  pen.strokeStyle = colour;
  pen.lineWidth = 1.5;
  pen.beginPath();
  for (const shift of [-6, 0, 6]) {
    pen.moveTo(shift, 6);
    pen.lineTo(shift + 6, 0);
  }
  pen.stroke();
  const pattern = context.createPattern(tile, "repeat");
  if (!pattern) return colour;
  hatches.set(key, pattern);
  return pattern;
}

/**
 * Cuts a label so that it fits, or gives it up.
 * @param {CanvasRenderingContext2D} context
 * @param {string[]} candidates longest first
 * @param {number} room
 */
export function fitText(context, candidates, room) {
  return candidates.find((text) => context.measureText(text).width <= room) ?? "";
}

/** @returns {boolean} whether the reader asked for less motion */
export function reducedMotion() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** Steps of a time axis, in seconds. */
const STEPS = [5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

/**
 * Round moments of an interval, on whole minutes and hours of the zone.
 * @param {number} from ms
 * @param {number} to ms
 * @param {number} most labels that fit
 * @param {number} offsetMinutes what the zone is ahead of UTC
 * @returns {{at: number[], step: number}} ms, and the step in seconds
 */
export function timeTicks(from, to, most, offsetMinutes) {
  const seconds = (to - from) / 1000;
  const step = STEPS.find((s) => seconds / s <= Math.max(1, most)) ?? 86_400;
  const shift = offsetMinutes * 60;
  const at = [];
  for (let s = Math.ceil((from / 1000 + shift) / step) * step - shift; s * 1000 <= to; s += step) at.push(s * 1000);
  return { at, step };
}

/**
 * The smallest round number that is at least `value`.
 * @param {number} value
 */
export function roundUp(value) {
  if (value <= 4) return 4;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const m of [1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10]) if (m * power >= value) return Math.ceil(m * power);
  return 10 * power;
}

/** The top of a value axis: rises at once, sinks only when it has been too high for a while, so that bars do not pump. */
export class Ceiling {
  constructor() {
    this.top = 4;
    this.lowSince = 0;
  }

  /**
   * @param {number} highest
   * @param {number} now ms
   * @returns {number}
   */
  update(highest, now) {
    const wanted = roundUp(highest * 1.08);
    if (wanted >= this.top) {
      this.top = wanted;
      this.lowSince = now;
    } else if (highest > this.top * 0.6) this.lowSince = now;
    else if (now - this.lowSince > 4000) {
      this.top = wanted;
      this.lowSince = now;
    }
    return this.top;
  }
}

/** Linear place of a moment between two edges. */
export class TimeScale {
  /**
   * @param {number} from ms
   * @param {number} to ms
   * @param {number} left px
   * @param {number} right px
   */
  constructor(from, to, left, right) {
    this.from = from;
    this.to = to;
    this.left = left;
    this.right = right;
  }

  /** @param {number} ms */
  x(ms) {
    return this.left + ((ms - this.from) / (this.to - this.from)) * (this.right - this.left);
  }

  /** @param {number} x */
  time(x) {
    return this.from + ((x - this.left) / (this.right - this.left)) * (this.to - this.from);
  }

  /** @param {number} x */
  clamp(x) {
    return Math.min(this.right, Math.max(this.left, x));
  }
}
