//! The page as a test sees it: opened, watched for errors and foreign requests, and read frame by frame from its DOM.

import assert from "node:assert/strict";

/** What a page may never do, gathered while it is open. */
export class Watched {
  /**
   * @param {any} context of playwright
   * @param {string} url
   */
  static async open(context, url) {
    const page = await context.newPage();
    const watched = new Watched(page, new URL(url).origin);
    await page.goto(url, { waitUntil: "commit" });
    return watched;
  }

  /**
   * @param {any} page
   * @param {string} origin
   */
  constructor(page, origin) {
    this.page = page;
    this.origin = origin;
    /** @type {string[]} */
    this.errors = [];
    /** @type {string[]} */
    this.requests = [];
    page.on("pageerror", (/** @type {Error} */ e) => this.errors.push(`error: ${e.stack ?? e}`));
    page.on("dialog", (/** @type {any} */ d) => { this.errors.push(`dialog: ${d.message()}`); d.dismiss(); });
    page.on("request", (/** @type {any} */ r) => this.requests.push(r.url()));
    page.on("console", (/** @type {any} */ m) => {
      if (/Content Security Policy|Trusted/i.test(m.text())) this.errors.push(`console: ${m.text()}`);
    });
  }

  /** The first frame is on the screen. */
  async ready() {
    await this.page.waitForSelector("main[data-seq]", { state: "attached", timeout: 60_000 });
  }

  /** Nothing went wrong, and no request left the origin. */
  clean() {
    assert.deepEqual(this.errors, []);
    const foreign = this.requests.filter((r) => new URL(r).origin !== this.origin);
    assert.deepEqual(foreign, [], "no request leaves the origin");
  }

  /**
   * The three numbers of the sum, as they are read on the screen.
   * @returns {Promise<{merged: number, batch: number, speed: number}>}
   */
  async sum() {
    return this.page.evaluate(() => {
      const [merged, batch, speed] = [...document.querySelectorAll("#sum .term-number")].map((n) => Number(n.textContent?.replace(/[^0-9]/g, "")));
      return { merged, batch, speed };
    });
  }

  /**
   * From now on every frame that is painted is read out of the DOM: the sum, all bars in the table, the rows of the tail.
   * What does not add up is kept in words.
   */
  async record() {
    await this.page.evaluate(() => {
      const main = /** @type {HTMLElement} */ (document.querySelector("main"));
      const number = (/** @type {Element | undefined} */ n) => Number(n?.textContent?.replace(/[^0-9]/g, ""));
      const seen = { frames: 0, problems: /** @type {string[]} */ ([]), boundaries: new Set(), bars: 0, mixed: 0, highest: 0 };
      /** @type {Map<string, {first: number, committed: number}>} */
      const events = new Map();
      Object.assign(window, { seen, events });
      const read = () => {
        seen.frames += 1;
        const boundary = Number(main.dataset["boundary"]);
        seen.boundaries.add(boundary);
        const [merged, batch, speed] = [...document.querySelectorAll("#sum .term-number")].map(number);
        if (merged !== (batch ?? 0) + (speed ?? 0)) seen.problems.push(`sum: ${merged} is not ${batch} + ${speed}`);
        if ((merged ?? 0) < seen.highest) seen.problems.push(`dip: ${merged} after ${seen.highest}, boundary ${boundary}`);
        seen.highest = Math.max(seen.highest, merged ?? 0);
        let passed = 0;
        const rows = document.querySelectorAll(".twin tbody tr:not([hidden])");
        for (const row of rows) {
          const [m, b, s] = [1, 2, 3].map((i) => number(row.children[i]));
          seen.bars += 1;
          if (b && s) seen.mixed += 1;
          // One second of play on either side: requests that arrive together are not journalled in the order of their clocks.
          if (row.classList.contains("boundary")) passed = 1;
          else if (passed) passed += 1;
          if (passed > 2 && s) seen.problems.push(`${s} in memory, ${passed - 1} bars before the boundary`);
          if (m !== (b ?? 0) + (s ?? 0)) seen.problems.push(`bar ${row.children[0]?.textContent}: ${m} is not ${b} + ${s}`);
        }
        // A line that stands in the future would be on no bar at all.
        if (rows.length > 0 && boundary > 0 && batch && !passed) seen.problems.push(`no bar carries the boundary ${boundary}`);
        for (const item of document.querySelectorAll(".tail-list li")) {
          const id = item.getAttribute("data-event") ?? "";
          const committed = item.classList.contains("committed");
          const known = events.get(id) ?? { first: Date.now(), committed: 0 };
          if (committed !== Number(item.getAttribute("data-offset")) < boundary) seen.problems.push(`dot of ${id}: ${committed}, boundary ${boundary}`);
          if (committed && !known.committed) known.committed = Date.now();
          events.set(id, known);
        }
      };
      new MutationObserver(read).observe(main, { attributes: true, attributeFilter: ["data-seq"] });
    });
  }

  /** What was recorded. */
  async recorded() {
    return this.page.evaluate(() => {
      const { seen, events } = /** @type {any} */ (window);
      return { ...seen, boundaries: seen.boundaries.size, events: Object.fromEntries(events) };
    });
  }

  /** Colours of the bars, column by column: how many pixels of either tone stand over the middle of each bar. */
  async tones() {
    return this.page.evaluate(() => {
      const canvas = /** @type {HTMLCanvasElement} */ (document.querySelector(".bars-paint"));
      const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
      const probe = document.createElement("span");
      document.body.append(probe);
      const rgb = (/** @type {string} */ token) => {
        probe.style.color = `var(${token})`;
        return (getComputedStyle(probe).color.match(/\d+/g) ?? []).slice(0, 3).map(Number);
      };
      const colours = { committed: rgb("--committed"), memory: rgb("--memory") };
      probe.remove();
      const density = canvas.width / canvas.clientWidth;
      const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
      const count = (/** @type {number} */ x, /** @type {number[]} */ c) => {
        let n = 0;
        // Down to the axis: below it lie the micro-batches.
        for (let y = 0; y < height - 50 * density; y += 1) {
          const at = (y * width + x) * 4;
          if (data[at] === c[0] && data[at + 1] === c[1] && data[at + 2] === c[2]) n += 1;
        }
        return n;
      };
      const columns = [];
      for (let x = Math.round(46 * density); x < width; x += 1) columns.push({ x: x / density, committed: count(x, colours.committed), memory: count(x, colours.memory) });
      return columns;
    });
  }
}
