//! The pure parts of the page, run where they live: words of numbers and times, days in their zone, links, notices, silence.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Program } from "./harness.mjs";

/** @type {any} */
let chromium;
/** @type {Program} */
let program;
/** @type {any} */
let page;
before(async () => {
  chromium = await browser();
  program = await Program.start();
  page = await (await chromium.newContext({ locale: "en-GB", timezoneId: "UTC" })).newPage();
  await page.goto(`${program.board}/`, { waitUntil: "commit" });
  await page.waitForSelector("main[data-seq]", { state: "attached" });
  await page.evaluate(() => {
    const base = /** @type {HTMLScriptElement} */ (document.querySelector("script[src]")).src.replace(/app\.js$/, "");
    Object.assign(window, { load: (/** @type {string} */ name) => import(base + name) });
  });
});
after(async () => {
  await program?.close();
  await chromium?.close();
});

test("numbers are exact, rates have three digits, durations and shares are words", async () => {
  const found = await page.evaluate(async () => {
    const f = await /** @type {any} */ (window).load("format.js");
    return {
      counts: [0, 48_213_907, null].map(f.count),
      rates: [0, 0.1, 9.876, 12.34, 900, 8652.4].map(f.rate),
      axis: [[0, 12_000], [6000, 12_000], [800, 900], [1_500_000, 3_000_000]].map(([v, top]) => f.axis(v, top)),
      durations: [84, 999, 1000, 8400, 9960, 59_400, 192_000, 7_500_000, 273_600_000, null].map(f.duration),
      shares: [[0, 100], [1, 10_000], [42, 10_000], [12, 100], [5, 0]].map(([a, b]) => f.share(a, b)),
      bytes: [0, 1023, 1536, 5_242_880].map(f.bytes),
    };
  });
  assert.deepEqual(found, {
    counts: ["0", "48,213,907", "-"],
    rates: ["0", "0.10", "9.88", "12.3", "900", "8,652"],
    axis: ["0", "6k", "800", "1.5M"],
    durations: ["84 ms", "999 ms", "1.0 s", "8.4 s", "10 s", "59 s", "3 min 12 s", "2 h 5 min", "3 d 4 h", "-"],
    shares: ["0 %", "<0.1 %", "0.42 %", "12 %", "-"],
    bytes: ["0 B", "1,023 B", "1.5 KiB", "5.0 MiB"],
  });
});

test("a day begins at local midnight, also when it has 23 or 25 hours", async () => {
  const found = await page.evaluate(async () => {
    const { Clock } = await /** @type {any} */ (window).load("format.js");
    const start = (/** @type {string} */ zone, /** @type {string} */ at) => new Date(new Clock(zone).midnight(Date.parse(at))).toISOString();
    return [
      start("Europe/Paris", "2026-03-29T12:00:00Z"), start("Europe/Paris", "2026-10-25T22:30:00Z"),
      start("Asia/Kolkata", "2026-11-24T10:00:00Z"), start("America/Sao_Paulo", "2018-11-04T12:00:00Z"), start("UTC", "2026-11-24T00:00:00Z"),
    ];
  });
  assert.deepEqual(found, ["2026-03-28T23:00:00.000Z", "2026-10-24T22:00:00.000Z", "2026-11-23T18:30:00.000Z", "2018-11-04T03:00:00.000Z", "2026-11-24T00:00:00.000Z"]);
});

test("a link survives being read and written, whatever its values are", async () => {
  const found = await page.evaluate(async () => {
    const url = await /** @type {any} */ (window).load("url.js");
    const values = ["shop", "!bang", "a=b&c", "ü 😀", "", "__proto__", "#?/"];
    const filter = values.flatMap((value) => [false, true].map((exclude) => ({ field: "app_id", value, exclude })));
    const screen = { path: "/live", params: new Map([["tz", "Asia/Kolkata"], ["sort", "rate"]]), filter };
    const back = url.parse(url.format(screen));
    return { same: JSON.stringify(back.filter) === JSON.stringify(filter), tz: back.params.get("tz"), empty: url.format(url.parse("")), damaged: url.parse("#%%%?f.a=%E0%A4%A&x").path };
  });
  assert.deepEqual(found, { same: true, tz: "Asia/Kolkata", empty: "#/live", damaged: "/live" });
});

test("what is invisible is written out", async () => {
  const found = await page.evaluate(async () => {
    const { visible, value } = await /** @type {any} */ (window).load("dom.js");
    return [visible("a\u202Eb\u0000c"), visible("\ud800x"), visible("😀 ü\u00a0é"), value(null), value(""), visible("x".repeat(3000)).length < 2100];
  });
  assert.deepEqual(found, ["a\\u202eb\\u0000c", "\\ud800x", "😀 ü\u00a0é", "-", '""', true]);
});

