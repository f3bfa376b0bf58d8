//! The claims of the Live page, with the real program, real events and a real browser.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { badEvent, browser, freePort, pageView, Program, sleep, Traffic, until } from "./harness.mjs";
import { Watched } from "./page.mjs";
import { Site } from "./tracker.mjs";

/** @type {any} */
let chromium;
/** @type {{close: () => Promise<void> | void}[]} */
const open = [];
before(async () => { chromium = await browser(); });
after(async () => {
  for (const it of open) await it.close();
  await chromium?.close();
});

/** @param {Parameters<typeof Program.start>[0]} [setup] */
async function start(setup) {
  const program = await Program.start(setup);
  open.push(program);
  return program;
}

/** @param {string} url @param {object} [options] */
async function show(url, options = {}) {
  const context = await chromium.newContext({ viewport: { width: 1280, height: 800 }, timezoneId: "UTC", ...options });
  return Watched.open(context, url);
}

test("claim 1: the two tones add up to the merged answer, per bar and in the headline, at every frame over 20 commits; no total dips at a commit", async () => {
  const program = await start({ env: { SNOWSHED__BATCH__MAX_AGE: "1s" } });
  const traffic = new Traffic(program);
  const watched = await show(`${program.board}/#/live`);
  await watched.ready();
  await until("the picture", () => watched.page.isVisible("#sum"));
  await watched.page.keyboard.press("x");
  await watched.record();
  const seen = await until("20 commits", async () => {
    const now = await watched.recorded();
    return now.boundaries > 20 ? now : null;
  }, 90_000);
  assert.deepEqual(seen.problems, []);
  assert.ok(seen.frames > 60, `${seen.frames} frames`);
  assert.ok(seen.bars > 1000 && seen.mixed > 0, `${seen.bars} bars, ${seen.mixed} with both tones`);
  const columns = await watched.tones();
  assert.ok(columns.some((c) => c.committed > 5) && columns.some((c) => c.memory > 5), "both tones are on the canvas");
  await traffic.stop();
  // A stretch that is over: the bars on the screen are the API's own merged answer, bucket by bucket.
  await program.caughtUp();
  await sleep(600);
  const rows = await watched.page.evaluate(() => [...document.querySelectorAll(".twin tbody tr:not([hidden])")].map((r) => [r.children[0]?.textContent, Number(r.children[1]?.textContent?.replace(/[^0-9]/g, ""))]));
  const answer = await program.get("/v1/views/pulse?from=-4m&grain=1s&layer=merged");
  const bars = new Map(rows);
  const past = answer.rows.filter((/** @type {any} */ r) => bars.has(r.time.slice(11, 19)));
  assert.ok(past.length > 15, `${past.length} buckets`);
  for (const row of past) assert.equal(bars.get(row.time.slice(11, 19)), row.events, row.time);
  watched.clean();
});

test("claim 2: after traffic stops, headline, SQL count(*) and the generator's count are equal", async () => {
  const program = await start();
  const watched = await show(`${program.board}/#/live`);
  const traffic = new Traffic(program, { perPost: 50, everyMs: 40 });
  await sleep(5000);
  const sent = await traffic.stop();
  await program.caughtUp();
  await until("the sum on the page", async () => (await watched.sum()).merged === sent);
  assert.equal(await program.count("SELECT count(*) FROM events"), sent);
  await program.settled();
  await until("all committed", async () => {
    const sum = await watched.sum();
    return sum.batch === sent && sum.speed === 0 && sum.merged === sent;
  });
  assert.equal(await program.count("SELECT count(*) FROM events"), sent);
  watched.clean();
});

test("claim 3: an event is on the page within 500 ms of its 200, and turns from memory to committed when the boundary passes it", async () => {
  const program = await start();
  const watched = await show(`${program.board}/#/live`);
  await watched.ready();
  await program.post([pageView("warm-up")]);
  await until("the picture", () => watched.page.isVisible("#sum"));
  await watched.record();
  /** @type {Map<string, number>} */
  const accepted = new Map();
  const delays = async () => {
    const { events } = await watched.recorded();
    return [...accepted].map(([id, at]) => (events[id] ? events[id].first - at : Infinity));
  };
  // Nine of ten in a row; a machine that is busy with something else for a moment gets more rounds, a slow page never ends.
  for (let i = 0; ; i += 1) {
    const event = i % 5 === 4 ? badEvent("cart") : pageView("shop");
    assert.equal(await program.post([event]), 200);
    accepted.set(event.eid, Date.now());
    await sleep(700);
    const last = (await delays()).slice(-10);
    if (last.length === 10 && last.filter((ms) => ms <= 500).length >= 9) break;
    assert.ok(i < 80, `nine of ten within 500 ms: ${last}`);
  }
  console.log(`# delays from 200 to the page, ms: ${(await delays()).join(" ")}`);
  const ten = [...accepted.keys()].slice(-10);
  const seen = await until("all committed", async () => {
    const now = await watched.recorded();
    return ten.every((id) => !now.events[id] || now.events[id].committed) ? now : null;
  });
  assert.deepEqual(seen.problems, []);
  const shown = ten.filter((id) => seen.events[id]);
  assert.ok(shown.length >= 9, `${shown.length} of ten were shown`);
  for (const id of shown) assert.ok(seen.events[id].committed > seen.events[id].first, `${id} was in memory first`);
  assert.match(await watched.page.locator(".tail-list.failed .reason").first().textContent(), /targetUrl/);
  watched.clean();
});

