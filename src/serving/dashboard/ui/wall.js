//! The wall of sites: what is known of each, and a static list of links with one canvas behind it for everything that moves.
//!
//! A site is silent when nothing came for ten times its usual gap, and for at least a minute: a site with two events an hour
//! is not silent after five minutes, a site with a thousand a second is after one. Two hundred small drawings cost a fifth of
//! a core each on its own, and one canvas a fraction of it. The links are laid out once and sorted anew every ten seconds at
//! most, never while the pointer or the focus is on them; between that, a frame paints numbers and lines and touches no element.
//! All tiles are of one size, so where they are follows from the first one and the number of columns, which are read when the
//! size of the wall changes and at no other time.

import { el, occupied, setText, show } from "./dom.js";
import * as text from "./format.js";
import { Surface } from "./paint.js";

const POINTS = 60;
const SILENT_LEAST_MS = 60_000;
const SILENT_GAPS = 10;
/** Rates are over ten seconds of arrival. */
const WINDOW_MS = 10_000;
/** The server tells rates once a second, a little more often than that by its own clock. */
const POINT_MS = 750;
const byLetters = new Intl.Collator().compare;

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
    if (at - this.pushed >= POINT_MS) {
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
    const byName = (/** @type {Site} */ a, /** @type {Site} */ b) => byLetters(a.name, b.name);
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

/** @typedef {import("./paint.js").Colours} Colours */

/** @typedef {{columns: number, width: number, height: number, right: number, down: number}} Grid */

const SORT_MS = 10_000;
/** Rows of tiles before the list is folded. */
const FOLD_ROWS = 12;
const PAD = 8;

export class Wall {
  /**
   * @param {Colours} colours
   * @param {(site: Site) => string} linkOf address that a tile leads to
   */
  constructor(colours, linkOf) {
    this.colours = colours;
    this.linkOf = linkOf;
    this.canvas = el("canvas", { class: "wall-paint", "aria-hidden": "true" });
    this.list = el("ul", { class: "wall-list" });
    this.busy = occupied(this.list);
    this.more = el("button", { type: "button", class: "small wall-more", hidden: true, "aria-expanded": "false" });
    this.more.addEventListener("click", () => this.toggle());
    this.root = el("div", { class: "wall" }, el("div", { class: "wall-body" }, this.canvas, this.list), this.more);
    this.surface = new Surface(this.canvas, () => this.measure());
    this.seen = true;
    new IntersectionObserver((entries) => this.scrolled(entries.at(-1)?.isIntersecting ?? true)).observe(this.canvas);
    /** The grid in the units of the drawing; `right` and `down` are from one tile to the next. @type {Grid | null} */
    this.grid = null;
    /** @type {Map<string | null, {item: HTMLLIElement, link: HTMLAnchorElement}>} */
    this.tiles = new Map();
    /** @type {{site: Site, x: number, y: number, width: number, height: number}[]} */
    this.places = [];
    /** @type {Site[]} */
    this.order = [];
    this.sortedAt = 0;
    this.labelledAt = 0;
    this.open = false;
    this.at = 0;
  }

  /** @param {Colours} colours */
  recolour(colours) {
    this.colours = colours;
    this.paint();
  }

  toggle() {
    this.open = !this.open;
    this.more.setAttribute("aria-expanded", String(this.open));
    this.place();
  }

  /** Is the reader busy with the list? */
  held() {
    return this.busy();
  }

  /**
   * Shows these sites in this order.
   * @param {Site[]} sites
   * @param {Set<Site>} chosen those that the page is about
   * @param {boolean} now also when the reader is on the list (he asked for it), or the set of sites is another
   */
  arrange(sites, chosen, now) {
    const since = performance.now() - this.sortedAt;
    if (!now && (since < SORT_MS || this.held())) return;
    this.sortedAt = performance.now();
    this.order = sites;
    const wanted = new Set(sites.map((s) => s.key));
    for (const [key, tile] of this.tiles) {
      if (wanted.has(key)) continue;
      tile.item.remove();
      this.tiles.delete(key);
    }
    let next = this.list.firstElementChild;
    for (const site of sites) {
      const { item, link } = this.tile(site);
      if (chosen.has(site)) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
      if (item === next) next = next.nextElementSibling;
      else this.list.insertBefore(item, next);
    }
    this.place();
  }

  /** @param {Site} site */
  tile(site) {
    const known = this.tiles.get(site.key);
    if (known) return known;
    const link = el("a", { href: this.linkOf(site), title: site.name }, el("span", { class: "tile-name" }, site.name));
    const tile = { item: el("li", {}, link), link };
    this.tiles.set(site.key, tile);
    return tile;
  }

  /** Addresses may carry the state of the page; they follow it. */
  relink() {
    for (const site of this.order) this.tiles.get(site.key)?.link.setAttribute("href", this.linkOf(site));
  }

  /** Reads how the tiles lie; called when the browser has laid them out, never in a frame. */
  measure() {
    const first = this.list.firstElementChild;
    if (!first || !this.surface.isShown()) return;
    const style = getComputedStyle(this.list);
    const tracks = style.gridTemplateColumns.split(" ");
    const own = (/** @type {number} */ px) => (px || 0) / this.surface.zoom;
    const [width, height] = [own(parseFloat(tracks[0] ?? "")), own(first.getBoundingClientRect().height)];
    const [gapRight, gapDown] = [own(parseFloat(style.columnGap)), own(parseFloat(style.rowGap))];
    this.grid = { columns: tracks.length, width, height, right: width + gapRight, down: height + gapDown };
    this.place();
  }

  /** Folds the list and says where its tiles are, without asking the browser. */
  place() {
    const grid = this.grid;
    if (!grid) return;
    const room = FOLD_ROWS * grid.columns;
    const folded = this.order.length > room + grid.columns;
    show(this.more, folded);
    setText(this.more, this.open ? "Show fewer" : `Show all ${text.count(this.order.length)} sites`);
    const shown = folded && !this.open ? room : this.order.length;
    this.places = [];
    this.order.forEach((site, i) => {
      const item = this.tiles.get(site.key)?.item;
      if (item) show(item, i < shown);
      if (i >= shown) return;
      const [column, row] = [i % grid.columns, Math.floor(i / grid.columns)];
      this.places.push({ site, x: column * grid.right, y: row * grid.down, width: grid.width, height: grid.height });
    });
    this.paint();
  }

  /** @param {boolean} seen whether any of it is in the window */
  scrolled(seen) {
    this.seen = seen;
    this.paint();
  }

  /** @param {number} at server time of the frame, ms */
  draw(at) {
    this.at = at;
    this.paint();
    const now = performance.now();
    // Not together with a new order: each of them is work enough for one frame.
    if (now - this.labelledAt < SORT_MS || now - this.sortedAt < SORT_MS / 10) return;
    this.labelledAt = now;
    for (const { site } of this.places) {
      const silent = site.silentFor(at);
      const words = silent ? `silent for ${text.duration(silent)}` : `${text.rate(site.rate)} events per second`;
      this.tiles.get(site.key)?.link.setAttribute("aria-label", `${site.name}, ${words}`);
    }
  }

  paint() {
    if (!this.seen || !this.surface.isShown()) return;
    const pen = this.surface.begin();
    for (const place of this.places) this.one(pen, place);
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {{site: Site, x: number, y: number, width: number, height: number}} place
   */
  one(pen, { site, x, y, width, height }) {
    const right = x + width - PAD;
    const silent = site.silentFor(this.at);
    pen.textBaseline = "alphabetic";
    pen.textAlign = "right";
    pen.font = `600 12px ${this.colours.font}`;
    if (silent) {
      pen.fillStyle = this.colours.warn;
      pen.strokeStyle = this.colours.warn;
      pen.lineWidth = 1.5;
      pen.beginPath();
      pen.arc(right - 4, y + 13, 3.25, 0, 2 * Math.PI);
      pen.stroke();
      pen.textAlign = "left";
      pen.font = `500 12px ${this.colours.font}`;
      pen.fillText(`silent ${text.duration(silent)}`, x + PAD, y + height - 9);
      return;
    }
    pen.fillStyle = site.rate > 0 ? this.colours.text : this.colours.muted;
    pen.fillText(text.rate(site.rate), right, y + 17);
    let end = right;
    if (site.failed > 0) {
      pen.fillStyle = this.colours.failed;
      const words = `✕ ${text.rate(site.failed)}`;
      pen.fillText(words, right, y + height - 8);
      end -= pen.measureText(words).width + 6;
    }
    this.line(pen, site, x + PAD, y + 24, end - x - PAD, height - 31);
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {Site} site
   * @param {number} x
   * @param {number} y
   * @param {number} width
   * @param {number} height
   */
  line(pen, site, x, y, width, height) {
    const points = site.points;
    const from = points.length - site.filled;
    let most = 0;
    for (let i = from; i < points.length; i += 1) most = Math.max(most, points[i] ?? 0);
    if (most === 0) return;
    const step = width / (points.length - 1);
    const at = (/** @type {number} */ i) => y + height - ((points[i] ?? 0) / most) * height * 0.92;
    pen.beginPath();
    for (let i = from; i < points.length; i += 1) pen.lineTo(x + i * step, at(i));
    pen.lineWidth = 1.25;
    pen.lineJoin = "round";
    pen.strokeStyle = this.colours.muted;
    pen.stroke();
    pen.lineTo(x + width, y + height);
    pen.lineTo(x + from * step, y + height);
    pen.globalAlpha = 0.12;
    pen.fillStyle = this.colours.muted;
    pen.fill();
    pen.globalAlpha = 1;
  }
}