test("a site is silent after ten of its usual gaps and a minute at least", async () => {
  const found = await page.evaluate(async () => {
    const { Sites } = await /** @type {any} */ (window).load("wall.js");
    const sites = new Sites();
    sites.setKeys(["busy", "rare", null]);
    const start = 1_000_000_000;
    for (let s = 0; s < 120; s += 1) sites.apply({ v: [100, 0.05, 1], failed: [0, 0, 1], last: [start + s * 1000, start + s * 1000, start + s * 1000] }, start + s * 1000);
    const quiet = (/** @type {number} */ s) => {
      const at = start + (119 + s) * 1000;
      sites.apply({ v: [0, 0, 1], failed: [0, 0, 1], last: [start + 119_000, start + 119_000, at] }, at);
      return [sites.all.map((/** @type {any} */ site) => site.silentFor(at) > 0), sites.tally(), sites.sorted("attention").map((/** @type {any} */ x) => x.name)];
    };
    return [quiet(50), quiet(70), quiet(230)];
  });
  assert.deepEqual(found, [
    [[false, false, false], { live: 3, silent: 0 }, ["-", "busy", "rare"]],
    [[true, false, false], { live: 2, silent: 1 }, ["busy", "-", "rare"]],
    [[true, true, false], { live: 1, silent: 2 }, ["busy", "rare", "-"]],
  ]);
});

test("notices say what is wrong, with the numbers they come from", async () => {
  const found = await page.evaluate(async () => {
    const { notices, spiking } = await /** @type {any} */ (window).load("states.js");
    const { Failures } = await /** @type {any} */ (window).load("panels.js");
    const { Clock } = await /** @type {any} */ (window).load("format.js");
    const at = Date.parse("2026-11-24T14:32:00Z");
    const frame = { lag_ms: { commit: 1000 }, batches: [{ rows: 5 }], refused: null };
    const facts = { phase: "live", error: null, frame, now: at, at, clock: new Clock("UTC"), sealAgeMs: 10_000, failures: new Failures(), causes: [], lastError: "", spikeSince: 0 };
    const words = (/** @type {object} */ change) => notices({ ...facts, ...change }).map((/** @type {any} */ n) => `${n.tone} ${n.words}`);
    const failures = new Failures();
    for (let s = 0; s <= 600; s += 1) failures.push({ equation: { failed: s < 540 ? s : 540 + (s - 540) * 12, enriched: s * 100, duplicates: 0 } }, at + s * 1000);
    const calm = new Failures();
    for (let s = 0; s <= 600; s += 1) calm.push({ equation: { failed: s, enriched: s * 100, duplicates: 0 } }, at + s * 1000);
    return {
      fine: words({}),
      refused: words({ frame: { ...frame, refused: { rate: 312, bound: "journal.queue" } } }),
      away: words({ phase: "reconnecting", now: at + 12_000 }),
      busy: words({ phase: "reconnecting", now: at + 12_000, error: { status: 503, message: "64 streams are open already" } }),
      stalled: words({ frame: { ...frame, lag_ms: { commit: 240_000 }, batches: [{ rows: 5, error: "disk full" }] } }),
      question: words({ phase: "refused", error: { message: "no such view", hint: "there are: pulse", request: "curl 'x'" } }),
      spike: [spiking(failures), spiking(calm), spiking(new Failures())],
      spikeWords: words({ failures, spikeSince: at, causes: [{ title: "cart/1-0-0", apps: ["shop"] }] }),
    };
  });
  assert.deepEqual(found, {
    fine: [],
    refused: ["bad The collector refuses 312/s: journal.queue full. Trackers keep these events and send them again."],
    away: ["warn Reconnecting. Everything below is as of 14:32:00 (12 s ago)."],
    busy: ["warn Reconnecting. 64 streams are open already. Everything below is as of 14:32:00 (12 s ago)."],
    stalled: ["warn The warehouse is 4 min behind. Nothing is lost: it is answered from memory until it is committed. Last error: disk full"],
    question: ["bad The server does not answer this question: no such view. there are: pulse. Asked: curl 'x'"],
    spike: [true, false, false],
    spikeWords: ["bad Failed 11 % since 14:32, mostly cart/1-0-0 from shop."],
  });
});

test("ticks of the time axis are round in the zone, and the value axis is round", async () => {
  const found = await page.evaluate(async () => {
    const { timeTicks, roundUp } = await /** @type {any} */ (window).load("paint.js");
    const from = Date.parse("2026-11-24T14:29:07Z");
    const ticks = (/** @type {number} */ offset, /** @type {number} */ hours) => timeTicks(from, from + (hours ? hours * 3_600_000 : 180_000), 6, offset).at.map((/** @type {number} */ ms) => new Date(ms + offset * 60_000).toISOString().slice(11, 19));
    return { short: ticks(0, 0), kolkata: ticks(330, 12), tops: [0, 3, 7, 101, 8652, 1_000_000].map(roundUp) };
  });
  assert.deepEqual(found, {
    short: ["14:29:30", "14:30:00", "14:30:30", "14:31:00", "14:31:30", "14:32:00"],
    kolkata: ["20:00:00", "22:00:00", "00:00:00", "02:00:00", "04:00:00", "06:00:00"],
    tops: [4, 4, 8, 120, 10_000, 1_000_000],
  });
});