test("claim 4: after kill -9 and restart the page reconnects and shows no fewer than were acknowledged", async () => {
  const program = await start();
  const watched = await show(`${program.board}/#/live`);
  const traffic = new Traffic(program);
  await until("the picture", async () => (await watched.sum()).merged > 100);
  await program.end("SIGKILL");
  await until("says so", () => watched.page.isVisible("#notice-reconnecting"));
  const acknowledged = await traffic.stop();
  assert.ok(acknowledged > 0);
  await program.run();
  await until("live again, and complete", async () => (await watched.page.isHidden("#notice-reconnecting")) && (await watched.sum()).merged >= acknowledged);
  assert.equal((await watched.sum()).merged, await program.count("SELECT count(*) FROM events"));
  assert.deepEqual(watched.errors, []);
});

test("claim 5: a cut stream is shown within 3 s and drawn as no zero", async () => {
  const program = await start();
  const traffic = new Traffic(program);
  const watched = await show(`${program.board}/#/live`);
  await until("the picture", () => watched.page.isVisible("#sum"));
  await sleep(3000);
  const before = await watched.sum();
  // Measured where it is shown: from the last frame on the screen to the words.
  const shown = watched.page.evaluate(() => new Promise((done) => {
    const main = /** @type {HTMLElement} */ (document.querySelector("main"));
    let seq = main.dataset["seq"];
    let last = performance.now();
    new MutationObserver(() => {
      if (main.dataset["seq"] !== seq) last = performance.now();
      seq = main.dataset["seq"];
    }).observe(main, { attributes: true });
    new MutationObserver(() => {
      if (document.querySelector("#notice-reconnecting")) done(performance.now() - last);
    }).observe(/** @type {Node} */ (document.querySelector("#notices")), { childList: true });
  }));
  program.signal("SIGSTOP");
  assert.ok((await shown) < 3000, `${await shown} ms`);
  assert.equal(await watched.page.getAttribute("#pill", "data-tone"), "warn");
  await sleep(1500);
  const kept = await watched.sum();
  assert.ok(kept.merged >= before.merged, "numbers stay");
  await watched.page.keyboard.press("x");
  await until("the table says it", async () => (await watched.page.locator(".twin tbody tr").first().locator("td").first().textContent()) === "no answer");
  program.signal("SIGCONT");
  await until("live again", async () => (await watched.page.getAttribute("#pill", "data-tone")) === "live");
  await traffic.stop();
  assert.deepEqual(watched.errors, []);
});

test("claim 15: no request leaves the origin, and the page is small", async () => {
  const program = await start();
  const reply = await fetch(`${program.board}/`);
  assert.equal(reply.headers.get("content-security-policy"), "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'");
  await program.post([pageView("shop", { url: "https://elsewhere.example/x", page_url: "https://elsewhere.example/pixel.gif" }), badEvent("shop")]);
  const watched = new Watched(await (await chromium.newContext()).newPage(), program.board);
  const files = new Map();
  watched.page.on("requestfinished", async (/** @type {any} */ r) => {
    if (!r.url().includes("/v1/")) files.set(r.url(), (await r.sizes()).responseBodySize);
  });
  await watched.page.goto(`${program.board}/#/live`, { waitUntil: "commit" });
  await watched.ready();
  await sleep(1000);
  const bytes = [...files.values()].reduce((a, b) => a + b, 0);
  // What is asked again every few seconds is not what it takes to load the page: on a slow machine a round falls into this second.
  const asked = new Set(watched.requests);
  console.log(`# ${asked.size} requests, ${files.size} files of ${bytes} bytes as sent`);
  assert.ok(files.size >= 15 && asked.size <= 25, watched.requests.join("\n"));
  assert.ok(bytes > 20_000 && bytes <= 150 * 1024, `${bytes} bytes`);
  watched.clean();
});

