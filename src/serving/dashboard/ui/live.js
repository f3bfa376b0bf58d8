//! Live: is it flowing, how much, what is new.
//!
//! Everything on this page comes from one stream, and what belongs together from one frame of it. What the page is about
//! follows from the filter of the screen ({@link Scope}): without one the sum and the bars are `pulse`, by second of arrival;
//! with one that the view `traffic` can answer (a site, an event name) they are that view, by minute, and every number on the
//! page has the same filter; with any other only the events are filtered, and the page says so.

import { append, el, setText, show } from "./dom.js";
import * as text from "./format.js";
import { Causes, Failures, Figures, Top } from "./panels.js";
import { Picture } from "./picture.js";
import { Empty } from "./states.js";
import { Tail } from "./tail.js";
import * as url from "./url.js";
import { Sites, Wall } from "./wall.js";

/** @typedef {import("./api.js").View} View */
/**
 * The bars: which view, how wide a bar (s), how many, and whether their time is that of arrival.
 * @typedef {{view: string, grain: number, slots: number, arrival: boolean}} BarsPlan
 */

/** Places of the questions in the stream. */
export const BARS = 0;
export const TODAY = 1;
export const PAGES = 2;

const PULSE = { view: "pulse", grain: 1, slots: 180, arrival: true };
const TRAFFIC = "traffic";

export class Scope {
  /**
   * @param {url.Condition[]} filter
   * @param {View[]} views what the server offers
   */
  constructor(filter, views) {
    this.filter = filter;
    const traffic = views.find((v) => v.name === TRAFFIC);
    const fits = traffic !== undefined && filter.every((c) => traffic.dimensions.includes(c.field));
    /** Are the sum and the bars filtered too? */
    this.whole = filter.length === 0 || fits;
    /** @type {BarsPlan} */
    this.bars = traffic && filter.length > 0 && fits
      ? { view: TRAFFIC, grain: 60, slots: 180, arrival: traffic.time === "collector_tstamp" }
      : PULSE;
    this.pages = views.find((v) => v.measures.some(isPages));
    this.pagesWhole = this.pages !== undefined && filter.every((c) => this.pages?.dimensions.includes(c.field));
    this.hasSites = views.some((v) => v.dimensions.includes("app_id"));
    /** The one site that the page is about, if it is about one. */
    this.site = filter.length === 1 && filter[0]?.field === "app_id" && !filter[0].exclude ? filter[0].value : null;
  }

  /** @returns {string} such as `app_id = shop`; empty without a filter */
  words() {
    return this.filter.map((c) => `${c.field} ${c.exclude ? "≠" : "="} ${c.value === "" ? '""' : c.value}`).join(", ");
  }

  /**
   * @param {string} view
   * @param {Record<string, string>} range
   * @param {boolean} filtered
   */
  question(view, range, filtered) {
    const query = new URLSearchParams({ ...range, by: "" });
    if (filtered) for (const c of this.filter) query.append(`f.${c.field}`, url.conditionText(c));
    return `${view}?${query}`;
  }

  /**
   * The address of the stream.
   * @param {string} zone
   */
  streamPath(zone) {
    const query = new URLSearchParams({ hz: "4", tail: "good,failed", tz: zone });
    const { view, grain, slots } = this.bars;
    const filtered = view === TRAFFIC;
    query.append("q", this.question(view, { from: `-${grain * slots}s`, grain: `${grain}s` }, filtered));
    query.append("q", this.question(view, { from: "today", grain: "all" }, filtered));
    if (this.pages) query.append("q", this.question(this.pages.name, { from: "-1h", grain: "all" }, this.pagesWhole));
    if (this.hasSites) query.append("wall", "app_id");
    for (const c of this.filter) query.append(`f.${c.field}`, url.conditionText(c));
    return `v1/live?${query}`;
  }

  /**
   * The sum, asked once more with its check by SQL.
   * @param {string} zone
   */
  verifyPath(zone) {
    const query = new URLSearchParams({ from: "today", grain: "1h", by: "", layer: "split", verify: "1", tz: zone });
    if (this.bars.view === TRAFFIC) for (const c of this.filter) query.append(`f.${c.field}`, url.conditionText(c));
    return `v1/views/${this.bars.view}?${query}`;
  }

