//! Numbers, durations and times as text: one way each, on every page.
//!
//! A count is always exact. Only an axis label is shortened. Times are 24 h in the page's one zone; an absent value is `-`.

const integer = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const digits = [0, 1, 2].map(
  (n) => new Intl.NumberFormat(undefined, { minimumFractionDigits: n, maximumFractionDigits: n }),
);

/**
 * @param {number} value
 * @param {0 | 1 | 2} places
 */
function fixed(value, places) {
  return (digits[places] ?? integer).format(value);
}

/**
 * A count, digit for digit.
 * @param {number | null | undefined} value
 */
export function count(value) {
  return value == null || !Number.isFinite(value) ? "-" : integer.format(value);
}

/**
 * A rate, with three digits.
 * @param {number | null | undefined} value
 */
export function rate(value) {
  if (value == null || !Number.isFinite(value)) return "-";
  if (value === 0 || value >= 100) return fixed(value, 0);
  return fixed(value, value >= 10 ? 1 : 2);
}

/**
 * A label of an axis, in the unit that its highest label has: `0`, `6k`, `12k`.
 * @param {number} value
 * @param {number} highest
 */
export function axis(value, highest) {
  if (value === 0) return "0";
  if (highest >= 1e9) return `${trim(value / 1e9)}G`;
  if (highest >= 1e6) return `${trim(value / 1e6)}M`;
  if (highest >= 1e4) return `${trim(value / 1e3)}k`;
  return integer.format(value);
}

/** @param {number} value */
function trim(value) {
  return String(Math.round(value * 10) / 10);
}

/**
 * A share as percent.
 * @param {number} part
 * @param {number} whole
 */
export function share(part, whole) {
  if (!(whole > 0)) return "-";
  const percent = (part / whole) * 100;
  if (percent === 0) return "0 %";
  if (percent < 0.1) return "<0.1 %";
  return `${fixed(percent, percent >= 10 ? 0 : percent >= 1 ? 1 : 2)} %`;
}

/**
 * The bound of an estimate, from a relative error.
 * @param {number} relative
 */
export function bound(relative) {
  return `±${fixed(relative * 100, 1)} %`;
}

/**
 * A duration: `84 ms`, `8.4 s`, `42 s`, `3 min 12 s`, `2 h 5 min`, `3 d 4 h`.
 * @param {number | null | undefined} ms
 */
export function duration(ms) {
  if (ms == null || !Number.isFinite(ms)) return "-";
  const positive = Math.max(0, ms);
  if (positive < 1000) return `${Math.round(positive)} ms`;
  if (positive < 9_950) return `${fixed(positive / 1000, 1)} s`;
  const s = Math.round(positive / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return pair(s, 60, "min", "s");
  if (s < 86_400) return pair(Math.round(s / 60), 60, "h", "min");
  return pair(Math.round(s / 3600), 24, "d", "h");
}

/**
 * @param {number} units
 * @param {number} per
 * @param {string} big
 * @param {string} small
 */
function pair(units, per, big, small) {
  const rest = units % per;
  return `${Math.floor(units / per)} ${big}${rest ? ` ${rest} ${small}` : ""}`;
}

/**
 * @param {number | null | undefined} value
 */
export function bytes(value) {
  if (value == null || !Number.isFinite(value)) return "-";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let n = value;
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) {
    n /= 1024;
    unit += 1;
  }
  return `${fixed(n, unit === 0 || n >= 100 ? 0 : 1)} ${units[unit]}`;
}

/** @returns {string} the zone of the browser */
export function browserZone() {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}

/** @param {string} zone */
export function isZone(zone) {
  try {
    new Intl.DateTimeFormat(undefined, { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

/**
 * The clock of one zone. A page makes it once and again when its zone changes.
 */
export class Clock {
  /** @param {string} zone an IANA name */
  constructor(zone) {
    this.zone = zone;
    /** @type {Intl.DateTimeFormatOptions} */
    const base = { timeZone: zone, hourCycle: "h23", hour: "2-digit", minute: "2-digit" };
    this.minutes = new Intl.DateTimeFormat("en-GB", base);
    this.seconds = new Intl.DateTimeFormat("en-GB", { ...base, second: "2-digit" });
    this.millis = new Intl.DateTimeFormat("en-GB", { ...base, second: "2-digit", fractionalSecondDigits: 3 });
    this.parts = new Intl.DateTimeFormat("en-GB", { ...base, second: "2-digit", day: "2-digit", month: "2-digit", year: "numeric" });
  }

  /** @param {number} ms */
  hm(ms) {
    return this.minutes.format(ms);
  }

  /** @param {number} ms */
  hms(ms) {
    return this.seconds.format(ms);
  }

  /** @param {number} ms */
  hmsMillis(ms) {
    return this.millis.format(ms);
  }

  /**
   * The last local midnight before a moment, as UTC.
   * @param {number} ms
   * @returns {number} ms
   */
  midnight(ms) {
    // Found by search: a day may have 23, 24 or 25 hours, and in some zones it does not begin at 00:00.
    const day = this.dayOf(ms);
    let before = ms - 26 * 3_600_000;
    let inside = ms;
    while (inside - before > 1) {
      const middle = Math.floor((before + inside) / 2);
      if (this.dayOf(middle) === day) inside = middle;
      else before = middle;
    }
    return inside;
  }

  /** @param {number} ms */
  dayOf(ms) {
    const part = new Map(this.parts.formatToParts(ms).map((p) => [p.type, p.value]));
    return `${part.get("year")}-${part.get("month")}-${part.get("day")}`;
  }

  /**
   * Minutes that the zone is ahead of UTC at a moment; axis ticks sit on whole local minutes.
   * @param {number} ms
   */
  offsetMinutes(ms) {
    const part = new Map(this.parts.formatToParts(ms).map((p) => [p.type, Number(p.value)]));
    const n = (/** @type {Intl.DateTimeFormatPartTypes} */ key) => part.get(key) ?? 0;
    const local = Date.UTC(n("year"), n("month") - 1, n("day"), n("hour"), n("minute"), n("second"));
    return Math.round((local - Math.floor(ms / 1000) * 1000) / 60_000);
  }
}

/**
 * The time of a bar: with seconds where bars are narrower than a minute.
 * @param {Clock} clock
 * @param {number} ms
 * @param {number} grain s
 */
export function stamp(clock, ms, grain) {
  return grain < 60 ? clock.hms(ms) : clock.hm(ms);
}
