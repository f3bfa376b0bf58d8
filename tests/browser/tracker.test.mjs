//! Real trackers, unmodified: every event that they track comes out enriched, once, with the identity they expect.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { browser, component, Program, TP2, until } from "./harness.mjs";
import { flush, MAJORS, Site, visit } from "./tracker.mjs";

const NOBODY = "00000000-0000-0000-0000-000000000000";
const CUSTOM = "/com.acme/track";

/** @type {any} */
let chromium;
/** @type {Program} */
let program;
/** @type {Site} */
let site;
before(async () => {
  chromium = await browser();
  program = await Program.start({ env: { SNOWSHED__COLLECTOR__PATH_MAP: `{ "${CUSTOM}" = "${TP2}" }` } });
  site = await Site.open();
});
after(async () => {
  site?.close();
  await program?.close();
  await chromium?.close();
});

const COLUMNS = "event_id, event_name, user_id, domain_userid, domain_sessionid, network_userid, user_ipaddress, v_tracker, platform, page_title, se_label, se_value";

/**
 * The rows of these events, when all are there; fails if one is missing, double or failed.
 * @param {string[]} ids
 * @param {string} app
 * @returns {Promise<Record<string, any>[]>}
 */
async function arrived(ids, app) {
  assert.ok(ids.length > 0 && new Set(ids).size === ids.length, "the tracker names every event once");
  const marks = ids.map(() => "?").join(", ");
  const rows = await until(`${ids.length} events of ${app}`, async () => {
    const found = await program.sql(`SELECT ${COLUMNS} FROM events WHERE event_id IN (${marks})`, ids);
    if (found.length >= ids.length) return found;
    throw new Error(`${found.length} of ${ids.length}; failed: ${JSON.stringify((await program.get("/v1/failed")).failed).slice(0, 1500)}`);
  });
  await program.settled();
  const again = await program.sql(`SELECT event_id, count(*) FROM events WHERE app_id = ? GROUP BY 1`, [app]);
  assert.deepEqual(again.map((r) => [r[0], Number(r[1])]).sort(), ids.map((id) => [id, 1]).sort(), "each exactly once, nothing else, committed too");
  assert.equal(rows.length, ids.length);
  const names = COLUMNS.split(", ");
  return rows.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i]])));
}

/** The three kinds of a visit. @param {Record<string, any>[]} rows @param {number} [visits] */
function threeKinds(rows, visits = 1) {
  const names = rows.map((r) => r.event_name).sort();
  assert.deepEqual(names, ["event", "link_click", "page_view"].flatMap((n) => Array(visits).fill(n)));
  const struct = rows.find((r) => r.event_name === "event");
  assert.equal(struct?.se_label, "grün");
  assert.equal(Number(struct?.se_value), 2.5);
  assert.equal(rows.find((r) => r.event_name === "page_view")?.page_title, "Straße");
}

