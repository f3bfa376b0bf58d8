//! The shell: one state, one stream, one page on the screen, one animation frame for each frame of the stream.
//!
//! A page is a class with `root`, `streamPath`, `hello`, `frame`, `render`, `screen`, `start`, `stop` and `recolour`; to add
//! one, write its file and name it in `PAGES`. A frame is merged into the state when it comes and painted whole in the next
//! animation frame; `<main data-seq data-boundary>` names what is on the screen.

import { get } from "./api.js";
import { byId, copy } from "./dom.js";
import * as text from "./format.js";
import { Header, nextTheme, showTheme } from "./header.js";
import { Keys } from "./keys.js";
import { LivePage } from "./live.js";
import { onColoursChange, readColours } from "./paint.js";
import { LiveState } from "./state.js";
import { notices, Notices, signIn, spiking, tokenForm } from "./states.js";
import { LiveStream } from "./stream.js";
import * as url from "./url.js";

const PAGES = [{ path: "/live", title: "Live", make: (/** @type {Shell} */ shell) => new LivePage(shell), key: "l" }];
/** How often the clock of a page without frames moves. */
const TICK_MS = 500;
/** The least age that counts as usual for an open micro-batch. */
const SEAL_AGE_MS = 10_000;

export class Shell {
  constructor() {
    this.pages = PAGES;
    this.state = new LiveState();
    this.screen = url.current();
    this.clock = new text.Clock("UTC");
    this.colours = readColours();
    /** @type {import("./stream.js").Phase} */
    this.phase = "stopped";
    /** @type {import("./api.js").ApiError | null} */
    this.error = null;
    /** @type {import("./api.js").Status | null} */
    this.status = null;
    /** @type {import("./api.js").Status["ui"] | null} */
    this.ui = null;
    /** @type {import("./api.js").View[]} */
    this.views = [];
    this.viewsKnown = false;
    this.paused = false;
    this.pending = false;
    this.spikeSince = 0;
    this.opened = "";
    this.day = "";
    this.main = byId("main");
    this.host = byId("page");
    this.notices = new Notices(byId("notices"));
    this.keys = new Keys(this.shortcuts());
    this.header = new Header(this);
    this.readScreen();
    this.page = (PAGES.find((p) => p.path === this.screen.path) ?? /** @type {typeof PAGES[0]} */ (PAGES[0])).make(this);
    this.stream = new LiveStream({
      hello: (hello) => this.hello(hello),
      frame: (frame) => this.frame(frame),
      phase: (phase, error) => this.phaseChanged(phase, error),
    });
  }

  async start() {
    addEventListener("hashchange", () => this.navigated());
    document.addEventListener("visibilitychange", () => this.visibility());
    onColoursChange(() => this.recolour());
    setInterval(() => this.tick(), TICK_MS);
    const token = url.takeToken();
    if (token) await signIn(token).catch(() => undefined);
    this.readScreen();
    this.page.screen(this.screen);
    this.header.screen(this.screen);
    this.visibility();
  }

  /** Reads the fragment into what the shell knows; no drawing. */
  readScreen() {
    this.screen = url.current();
    const zone = this.screen.params.get("tz") ?? "";
    const wanted = zone && text.isZone(zone) ? zone : text.browserZone();
    if (wanted !== this.clock.zone) this.clock = new text.Clock(wanted);
    document.documentElement.classList.toggle("kiosk", this.screen.params.get("kiosk") === "1");
    if (this.header) showTheme(this.header);
  }

  navigated() {
    this.readScreen();
    this.page.screen(this.screen);
    this.header.screen(this.screen);
    this.openStream();
    this.schedule();
  }

  visibility() {
    if (document.hidden || this.paused) {
      this.stream.close();
      this.page.stop();
      this.opened = "";
      return;
    }
    this.page.start();
    this.readStatus();
    this.openStream();
  }

  /** Opens the stream for the questions of this screen, unless it is open for them already. */
  async openStream() {
    if (document.hidden || this.paused) return;
    if (!this.viewsKnown) await this.readViews();
    if (document.hidden || this.paused) return;
    const path = this.page.streamPath();
    if (path === this.opened) return;
    this.opened = path;
    this.stream.open(path);
  }

  /** What can be asked depends on the views that the server has; without an answer there is always `pulse`. */
  async readViews() {
    try {
      this.views = (await get("v1/views")).views ?? [];
      this.viewsKnown = true;
      this.page.screen(this.screen);
      this.header.screen(this.screen);
    } catch {
      // The stream shows the same trouble, and this is asked again with the next stream.
    }
  }

  async readStatus() {
    try {
      const status = /** @type {import("./api.js").Status} */ (await get("v1/status"));
      this.status = status;
      this.ui = status.ui ?? null;
      this.state.addCommitted((status.batches ?? []).filter((b) => b.state === "committed"));
      this.header.status();
      this.schedule();
    } catch {
      // The stream tells the reader about the same trouble, with its own retries.
    }
  }

  /** @param {import("./api.js").Hello} hello */
  hello(hello) {
    const restarted = this.state.hello !== null && this.state.hello.boot !== hello.boot;
    this.state.begin(hello);
    this.page.hello(hello);
    if (restarted || !this.viewsKnown) {
      this.viewsKnown = false;
      this.readStatus();
      this.openStream();
    }
  }