  /** The causes of failure, of the site if the page is about one. */
  failedPath() {
    const query = new URLSearchParams({ limit: "6" });
    if (this.site !== null) query.set("app", this.site);
    return `v1/failed?${query}`;
  }
}

/** @typedef {import("./api.js").Frame} Frame */
/** @typedef {import("./state.js").LiveState} LiveState */

const SLOTS_PHONE = 60;
const SAY_MS = 10_000;

export class LivePage {
  /** @param {import("./app.js").Shell} shell */
  constructor(shell) {
    this.shell = shell;
    this.scope = new Scope([], []);
    this.picture = new Picture(shell.colours, () => this.scope.verifyPath(shell.clock.zone));
    this.figures = new Figures();
    this.failures = new Failures();
    this.sites = new Sites();
    this.wall = new Wall(shell.colours, (site) => this.siteLink(site));
    this.top = new Top();
    this.causes = new Causes(() => this.scope.failedPath(), shell.colours, (rows) => this.tail.seed(rows));
    this.tail = new Tail();
    this.empty = new Empty();
    this.saidAt = 0;
    this.started = false;
    /** Did rates come that are not painted yet? */
    this.wallCame = false;
    this.summary = el("p", { class: "offscreen", role: "status" });
    this.tally = el("span", { class: "muted" });
    this.sort = this.sortSelect();
    this.pagesNote = el("span", { class: "muted" });
    this.causesNote = el("span", { class: "muted" });
    this.sitesCard = this.sitesSection();
    this.pagesCard = card("pages", "Top pages", this.pagesNote, this.top.root);
    this.full = this.layout();
    this.root = el("div", { class: "live" }, this.empty.root, this.full, this.summary);
    show(this.empty.root, false);
    show(this.full, false);
    this.phone = matchMedia("(max-width: 639px)");
  }

  sitesSection() {
    const head = el("div", { class: "card-head" }, el("h2", { id: "h-sites" }, "Sites"), this.tally, el("label", { class: "sort" }, "sort ", this.sort));
    return el("section", { class: "card sites", "aria-labelledby": "h-sites" }, head, this.wall.root);
  }

  layout() {
    const causes = card("causes", "Failed now", this.causesNote, this.causes.root);
    const events = el("section", { class: "card events", "aria-labelledby": "h-events" },
      el("h2", { id: "h-events", class: "offscreen" }, "Events as they arrive"), this.tail.good.root, this.tail.failed.root);
    return el("div", { class: "full" }, this.picture.root, this.figures.root,
      el("div", { class: "columns" }, this.sitesCard, el("div", { class: "side" }, this.pagesCard, causes)), events);
  }

  sortSelect() {
    const options = ["attention", "rate", "name"].map((name) => el("option", { value: name }, name));
    const select = el("select", { "aria-label": "Sort sites by" }, ...options);
    select.addEventListener("change", () => {
      url.setParam("sort", select.value === "attention" ? "" : select.value);
      this.arrange(true);
    });
    return select;
  }

  /** @param {import("./wall.js").Site} site */
  siteLink(site) {
    const screen = url.current();
    const filter = this.scope.site === (site.key ?? "") ? [] : [{ field: "app_id", value: site.key ?? "", exclude: false }];
    return url.format({ ...screen, filter });
  }

  /** The question of the stream for this screen. */
  streamPath() {
    return this.scope.streamPath(this.shell.clock.zone);
  }

  /** @param {import("./api.js").Hello} hello */
  hello(hello) {
    if (hello.wall) this.sites.setKeys(hello.wall.keys);
  }

  /** @param {Frame} frame @param {LiveState} state */
  frame(frame, state) {
    this.failures.push(frame, state.at);
    this.tail.push(frame);
    // The first order is made when the first rates are known.
    const first = this.sites.pushed === 0;
    if (frame.wall) {
      this.wallCame = true;
      if (this.sites.apply(frame.wall, state.at) || first) this.arrange(true);
    }
    state.forget(BARS, state.at / 1000 - (this.scope.bars.slots + 5) * this.scope.bars.grain);
  }

