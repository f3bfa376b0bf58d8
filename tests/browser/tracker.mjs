//! Pages that carry the unmodified browser trackers, from an origin of their own, and the events that they send.
//!
//! What a tracker says it tracked (its own `afterTrack` hook names every event id) is what must come out; nothing is read
//! from the wire, so a retry or a beacon counts like any other request.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { component, components } from "./harness.mjs";

/** The UMD builds by the major version of the tracker. */
const PACKAGES = { 4: "@snowplow/browser-tracker", 3: "browser-tracker-3" };
/** @typedef {keyof typeof PACKAGES} Major */
export const MAJORS = /** @type {Major[]} */ ([4, 3]);
const SCHEMAS = "iglu:com.snowplowanalytics.snowplow";

/** A site on another origin than the collector: `/v4` and `/v3` load a tracker, `/away` is where a visitor goes. */
export class Site {
  static async open() {
    const site = new Site();
    const scripts = new Map(MAJORS.map((major) => [`/v${major}.js`, readFileSync(umd(major))]));
    site.server = createServer((request, response) => {
      const path = (request.url ?? "/").split("?")[0] ?? "/";
      const script = scripts.get(path);
      response.setHeader("content-type", script ? "text/javascript" : "text/html; charset=utf-8");
      response.end(script ?? site.pages.get(path) ?? `<!doctype html><title>Straße</title><script src="${path}.js"></script>`);
    });
    await new Promise((done) => site.server?.listen(0, "127.0.0.1", () => done(null)));
    const { port } = /** @type {import("node:net").AddressInfo} */ (site.server.address());
    site.origin = `http://127.0.0.1:${port}`;
    return site;
  }

  origin = "";
  /** @type {Map<string, string>} further pages */
  pages = new Map([["/away", "<!doctype html><title>Away</title>"]]);
  /** @type {import("node:http").Server | null} */
  server = null;

  close() {
    this.server?.closeAllConnections();
    this.server?.close();
  }
}

/** @param {Major} major */
function umd(major) {
  component(`${PACKAGES[major]}/package.json`);
  return components.resolve(`${PACKAGES[major]}/dist/index.umd.min.js`);
}

/**
 * What one visit tracked, and who the tracker thinks the visitor is.
 * @typedef {{ids: string[], domainUserId: string, sessionId: string, version: string}} Visit
 */

/**
 * Starts a tracker in an open page of the site and tracks one event of each kind.
 * @param {any} page of playwright
 * @param {string} collector
 * @param {string} app
 * @param {Record<string, any>} options of the tracker
 * @returns {Promise<Visit>}
 */
export async function visit(page, collector, app, options) {
  return page.evaluate(
    (/** @type {any} */ { collector, app, options, schemas }) => {
      const t = /** @type {any} */ (window).snowplowBrowserTracking;
      /** @type {string[]} */
      const ids = [];
      const tracker = t.newTracker("sp", collector, { appId: app, plugins: [{ afterTrack: (/** @type {any} */ p) => ids.push(p.eid) }], ...options });
      if (!options.anonymousTracking) t.setUserId("grüße");
      t.trackPageView({ title: "Straße", context: [{ schema: `${schemas}/web_page/jsonschema/1-0-0`, data: { id: crypto.randomUUID() } }] });
      t.trackStructEvent({ category: "shop", action: "add", label: "grün", property: "x", value: 2.5 });
      t.trackSelfDescribingEvent({ event: { schema: `${schemas}/link_click/jsonschema/1-0-1`, data: { targetUrl: "https://elsewhere.example/ü" } } });
      const info = tracker.getDomainUserInfo();
      return { ids, domainUserId: tracker.getDomainUserId(), sessionId: String(info[6] ?? ""), version: info.length ? "known" : "" };
    },
    { collector, app, options, schemas: SCHEMAS },
  );
}

/**
 * Sends what the tracker still holds.
 * @param {any} page
 */
export async function flush(page) {
  await page.evaluate(() => /** @type {any} */ (window).snowplowBrowserTracking.flushBuffer());
}
