//! What is known of each site: its rate, its last minute, and whether it has fallen silent.
//!
//! No drawing here. A site is silent when nothing came for ten times its usual gap, and for at least a minute: a site with
//! two events an hour is not silent after five minutes, a site with a thousand a second is after one.

const POINTS = 60;
const SILENT_LEAST_MS = 60_000;
const SILENT_GAPS = 10;
/** Rates are over ten seconds of arrival. */
const WINDOW_MS = 10_000;

/** @typedef {"attention" | "rate" | "name"} Sort */

export class Site {
  /**
   * @param {string | null} key
   * @param {number} index place in the frames
   */
  constructor(key, index) {
    this.key = key;
    this.index = index;
    this.name = key === null ? "-" : key === "" ? '""' : key;
    this.rate = 0;
    this.failed = 0;
    this.points = new Float32Array(POINTS);
    this.filled = 0;
    /** Server time of the last event, as well as it is known; 0 when none was seen. */
    this.seen = 0;
    /** The usual rate, slowly forgotten; a gap is one over it. */
    this.usual = 0;
  }

  /** @param {number} at ms */
  silentFor(at) {
    if (this.rate > 0 || !this.seen) return 0;
    const gap = this.usual > 0 ? 1000 / this.usual : 0;
    const quiet = at - this.seen;
    return quiet > Math.max(SILENT_LEAST_MS, SILENT_GAPS * gap) ? quiet : 0;
  }

  push() {
    this.points.copyWithin(0, 1);
    this.points[POINTS - 1] = this.rate;
    this.filled = Math.min(POINTS, this.filled + 1);
    if (this.rate > 0) this.usual = this.usual ? this.usual * 0.98 + this.rate * 0.02 : this.rate;
  }
}

export class Sites {
  constructor() {
    /** @type {Site[]} by their place in the frames */
    this.all = [];
    /** @type {Map<string | null, Site>} */
    this.byKey = new Map();
    this.pushed = 0;
    this.at = 0;
  }

  /**
   * Takes the list of keys. A site that was known keeps its line.
   * @param {(string | null)[]} keys
   */
  setKeys(keys) {
    const before = this.byKey;
    this.byKey = new Map();
    this.all = keys.map((key, index) => {
      const site = before.get(key) ?? new Site(key, index);
      site.index = index;
      this.byKey.set(key, site);
      return site;
    });
  }

  /**
   * @param {{v: number[], failed: number[], keys?: (string | null)[], last?: (number | null)[]}} wall
   * @param {number} at server time, ms
   * @returns {boolean} whether the list of sites changed
   */
  apply(wall, at) {
    const changed = wall.keys !== undefined;
    if (wall.keys) this.setKeys(wall.keys);
    this.at = at;
    for (const site of this.all) {
      site.rate = wall.v[site.index] ?? 0;
      site.failed = wall.failed?.[site.index] ?? 0;
      const last = wall.last?.[site.index];
      if (last) site.seen = last;
      else if (site.rate > 0) site.seen = at - WINDOW_MS / 2;
    }
    if (at - this.pushed >= 1000) {
      this.pushed = at;
      for (const site of this.all) site.push();
    }
    return changed;
  }

  /**
   * @param {Sort} sort
   * @returns {Site[]}
   */
  sorted(sort) {
    const byName = (/** @type {Site} */ a, /** @type {Site} */ b) => a.name.localeCompare(b.name);
    const byRate = (/** @type {Site} */ a, /** @type {Site} */ b) => b.rate - a.rate || byName(a, b);
    const sites = [...this.all];
    if (sort === "name") return sites.sort(byName);
    if (sort === "rate") return sites.sort(byRate);
    return sites.sort((a, b) => this.urgency(b) - this.urgency(a) || byRate(a, b));
  }

  /** @param {Site} site */
  urgency(site) {
    const silent = site.silentFor(this.at);
    if (silent) return 2;
    // A site that fails for a share worth a look, and not for one stray event.
    return site.failed > 0.2 && site.failed > site.rate * 0.02 ? 1 : 0;
  }

  /** @returns {{live: number, silent: number}} */
  tally() {
    let silent = 0;
    for (const site of this.all) if (site.silentFor(this.at)) silent += 1;
    return { live: this.all.length - silent, silent };
  }
}
