//! Live: is it flowing, how much, what is new.
//!
//! Everything on this page comes from one stream, and what belongs together from one frame of it. The questions that the
//! stream answers are built here, and nowhere else.

import { Causes } from "./causes.js";
import { append, el, setText, show } from "./dom.js";
import { Empty } from "./empty.js";
import { Failures, Figures, windowLabel } from "./figures.js";
import * as text from "./format.js";
import { Picture } from "./picture.js";
import { Sites } from "./sites.js";
import { Tail } from "./tail.js";
import { Top } from "./top.js";
import { Wall } from "./wall.js";
import * as url from "./url.js";

/** @typedef {import("./api.js").Frame} Frame */
/** @typedef {import("./state.js").LiveState} LiveState */

/** The questions by their place in the stream. */
const BARS = 0;
const TODAY = 1;
const PAGES = 2;

const SPAN = 180;
const SPAN_PHONE = 60;
const FIVE_MIN = 300_000;
const SAY_MS = 10_000;

export class LivePage {
  /** @param {import("./app.js").Shell} shell */
  constructor(shell) {
    this.shell = shell;
    this.picture = new Picture(shell.colours, () => this.verifyPath());
    this.figures = new Figures();
    this.failures = new Failures();
    this.sites = new Sites();
    this.wall = new Wall(shell.colours, (site) => this.siteLink(site));
    this.top = new Top();
    this.causes = new Causes();
    this.tail = new Tail();
    this.empty = new Empty();
    this.saidAt = 0;
    this.summary = el("p", { class: "offscreen", role: "status" });
    this.tally = el("span", { class: "muted" });
    this.sort = this.sortSelect();
    this.full = this.layout();
    this.root = el("div", { class: "live" }, this.empty.root, this.full, this.summary);
    show(this.empty.root, false);
    show(this.full, false);
    this.phone = matchMedia("(max-width: 639px)");
  }