for (const major of MAJORS) {
  for (const [name, options] of /** @type {[string, Record<string, any>][]} */ ([
    ["POST", { eventMethod: "post" }],
    ["POST, base64", { eventMethod: "post", encodeBase64: true }],
    ["POST in batches", { eventMethod: "post", bufferSize: 3 }],
    ["GET", { eventMethod: "get" }],
    ["custom path", { eventMethod: "post", postPath: CUSTOM }],
  ])) {
    test(`browser tracker ${major}, ${name}: every event, once, with its identity`, async () => {
      const app = `v${major}-${name.replaceAll(/[^A-Za-z0-9]/g, "")}`;
      const context = await chromium.newContext();
      const page = await context.newPage();
      await page.goto(`${site.origin}/v${major}`);
      const seen = await visit(page, program.collector, app, options);
      await flush(page);
      const rows = await arrived(seen.ids, app);
      threeKinds(rows);
      for (const row of rows) {
        assert.equal(row.user_id, "grüße");
        assert.equal(row.domain_userid, seen.domainUserId);
        assert.equal(row.domain_sessionid, seen.sessionId);
        assert.equal(row.platform, "web");
        assert.match(row.v_tracker, new RegExp(`^js-${major}\\.`));
        assert.match(row.network_userid, /^[0-9a-f-]{36}$/);
        assert.equal(row.user_ipaddress, "127.0.0.1");
      }
      await context.close();
    });
  }

  test(`browser tracker ${major}, cross-origin with credentials: a visitor keeps the network user id over pages`, async () => {
    const app = `v${major}-credentials`;
    const context = await chromium.newContext();
    const ids = [];
    for (let i = 0; i < 2; i += 1) {
      const page = await context.newPage();
      await page.goto(`${site.origin}/v${major}`);
      ids.push(...(await visit(page, program.collector, app, { eventMethod: "post" })).ids);
      await flush(page);
      // The cookie of the first reply is what the second page must send.
      await until("a cookie", async () => (await context.cookies(program.collector)).some((/** @type {any} */ c) => c.name === "sp"));
      await until("arrived", async () => (await program.count("SELECT count(*) FROM events WHERE app_id = ?", [app])) === ids.length);
      await page.close();
    }
    const rows = await arrived(ids, app);
    threeKinds(rows, 2);
    const cookie = (await context.cookies(program.collector)).find((/** @type {any} */ c) => c.name === "sp");
    assert.ok(cookie.httpOnly && cookie.secure && cookie.sameSite === "None", JSON.stringify(cookie));
    const second = rows.filter((r) => ids.slice(3).includes(r.event_id));
    assert.deepEqual([...new Set(second.map((r) => r.network_userid))], [cookie.value]);
    assert.ok(rows.some((r) => ids.slice(0, 3).includes(r.event_id) && r.network_userid === cookie.value), "the first page's last id is kept");
    await context.close();
  });

  test(`browser tracker ${major}, anonymous: no id of the visitor is kept`, async () => {
    const app = `v${major}-anonymous`;
    const context = await chromium.newContext();
    const page = await context.newPage();
    await page.goto(`${site.origin}/v${major}`);
    const options = { eventMethod: "post", anonymousTracking: { withServerAnonymisation: true }, stateStorageStrategy: "none" };
    const seen = await visit(page, program.collector, app, options);
    await flush(page);
    const rows = await arrived(seen.ids, app);
    threeKinds(rows);
    for (const row of rows) {
      assert.equal(row.network_userid, NOBODY);
      assert.equal(row.user_ipaddress, "unknown");
      assert.equal(row.domain_userid, null);
      assert.equal(row.user_id, null);
    }
    assert.deepEqual(await context.cookies(program.collector), [], "no cookie is set");
    await context.close();
  });

  test(`browser tracker ${major}, leaving the page: what is still in the buffer arrives`, async () => {
    const app = `v${major}-unload`;
    const context = await chromium.newContext();
    const page = await context.newPage();
    /** @type {string[]} */
    const kinds = [];
    page.on("request", (/** @type {any} */ r) => { if (r.url().startsWith(program.collector) && r.method() === "POST") kinds.push(r.resourceType()); });
    await page.goto(`${site.origin}/v${major}`);
    const leaving = major === 3 ? { eventMethod: "beacon" } : { eventMethod: "post", keepalive: true };
    const seen = await visit(page, program.collector, app, { ...leaving, bufferSize: 20 });
    await page.goto(`${site.origin}/away`);
    const rows = await arrived(seen.ids, app);
    threeKinds(rows);
    console.log(`# sent on unload as ${[...new Set(kinds)].join(", ") || "unseen"}`);
    await context.close();
  });
}

for (const [eventMethod, bufferSize] of /** @type {const} */ ([["post", 1], ["post", 10], ["get", 1]])) {
  test(`node tracker, ${eventMethod}, ${bufferSize} a request: every event, once, with its identity`, async () => {
    const t = component("@snowplow/node-tracker");
    const app = `node-${eventMethod}-${bufferSize}`;
    const tracker = t.newTracker({ namespace: "n", appId: app, encodeBase64: bufferSize === 1 }, { endpoint: "127.0.0.1", protocol: "http", port: program.collectorPort, eventMethod, bufferSize });
    const user = { domain: randomUUID(), network: randomUUID(), session: randomUUID() };
    tracker.setPlatform("srv");
    tracker.setUserId("grüße");
    tracker.setDomainUserId(user.domain);
    tracker.setNetworkUserId(user.network);
    tracker.setSessionId(user.session);
    const ids = [];
    for (let i = 0; i < 4; i += 1) {
      ids.push(tracker.track(t.buildPageView({ pageUrl: `https://shop.example/a b/${i}?q=ü`, pageTitle: "Straße" })).eid);
      ids.push(tracker.track(t.buildStructEvent({ category: "shop", action: "add", label: "grün", value: 2.5 })).eid);
      ids.push(tracker.track(t.buildSelfDescribingEvent({ event: { schema: "iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1", data: { targetUrl: "https://elsewhere.example/ü" } } })).eid);
    }
    await tracker.flush();
    const rows = await arrived(ids, app);
    threeKinds(rows, 4);
    for (const row of rows) {
      assert.equal(row.user_id, "grüße");
      assert.equal(row.domain_userid, user.domain);
      assert.equal(row.domain_sessionid, user.session);
      assert.equal(row.network_userid, user.network);
      assert.equal(row.platform, "srv");
      assert.match(row.v_tracker, /^node-4\./);
    }
  });
}
