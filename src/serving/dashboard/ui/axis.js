//! One time axis and one value axis: where things are, and which labels are round.

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