  layout() {
    const wall = el(
      "section",
      { class: "card sites", "aria-labelledby": "h-sites" },
      el("div", { class: "card-head" }, el("h2", { id: "h-sites" }, "Sites"), this.tally, el("label", { class: "sort" }, "sort ", this.sort)),
      this.wall.root,
    );
    const card = (/** @type {string} */ id, /** @type {string} */ title, /** @type {string} */ window, /** @type {Node[]} */ ...content) =>
      el("section", { class: `card ${id}`, "aria-labelledby": `h-${id}` }, el("div", { class: "card-head" }, el("h2", { id: `h-${id}` }, title), el("span", { class: "muted" }, window)), ...content);
    const causes = card("causes", "Failed now", "by cause", this.causes.root);
    const events = el("section", { class: "card events", "aria-labelledby": "h-events" },
      el("h2", { id: "h-events", class: "offscreen" }, "Events as they arrive"), this.tail.good.root, this.tail.failed.root);
    this.pagesCard = card("pages", "Top pages", "1 h", this.top.root);
    return el("div", { class: "full" }, this.picture.root, this.figures.root,
      el("div", { class: "columns" }, wall, el("div", { class: "side" }, this.pagesCard, causes)), events);
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

  /** @param {import("./sites.js").Site} site */
  siteLink(site) {
    const screen = url.current();
    return url.format({ ...screen, filter: [{ field: "app_id", value: site.key ?? "", exclude: false }] });
  }

  /** The questions of the stream. @param {url.Screen} screen */
  streamPath(screen) {
    const query = new URLSearchParams({ hz: "4", wall: "app_id", tail: "good,failed", tz: this.shell.clock.zone });
    query.append("q", `pulse?from=-${SPAN}s&grain=1s`);
    query.append("q", "pulse?from=today&grain=1d");
    query.append("q", "pages?from=-1h&grain=1h");
    for (const c of screen.filter) query.append(`f.${c.field}`, url.conditionText(c));
    return `v1/live?${query}`;
  }

  verifyPath() {
    const query = new URLSearchParams({ from: "today", grain: "1h", layer: "split", verify: "1", tz: this.shell.clock.zone });
    return `v1/views/pulse?${query}`;
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
    if (frame.wall && (this.sites.apply(frame.wall, state.at) || first)) this.arrange(true);
    state.forget(BARS, state.at / 1000 - SPAN - 30);
  }

  start() {
    this.causes.start();
  }

  stop() {
    this.causes.stop();
  }

  /** @param {url.Screen} screen */
  screen(screen) {
    const sort = screen.params.get("sort") ?? "attention";
    this.sort.value = ["attention", "rate", "name"].includes(sort) ? sort : "attention";
    this.wall.relink();
    this.arrange(true);
  }

  recolour() {
    this.picture.bars.recolour(this.shell.colours);
    this.wall.recolour(this.shell.colours);
  }

  /** @param {boolean} now */
  arrange(now) {
    const filter = this.shell.screen.filter.filter((c) => c.field === "app_id");
    const sites = this.sites.sorted(/** @type {import("./sites.js").Sort} */ (this.sort.value));
    this.wall.arrange(sites.filter((s) => url.passes(filter, () => s.key)), now);
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
    this.wall.draw(state.at);
    const tally = this.sites.tally();
    setText(this.tally, `${text.count(tally.live)} live${tally.silent ? `, ${text.count(tally.silent)} silent` : ""}`);
    this.top.draw(pageEntries(state));
    this.tail.draw(frame, this.shell.screen.filter, this.shell.clock);
    this.say(frame, state);
  }

  /** @param {Frame} frame @param {LiveState} state */
  drawPicture(frame, state) {
    const lost = this.shell.phase !== "live" && this.shell.phase !== "stopped";
    const now = lost ? state.now() : state.at;
    const bars = new Map(state.sorted(BARS).map((r) => [r.t, { t: r.t, batch: r.batch[0] ?? 0, speed: r.speed[0] ?? 0, merged: r.merged[0] ?? 0 }]));
    const today = { batch: 0, speed: 0, merged: 0 };
    for (const row of state.sorted(TODAY)) {
      today.batch += row.batch[0] ?? 0;
      today.speed += row.speed[0] ?? 0;
      today.merged += row.merged[0] ?? 0;
    }
    const memoryMs = state.boundaryTime ? Math.max(0, state.at - state.boundaryTime) : null;
    this.picture.headline.draw(today, `events today, ${this.shell.clock.zone}`, { boundaryOffset: frame.boundary.offset, memoryMs });
    this.picture.draw({
      end: Math.floor(now / 1000) * 1000 + 1000,
      span: this.phone.matches ? SPAN_PHONE : SPAN,
      bars,
      boundary: state.boundaryTime,
      boundaryOffset: frame.boundary.offset,
      batches: [...state.batches.values()].sort((a, b) => a.from - b.from),
      lostSince: lost ? state.at : 0,
      now,
      clock: this.shell.clock,
    });
  }

  /** @param {Frame} frame */
  drawFigures(frame) {
    const five = this.failures.over(FIVE_MIN);
    const all = [
      { label: "events/s", value: text.rate(frame.rates.events), note: "10 s" },
      ...this.users(frame),
      { label: "failed", value: text.share(five.failed, five.all), note: windowLabel(FIVE_MIN, five.ms), tone: /** @type {"" | "failed"} */ (five.failed ? "failed" : "") },
      { label: "visible, p99", value: text.duration(frame.lag_ms.visible_p99), note: "after arrival" },
      { label: "warehouse", value: text.duration(frame.lag_ms.commit), note: "behind" },
    ];
    this.figures.draw(all);
  }

  /** @param {Frame} frame */
  users(frame) {
    const users = frame.windows?.traffic?.["5m"]?.users;
    if (typeof users !== "number") return [];
    const error = this.shell.state.hello?.queries?.find((q) => q.error?.["users"])?.error?.["users"];
    return [{ label: "users", value: text.count(users), note: `${error ? `${text.bound(error)}, ` : ""}5 min` }];
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

/** @param {LiveState} state */
function pageEntries(state) {
  const dimensions = state.hello?.queries?.[PAGES]?.dimensions ?? [];
  const at = Math.max(0, dimensions.indexOf("page_urlpath"));
  /** @type {Map<string, import("./top.js").Entry>} */
  const byName = new Map();
  for (const row of state.rows[PAGES]?.values() ?? []) {
    const name = row.d[at];
    if (name === null || name === undefined) continue;
    const entry = byName.get(name) ?? { name, batch: 0, speed: 0, merged: 0 };
    entry.batch += row.batch[0] ?? 0;
    entry.speed += row.speed[0] ?? 0;
    entry.merged += row.merged[0] ?? 0;
    byName.set(name, entry);
  }
  return [...byName.values()];
}