  /** @param {import("./api.js").Frame} frame */
  frame(frame) {
    const before = this.state.frame?.boundary.offset;
    this.state.apply(frame);
    if (before !== undefined && before !== frame.boundary.offset) this.readStatus();
    this.page.frame(frame, this.state);
    this.header.offer(this.knownSites());
    this.midnight();
    this.schedule();
  }

  /** "Today" is fixed when the stream opens; at midnight it is asked anew. */
  midnight() {
    const day = this.clock.dayOf(this.state.at);
    const passed = this.day !== "" && this.day !== day;
    this.day = day;
    if (!passed) return;
    this.opened = "";
    this.openStream();
  }

  /**
   * @param {import("./stream.js").Phase} phase
   * @param {import("./api.js").ApiError | null} error
   */
  phaseChanged(phase, error) {
    this.phase = phase;
    this.error = error;
    if (phase === "token") this.host.replaceChildren(tokenForm(() => this.signedIn()));
    this.schedule();
  }

  signedIn() {
    this.opened = "";
    this.readStatus();
    this.openStream();
  }

  togglePause() {
    this.paused = !this.paused;
    this.header.openMenu(false);
    this.visibility();
    this.schedule();
  }

  /** A page without frames still says how old it is. */
  tick() {
    if (this.phase !== "live") this.schedule();
  }

  schedule() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.render();
    });
  }

  render() {
    const frame = this.state.frame;
    this.drawPill();
    this.drawNotices();
    if (!frame || this.phase === "token") return;
    if (this.page.root.parentElement !== this.host) this.host.replaceChildren(this.page.root);
    this.page.render(this.state);
    this.main.dataset["seq"] = String(frame.seq);
    this.main.dataset["boundary"] = String(frame.boundary.offset);
    const rate = `${text.rate(frame.rates.events)}/s - Snowshed`;
    if (document.title !== rate) document.title = rate;
  }

  drawPill() {
    const frame = this.state.frame;
    const asOf = frame ? `as of ${this.clock.hms(this.state.at)}` : "";
    if (this.paused) this.header.draw("wait", `paused, ${asOf}`);
    else if (this.phase === "token") this.header.draw("warn", "token required");
    else if (this.phase === "refused") this.header.draw("bad", "not answered");
    else if (this.phase === "reconnecting") this.header.draw("warn", frame ? `reconnecting, ${asOf}` : "reconnecting");
    else if (this.phase === "live" && frame) this.header.draw("live", frame.lag_ms.visible_p99 == null ? "live" : `live ${text.duration(frame.lag_ms.visible_p99)}`);
    else this.header.draw("wait", frame ? asOf : "connecting");
  }

  drawNotices() {
    const failures = this.page.failures;
    const now = this.state.now();
    if (this.phase === "live") {
      const spike = spiking(failures);
      this.spikeSince = spike ? this.spikeSince || now - 60_000 : 0;
    }
    this.notices.draw(notices({
      phase: this.phase, error: this.error, frame: this.state.frame, now, at: this.state.at, clock: this.clock,
      sealAgeMs: this.sealAge(), failures, causes: this.page.causes.causes, spikeSince: this.spikeSince,
      lastError: this.status?.sinks?.find((s) => s.error && s.name !== "archive")?.error ?? "",
    }));
  }

  /** How old a micro-batch becomes before it is sealed, as the last ones tell. */
  sealAge() {
    const ages = [...this.state.batches.values()].flatMap(({ times }) =>
      times?.sealed && times.first ? [Date.parse(times.sealed) - Date.parse(times.first)] : []);
    return Math.max(SEAL_AGE_MS, ...ages.slice(-8));
  }

  recolour() {
    this.colours = readColours();
    this.page.recolour();
    this.schedule();
  }

  /** @returns {string[]} */
  knownSites() {
    return this.page.sites.all.map((s) => s.key ?? "").filter(Boolean);
  }

  /** @returns {import("./keys.js").Shortcut[]} */
  shortcuts() {
    const to = PAGES.map((p) => ({ keys: `g ${p.key}`, words: `Go to ${p.title}`, run: () => url.go({ ...url.current(), path: p.path }, "push") }));
    return [
      ...to,
      { keys: "/", words: "Filter", run: () => byId("filter").focus() },
      { keys: "Space", words: "Pause or go on", run: () => this.togglePause() },
      { keys: "x", words: "Bars as a table", run: () => this.page.picture.showTable() },
      { keys: "v", words: "Verify the sum against the warehouse", run: () => this.page.picture.headline.verify() },
      { keys: "y", words: "Copy the link", run: () => copy(location.href) },
      { keys: "d", words: "Theme", run: () => nextTheme(this.header) },
      { keys: "?", words: "This list", run: () => this.keys.help() },
      { keys: "Esc", words: "Close, then leave the full screen view, then clear the filter", run: () => this.escape() },
    ];
  }

  escape() {
    const menu = byId("menu");
    if (!menu.hidden) this.header.openMenu(false);
    else if (this.screen.params.get("kiosk")) url.setParam("kiosk", "");
    else if (this.screen.filter.length) url.setFilter([]);
  }
}

new Shell().start();