test("claim 16: it works under a prefix behind a proxy that strips it", async () => {
  const program = await start();
  await program.post([pageView("shop")]);
  const port = await freePort();
  const proxy = createServer((request, response) => {
    if (!request.url?.startsWith("/x/y/")) return void response.writeHead(404).end();
    const to = httpRequest({ host: "127.0.0.1", port: program.servingPort, path: request.url.slice(4), method: request.method ?? "GET", headers: request.headers }, (from) => {
      response.writeHead(from.statusCode ?? 502, from.headers);
      from.pipe(response);
    });
    to.on("error", () => response.destroy());
    request.pipe(to);
  });
  await new Promise((done) => proxy.listen(port, "127.0.0.1", () => done(null)));
  const watched = await show(`http://127.0.0.1:${port}/x/y/#/live`);
  await watched.ready();
  await until("the sum", async () => (await watched.sum()).merged === 1);
  watched.clean();
  await watched.page.close();
  proxy.closeAllConnections();
  proxy.close();
});

test("claim 25: a collector 503 shows the overload bar naming the bound", async () => {
  const program = await start({ env: { SNOWSHED__COLLECTOR__LIMITS__CONNECTIONS: "3" } });
  await program.post([pageView("shop")]);
  const watched = await show(`${program.board}/#/live`);
  await until("the picture", async () => (await watched.sum()).merged >= 1);
  assert.equal(await watched.page.locator("#notice-overload").count(), 0);
  const held = await Promise.all([1, 2, 3].map(() => new Promise((resolve, reject) => {
    const socket = connect(program.collectorPort, "127.0.0.1", () => resolve(socket));
    socket.on("error", reject);
  })));
  const refused = setInterval(() => void fetch(`${program.collector}/i`).then((r) => r.text(), () => ""), 50);
  try {
    await until("the bar", () => watched.page.isVisible("#notice-overload"));
    const words = await watched.page.textContent("#notice-overload");
    assert.match(words ?? "", /^The collector refuses [0-9.]+\/s: collector\.limits\.connections full\./);
  } finally {
    clearInterval(refused);
    for (const socket of held) socket.destroy();
  }
  await until("the bar goes when nothing was refused for ten seconds", () => watched.page.isHidden("#notice-overload"));
  assert.deepEqual(watched.errors, []);
});

test("claim 24: what the empty page says, pasted, makes the first event appear: curl, webhook, JavaScript, Python", async () => {
  const program = await start();
  const watched = await show(`${program.board}/#/live`);
  await watched.ready();
  await watched.page.waitForSelector("#snippet pre");
  /** @type {Map<string, string>} */
  const code = new Map();
  for (const tab of await watched.page.getByRole("tab").all()) {
    await tab.click();
    code.set(await tab.textContent(), await watched.page.locator("#snippet pre").textContent());
  }
  const snippet = (/** @type {string} */ name) => {
    const text = code.get(name) ?? "";
    assert.ok(text.includes(program.collector), `${name}: ${text}`);
    return text;
  };
  const run = (/** @type {string} */ command, /** @type {string[]} */ args) => execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  const arrives = async (/** @type {string} */ app) => {
    await until(app, async () => (await program.count(`SELECT count(*) FROM events WHERE app_id = '${app}'`)) === 1);
    assert.equal((await program.status()).equation.failed, 0, app);
  };
  assert.equal(run("sh", ["-c", snippet("curl")]), "200");
  await until("the first event", async () => (await watched.sum()).merged === 1);
  await arrives("hello");
  run("sh", ["-c", snippet("Webhook")]);
  await arrives("my-hook");
  const site = await Site.open();
  open.push(site);
  const visitor = await (await chromium.newContext()).newPage();
  const cdn = /src="(https:[^"]+)"/.exec(snippet("JavaScript"))?.[1] ?? "";
  assert.match(cdn, /@snowplow\/browser-tracker@4\/dist\/index\.umd\.min\.js$/);
  site.pages.set("/pasted", `<title>Pasted</title>${snippet("JavaScript").replace(cdn, "/v4.js")}`);
  await visitor.goto(`${site.origin}/pasted`);
  await arrives("my-site");
  const python = join(process.env.SNOWSHED_COMPONENTS ?? "", "venv/bin/python");
  if (existsSync(python)) {
    run(python, ["-c", snippet("Python")]);
    await arrives("my-app");
  } else {
    assert.notEqual(process.env.CI, "true", "the Python tracker is missing");
    console.log("skip: no Python tracker (make components)");
  }
  watched.clean();
});

test("the two buttons of the empty page send real events", async () => {
  const program = await start();
  const watched = await show(`${program.board}/#/live`);
  await watched.ready();
  await watched.page.getByRole("button", { name: "Send one test event" }).click();
  await until("the event", async () => (await watched.sum()).merged === 1);
  assert.equal(await program.count("SELECT count(*) FROM events WHERE app_id = 'snowshed-demo'"), 1);
  watched.clean();
});
