//! Claim 14: hostile payloads in every field run nothing and break nothing; once with real events, once with a stream that a
//! broken or captured server could send.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, pageView, Program, sleep, until } from "./harness.mjs";
import { Watched } from "./page.mjs";

const UNSTRUCT = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0";
const HOSTILE = [
  "<script>window.ran = 1</script>",
  "<img src=x onerror=\"window.ran=1\">",
  "\"><svg/onload=window.ran=1>",
  "javascript:window.ran=1",
  "__proto__", "constructor", "toString",
  "\u202Egnp.exe", "a\u0000b", "\u2066left\u2069", "\ud800 lone", "line\nbreak\ttab",
  "${window.ran=1}", "{{window.ran=1}}", "'; DROP TABLE events; --", "]]>", "%00%3Cscript%3E",
  "😀".repeat(300), "x".repeat(5000),
];
const LONG = "L".repeat(1024 * 1024);

/** @type {any} */
let chromium;
/** @type {Program | null} */
let program = null;
before(async () => {
  chromium = await browser();
  program = await Program.start();
});
after(async () => {
  await program?.close();
  await chromium?.close();
});

/** @param {Watched} watched */
async function unharmed(watched) {
  watched.clean();
  const found = await watched.page.evaluate(() => ({
    ran: /** @type {any} */ (window).ran ?? null,
    polluted: Object.keys(Object.prototype).concat(/** @type {any} */ ({}).polluted ?? []),
    markup: document.querySelectorAll("#page script, #page img, #page svg, #page iframe, #page style, #page link").length,
    handlers: [...document.querySelectorAll("#page *")].filter((n) => n.getAttributeNames().some((a) => a.startsWith("on") || a === "style" && /url|expression/.test(n.getAttribute(a) ?? ""))).length,
    links: [...document.querySelectorAll("#page a")].map((a) => a.getAttribute("href")).filter((h) => !h?.startsWith("#")),
    invisible: /[\u0000-\u0008\u000e-\u001f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/.test(document.body.innerText),
    wide: document.documentElement.scrollWidth > innerWidth,
    longest: Math.max(...[...document.querySelectorAll("#page *")].filter((n) => n.childElementCount === 0).map((n) => n.textContent?.length ?? 0)),
  }));
  assert.deepEqual(found, { ran: null, polluted: [], markup: 0, handlers: 0, links: [], invisible: false, wide: false, longest: found.longest });
  assert.ok(found.longest < 2200, `${found.longest} characters shown at once`);
}

test("claim 14: hostile payloads in every field run nothing, break nothing", async () => {
  const p = /** @type {Program} */ (program);
  const context = await chromium.newContext({ viewport: { width: 1280, height: 800 } });
  const watched = await Watched.open(context, `${p.board}/#/live`);
  await watched.ready();
  const fields = ["aid", "page", "url", "refr", "uid", "duid", "se_ca", "se_ac", "tna", "lang", "ua", "tv", "p", "eid", "dtm", "tz", "cx", "co", "ue_pr"];
  /** @type {Record<string, string>[]} */
  const events = [];
  for (const text of HOSTILE) {
    for (const field of fields) events.push({ ...pageView("hostile"), [field]: text });
    events.push(pageView(text.slice(0, 200), { page: text, url: `https://h.example/${text}` }));
  }
  events.push(pageView("hostile", { page: LONG.slice(0, 600_000) }));
  const deep = `${"[".repeat(10_000)}${"]".repeat(10_000)}`;
  events.push({ ...pageView("hostile"), e: "ue", ue_pr: `{"schema":"${UNSTRUCT}","data":${deep}}` });
  events.push({ ...pageView("hostile"), e: "ue", ue_pr: `{"schema":"${UNSTRUCT}","data":{"schema":"iglu:a/__proto__/jsonschema/1-0-0","data":{"__proto__":{"polluted":1}}}}` });
  let accepted = 0;
  for (let i = 0; i < events.length; i += 25) {
    const part = events.slice(i, i + 25);
    const status = await p.post(part);
    assert.ok(status === 200 || status === 413, `status ${status}`);
    if (status === 200) accepted += part.length;
    await sleep(60);
  }
  assert.ok(accepted > 300);
  const status = await p.caughtUp();
  const { payload_events: all, enriched, failed, duplicates, dropped } = status.equation;
  assert.equal(all, enriched + failed + duplicates + dropped);
  await until("the page has them", async () => (await watched.sum()).merged === enriched);
  await until("sites", async () => (await watched.page.locator(".wall-list li").count()) > 5);
  const before = Number(await watched.page.getAttribute("main", "data-seq"));
  await unharmed(watched);
  for (const row of await watched.page.locator(".tail-list summary, .cause-list summary").all()) await row.click({ timeout: 2000 }).catch(() => undefined);
  await unharmed(watched);
  // A site with a hostile name is a link that works.
  await watched.page.mouse.move(5, 5);
  await watched.page.evaluate(() => /** @type {HTMLElement} */ (document.activeElement)?.blur());
  const tile = watched.page.locator(".wall-list a", { hasText: "<img src=x" }).first();
  await tile.click();
  await until("the filter", () => watched.page.isVisible(".chip"));
  await unharmed(watched);
  await until("still live", async () => Number(await watched.page.getAttribute("main", "data-seq")) > before + 4);
});

test("claim 14: a hostile stream runs nothing, breaks nothing", async () => {
  const p = /** @type {Program} */ (program);
  const context = await chromium.newContext({ viewport: { width: 400, height: 800 } });
  const page = await context.newPage();
  const watched = new Watched(page, p.board);
  const texts = [...HOSTILE, LONG.slice(0, 60_000)];
  const now = new Date();
  const hello = { boot: "x", queries: [{ view: "pulse", grain: "1s", dimensions: [], measures: ["events"] }, { view: "pulse", grain: "all", dimensions: [], measures: ["events"] }, { view: "pages", grain: "all", dimensions: [], measures: ["views", "pages"] }], wall: { dimension: "app_id", keys: texts } };
  const second = Math.floor(now.getTime() / 1000);
  const frame = (/** @type {number} */ seq) => ({
    seq, at: new Date().toISOString(), journal_end: 9, enriched: 9, boundary: { offset: 3, time: now.toISOString() },
    equation: { payload_events: 9, enriched: 8, failed: 1, duplicates: 0, dropped: 0 }, rates: { events: 1, failed: 1 }, lag_ms: { visible_p99: 5, commit: 5 },
    windows: JSON.parse('{"__proto__":{"5m":{"events":1}},"traffic":{"__proto__":{"users":1}}}'),
    split: [{ q: 0, t: second, d: [], batch: [1], speed: [2], merged: [3] }, { q: 1, t: second, d: [], batch: [1], speed: [2], merged: [3] },
      { q: 2, t: second, d: [], batch: [1, []], speed: [1, []], merged: [1, texts.map((value) => ({ value, count: 3 }))] }, { q: 99, t: 0, d: texts, batch: [], speed: [], merged: [] }],
    wall: { v: texts.map(() => 1), failed: texts.map(() => 1), last: texts.map(() => Date.now()) },
    batches: [{ from: 3, to: 9, state: "<b>open</b>", rows: 6, bytes: 1, times: { first: now.toISOString(), last: now.toISOString() } }],
    tail: { seen: texts.length, shown: texts.length, rows: texts.map((text, i) => ({ offset: seq * 100 + i, index: 0, state: i % 2 ? "failed" : "good", event_id: text.slice(0, 3000), time: text.slice(0, 100), app_id: text, event_name: text, page: text, user: text, reason: text, hint: text })) },
    refused: { rate: 5, bound: texts[0] },
  });
  const body = `event: hello\ndata: ${JSON.stringify(hello)}\n\n${[1, 2, 3].map((n) => `event: frame\ndata: ${JSON.stringify(frame(n))}\n\n`).join("")}`;
  await page.route("**/v1/live*", (/** @type {any} */ route) => route.fulfill({ status: 200, contentType: "text/event-stream", body }));
  await page.route("**/v1/failed*", (/** @type {any} */ route) => route.fulfill({ json: { total: 9, failed: texts.map((text, i) => ({ cause_id: `${i} ${text.slice(0, 99)}`, title: text, path: text, got: text, want: text, hint: text, command: text, apps: [text, null], count: 3 })) } }));
  await page.goto(`${p.board}/#/live?f.app_id=${encodeURIComponent("<script>")}&tz=${encodeURIComponent("<b>")}&theme=${encodeURIComponent("\"><b>")}&sort=__proto__`, { waitUntil: "commit" });
  await watched.ready();
  await until("rows", async () => (await page.locator(".cause-list li").count()) > 3);
  await unharmed(watched);
  for (const row of await page.locator(".tail-list summary, .cause-list summary").all()) await row.click({ timeout: 2000 }).catch(() => undefined);
  await unharmed(watched);
});