  start() {
    this.started = true;
    this.causes.start();
  }

  stop() {
    this.started = false;
    this.causes.stop();
  }

  /** @param {url.Screen} screen */
  screen(screen) {
    this.scope = new Scope(screen.filter, this.shell.views);
    const sort = screen.params.get("sort") ?? "attention";
    this.sort.value = ["attention", "rate", "name"].includes(sort) ? sort : "attention";
    const filtered = screen.filter.length > 0;
    setText(this.pagesNote, filtered && !this.scope.pagesWhole ? "1 h, unfiltered" : "1 h");
    setText(this.causesNote, `5 min, by cause${filtered && this.scope.site === null ? ", unfiltered" : ""}`);
    this.wall.relink();
    this.arrange(true);
    if (this.started) this.causes.start();
  }

  recolour() {
    this.picture.bars.recolour(this.shell.colours);
    this.wall.recolour(this.shell.colours);
    this.causes.recolour(this.shell.colours);
  }

  /**
   * The wall is also the way from one site to another: chosen sites come first and are marked, excluded ones are gone.
   * @param {boolean} now
   */
  arrange(now) {
    const filter = this.shell.screen.filter.filter((c) => c.field === "app_id");
    const excluded = filter.filter((c) => c.exclude);
    const sites = this.sites.sorted(/** @type {import("./wall.js").Sort} */ (this.sort.value)).filter((s) => url.passes(excluded, () => s.key));
    const chosen = new Set(filter.length > excluded.length ? sites.filter((s) => url.passes(filter, () => s.key)) : []);
    this.wall.arrange([...chosen, ...sites.filter((s) => !chosen.has(s))], chosen, now);
  }

  /**
   * Paints one frame, whole.
   * @param {LiveState} state
   */
  render(state) {
    const frame = state.frame;
    if (!frame) return;
    const empty = state.empty();
    show(this.empty.root, empty);
    show(this.full, !empty);
    if (empty) {
      if (this.shell.ui) this.empty.draw(this.shell.ui);
      return;
    }
    this.drawPicture(frame, state);
    this.drawFigures(frame);
    this.arrange(false);
    if (this.wallCame) this.wall.draw(state.at);
    this.wallCame = false;
    show(this.sitesCard, this.scope.hasSites);
    show(this.pagesCard, this.scope.pages !== undefined);
    const tally = this.sites.tally();
    setText(this.tally, `${text.count(tally.live)} live${tally.silent ? `, ${text.count(tally.silent)} silent` : ""}`);
    const pages = this.scope.pages?.measures.findIndex(isPages) ?? -1;
    this.top.draw(pageEntries(state, pages));
    this.tail.draw(frame, this.shell.screen.filter, this.shell.clock);
    this.say(frame, state);
  }

  /** @param {Frame} frame @param {LiveState} state */
  drawPicture(frame, state) {
    const { grain, slots, arrival, view } = this.scope.bars;
    const lost = this.shell.phase !== "live" && this.shell.phase !== "stopped";
    const now = lost ? state.now() : state.at;
    const measure = Math.max(0, state.hello?.queries[BARS]?.measures.indexOf("events") ?? 0);
    const bars = new Map(state.sorted(BARS).map((row) => [row.t, { t: row.t, ...parts(row, measure) }]));
    const what = `events today, ${view === "pulse" ? this.shell.clock.zone : this.scope.words()}`;
    const memoryMs = state.boundaryTime ? Math.max(0, state.at - state.boundaryTime) : null;
    this.picture.headline.draw(parts(state.whole(TODAY), measure), what, { boundaryOffset: frame.boundary.offset, memoryMs });
    this.picture.draw({
      end: (Math.floor(now / 1000 / grain) + 1) * grain * 1000,
      grain,
      slots: this.phone.matches ? SLOTS_PHONE : slots,
      arrival,
      bars,
      boundary: state.boundaryTime,
      batches: [...state.batches.values()].sort((x, y) => x.from - y.from),
      lostSince: lost ? state.at : 0,
      now,
      at: state.at,
      clock: this.shell.clock,
    });
  }

