//! The wall of sites: a static list of links, with one canvas behind it for everything that moves.
//!
//! Two hundred small drawings cost a fifth of a core each on its own, and one canvas a fraction of it. The links are laid
//! out once and sorted anew every ten seconds at most, never while the pointer or the focus is on them; between that, a
//! frame paints numbers and lines and touches no element.

import { el, show } from "./dom.js";
import * as text from "./format.js";
import { Surface } from "./paint.js";

/** @typedef {import("./sites.js").Site} Site */
/** @typedef {import("./paint.js").Colours} Colours */

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
    this.more = el("button", { type: "button", class: "small wall-more", hidden: true, "aria-expanded": "false" });
    this.more.addEventListener("click", () => this.toggle());
    this.root = el("div", { class: "wall" }, el("div", { class: "wall-body" }, this.canvas, this.list), this.more);
    this.surface = new Surface(this.canvas, () => this.relayout());
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
    this.relayout();
  }

  /** Is the reader busy with the list? */
  held() {
    return this.list.matches(":hover") || this.list.contains(document.activeElement);
  }

  /**
   * Shows these sites in this order.
   * @param {Site[]} sites
   * @param {boolean} now also when the reader is on the list (he asked for it), or the set of sites is another
   */
  arrange(sites, now) {
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
    sites.forEach((site, i) => {
      const { item } = this.tile(site);
      if (this.list.children[i] !== item) this.list.insertBefore(item, this.list.children[i] ?? null);
    });
    this.relayout();
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

  /** Reads where the tiles are: after a change of order or size, never in a frame. */
  relayout() {
    if (this.list.clientWidth === 0) return;
    const items = /** @type {HTMLLIElement[]} */ ([...this.list.children]);
    for (const item of items) item.hidden = false;
    const columns = Math.max(1, getComputedStyle(this.list).gridTemplateColumns.split(" ").length);
    const room = FOLD_ROWS * columns;
    const folded = items.length > room + columns;
    show(this.more, folded);
    this.more.textContent = this.open ? "Show fewer" : `Show all ${text.count(items.length)} sites`;
    if (folded && !this.open) for (const item of items.slice(room)) item.hidden = true;
    this.places = [];
    items.forEach((item, i) => {
      const site = this.order[i];
      if (!site || item.hidden) return;
      this.places.push({ site, x: item.offsetLeft, y: item.offsetTop, width: item.offsetWidth, height: item.offsetHeight });
    });
    this.paint();
  }

  /** @param {number} at server time of the frame, ms */
  draw(at) {
    this.at = at;
    this.paint();
    if (performance.now() - this.labelledAt < SORT_MS) return;
    this.labelledAt = performance.now();
    for (const { site } of this.places) {
      const silent = site.silentFor(at);
      const words = silent ? `silent for ${text.duration(silent)}` : `${text.rate(site.rate)} events per second`;
      this.tiles.get(site.key)?.link.setAttribute("aria-label", `${site.name}, ${words}`);
    }
  }

  paint() {
    if (this.canvas.clientWidth === 0) return;
    const pen = this.surface.begin();
    const top = this.canvas.getBoundingClientRect().top;
    for (const place of this.places) {
      if (top + place.y + place.height < 0 || top + place.y > innerHeight) continue;
      this.one(pen, place);
    }
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