  /** @param {Frame} frame */
  drawFigures(frame) {
    const filtered = this.scope.filter.length > 0;
    const all = filtered ? ", all sites" : "";
    const site = this.scope.site === null ? undefined : this.sites.byKey.get(this.scope.site);
    const five = frame.windows?.["pulse"]?.["5m"]?.["events"];
    const failed = this.causes.total;
    const known = typeof five === "number" && failed !== null && (!filtered || this.scope.site !== null);
    this.figures.draw([
      site ? { label: "events/s", value: text.rate(site.rate), note: "10 s" } : { label: "events/s", value: text.rate(frame.rates.events), note: `10 s${all}` },
      ...this.users(frame, all),
      filtered
        ? { label: "failed", value: text.count(known ? failed : null), note: "5 min" }
        : { label: "failed", value: known ? text.share(failed, five + failed) : "-", note: "5 min", tone: failed ? "failed" : "" },
      { label: "visible, p99", value: text.duration(frame.lag_ms.visible_p99), note: "after arrival" },
      { label: "warehouse", value: text.duration(frame.lag_ms.commit), note: "behind" },
    ]);
  }

  /** @param {Frame} frame @param {string} all */
  users(frame, all) {
    const users = frame.windows?.["traffic"]?.["5m"]?.["users"];
    if (typeof users !== "number") return [];
    const error = this.shell.views.find((v) => v.name === "traffic")?.measures.find((m) => m.name === "users")?.error;
    return [{ label: "users", value: text.count(Math.round(users)), note: `${error ? `${text.bound(error)}, ` : ""}5 min${all}` }];
  }

  /** @param {Frame} frame @param {LiveState} state */
  say(frame, state) {
    if (performance.now() - this.saidAt < SAY_MS) return;
    this.saidAt = performance.now();
    const rate = text.rate(frame.rates.events);
    const words = `${rate} events per second, ${text.rate(frame.rates.failed)} failed per second, visible after ${text.duration(frame.lag_ms.visible_p99)}.`;
    this.summary.replaceChildren();
    append(this.summary, words);
    const span = this.phone.matches ? "the last minute" : "the last 3 minutes";
    this.picture.describe(`Events a second over ${span}: ${rate} now. Committed up to ${this.shell.clock.hms(state.boundaryTime)}, in memory after that. The table has every bar.`);
  }
}

/**
 * The measure of the default view `pages`.
 * @param {View["measures"][0]} measure
 */
function isPages(measure) {
  return measure.name === "pages" && measure.function.startsWith("top");
}

/**
 * @param {string} id
 * @param {string} title
 * @param {HTMLElement} window what the numbers are of
 * @param {...Node} content
 */
function card(id, title, window, ...content) {
  const head = el("div", { class: "card-head" }, el("h2", { id: `h-${id}` }, title), window);
  return el("section", { class: `card ${id}`, "aria-labelledby": `h-${id}` }, head, ...content);
}

/**
 * The three parts of a count, as the server gives them: nothing is added up here.
 * @param {import("./api.js").SplitRow | undefined} row
 * @param {number} measure
 */
function parts(row, measure) {
  return { batch: row?.batch[measure] ?? 0, speed: row?.speed[measure] ?? 0, merged: row?.merged[measure] ?? 0 };
}

/**
 * The pages of a `top` measure, each with both halves. A page may be in the list of one half only.
 * @param {LiveState} state
 * @param {number} measure
 * @returns {import("./panels.js").Entry[]}
 */
function pageEntries(state, measure) {
  const row = state.whole(PAGES);
  if (!row) return [];
  const counts = (/** @type {any} */ list) => new Map((Array.isArray(list) ? list : []).map((item) => [String(item.value ?? "-"), Number(item.count)]));
  const speed = counts(row.speed[measure]);
  return [...counts(row.merged[measure])].map(([name, merged]) => {
    const inMemory = Math.min(merged, speed.get(name) ?? 0);
    return { name, merged, speed: inMemory, batch: merged - inMemory };
  });
}
