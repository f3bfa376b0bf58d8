//! Starts the real program and a real browser for the tests of this folder, and says why when one of them is missing.
//!
//! Nothing is installed from here: `SNOWSHED_BIN` names the program, `SNOWSHED_COMPONENTS` the folder with `node_modules`
//! (or they lie beside this file), `CHROMIUM` the browser. Ports are free ones, data live in a temporary folder.

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const HERE = fileURLToPath(new URL(".", import.meta.url));
export const ROOT = join(HERE, "../..");
export const TP2 = "/com.snowplowanalytics.snowplow/tp2";
const SCHEMAS = "iglu:com.snowplowanalytics.snowplow";
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/**
 * Ends the file with a reason, or fails where nothing may be skipped.
 * @param {string} why
 * @returns {never}
 */
function skip(why) {
  console.log(`skip: ${why}`);
  process.exit(process.env.CI === "true" ? 1 : 0);
}

const folder = process.env.SNOWSHED_COMPONENTS;
const near = folder && existsSync(join(folder, "node_modules")) ? join(folder, "node_modules", "x.js") : join(HERE, "x.js");
export const components = createRequire(near);

/**
 * A module of the components.
 * @param {string} name
 * @returns {any}
 */
export function component(name) {
  try {
    return components(name);
  } catch (error) {
    return skip(`no module ${name} (make components): ${String(error).split("\n")[0]}`);
  }
}

/** @returns {string} the program */
export function program() {
  const bin = process.env.SNOWSHED_BIN ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "release/snowshed");
  return existsSync(bin) ? bin : skip(`no program at ${bin}: set SNOWSHED_BIN`);
}

/** @returns {Promise<any>} a browser of playwright */
export async function browser() {
  const { chromium } = component("playwright-core");
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  if (!existsSync(executablePath)) skip(`no browser at ${executablePath}: set CHROMIUM`);
  return chromium.launch({ executablePath, args: FLAGS });
}

/** @returns {Promise<number>} a port that nobody listens on */
export async function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });
}

/** @param {number} ms */
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * Tries until it is true.
 * @template T
 * @param {string} what
 * @param {() => Promise<T> | T} test
 * @param {number} [ms] long, because a test machine may be busy; what must be quick is measured, not waited for
 * @returns {Promise<NonNullable<T>>}
 */
export async function until(what, test, ms = 60_000) {
  const end = Date.now() + ms;
  let last;
  for (;;) {
    try {
      const value = await test();
      if (value) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}; last: ${last instanceof Error ? last.stack : JSON.stringify(last)}`);
    await sleep(20);
  }
}

/** A running program. */
export class Program {
  /**
   * @param {{env?: Record<string, string>, args?: string[]}} [setup]
   * @returns {Promise<Program>}
   */
  static async start(setup = {}) {
    const made = new Program();
    made.data = mkdtempSync(join(tmpdir(), "snowshed-browser-"));
    made.collectorPort = await freePort();
    made.servingPort = await freePort();
    made.setup = setup;
    await made.run();
    return made;
  }

  data = "";
  collectorPort = 0;
  servingPort = 0;
  log = "";
  /** @type {Traffic[]} ends with the program, also when the test failed */
  traffic = [];
  /** @type {{env?: Record<string, string>, args?: string[]}} */
  setup = {};
  /** @type {import("node:child_process").ChildProcess | null} */
  child = null;

  get collector() {
    return `http://127.0.0.1:${this.collectorPort}`;
  }

  get board() {
    return `http://127.0.0.1:${this.servingPort}`;
  }

  async run() {
    const child = spawn(program(), this.setup.args ?? ["run"], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        SNOWSHED__DATA_DIR: this.data,
        SNOWSHED__COLLECTOR__LISTEN: `127.0.0.1:${this.collectorPort}`,
        SNOWSHED__SERVING__LISTEN: `127.0.0.1:${this.servingPort}`,
        SNOWSHED__BATCH__MAX_AGE: "2s",
        ...this.setup.env,
      },
    });
    this.child = child;
    const keep = (/** @type {Buffer} */ text) => { this.log = (this.log + text).slice(-20_000); };
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
    await until(`ready, its log:\n${this.log}`, async () => {
      if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}:\n${this.log}`);
      return (await fetch(`${this.board}/health/ready`)).status === 200;
    }, 60_000);
  }

  /** @param {NodeJS.Signals} signal */
  async end(signal) {
    const child = this.child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((done) => child.once("exit", done));
    child.kill(signal);
    await gone;
  }

  /** The end of a test. */
  async close() {
    for (const traffic of this.traffic) traffic.running = false;
    await this.end("SIGKILL");
    rmSync(this.data, { recursive: true, force: true });
  }

  /** @param {NodeJS.Signals} name */
  signal(name) {
    this.child?.kill(name);
  }

  /** @param {string} path */
  async get(path) {
    const reply = await fetch(`${this.board}${path}`);
    const text = await reply.text();
    if (!reply.ok) throw new Error(`GET ${path}: ${reply.status} ${text}`);
    return JSON.parse(text);
  }

  async status() {
    return this.get("/v1/status");
  }

  /**
   * Rows of a query over both layers.
   * @param {string} sql
   * @param {any[]} [params]
   * @returns {Promise<any[][]>}
   */
  async sql(sql, params = []) {
    const reply = await fetch(`${this.board}/v1/sql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ sql, params }),
    });
    const text = await reply.text();
    if (!reply.ok) throw new Error(`${sql}: ${reply.status} ${text}`);
    return JSON.parse(text).rows;
  }

  /** @param {string} sql @param {any[]} [params] */
  async count(sql, params) {
    return Number((await this.sql(sql, params))[0]?.[0]);
  }

  /** Waits until everything accepted is in the answers. */
  async caughtUp() {
    return until("caught up", async () => {
      const s = await this.status();
      return s.journal_end === s.enriched ? s : null;
    }, 30_000);
  }

  /** Waits until everything accepted is in the warehouse. */
  async settled() {
    return until("settled", async () => {
      const s = await this.status();
      return s.journal_end === s.enriched && s.enriched === s.boundary.offset ? s : null;
    }, 60_000);
  }

  /**
   * Sends events in one POST, as a tracker does.
   * @param {Record<string, string>[]} events
   * @returns {Promise<number>} the status
   */
  async post(events) {
    const reply = await fetch(`${this.collector}${TP2}`, {
      method: "POST",
      headers: { "content-type": "application/json; charset=UTF-8" },
      body: JSON.stringify({ schema: `${SCHEMAS}/payload_data/jsonschema/1-0-4`, data: events }),
    });
    await reply.arrayBuffer();
    return reply.status;
  }
}

/**
 * A page view with a fresh id.
 * @param {string} app
 * @param {Record<string, string>} [more]
 * @returns {Record<string, string> & {eid: string}}
 */
export function pageView(app, more = {}) {
  const now = String(Date.now());
  return { e: "pv", eid: randomUUID(), tv: "js-4.10.1", p: "web", aid: app, duid: randomUUID(), url: "https://shop.example/cars/42?x=1", page: "Cars", dtm: now, stm: now, ...more };
}

/**
 * An event that fails: its data lack what the schema requires.
 * @param {string} app
 * @returns {Record<string, string> & {eid: string}}
 */
export function badEvent(app) {
  const data = { schema: `${SCHEMAS}/unstruct_event/jsonschema/1-0-0`, data: { schema: `${SCHEMAS}/link_click/jsonschema/1-0-1`, data: { elementId: "x" } } };
  return { ...pageView(app), e: "ue", ue_pr: JSON.stringify(data) };
}

/** Traffic that goes on until it is stopped; it counts what was acknowledged. */
export class Traffic {
  /**
   * @param {Program} program
   * @param {{sites?: number, perPost?: number, everyMs?: number}} [shape]
   */
  constructor(program, { sites = 12, perPost = 20, everyMs = 100 } = {}) {
    this.program = program;
    this.acknowledged = 0;
    this.running = true;
    program.traffic.push(this);
    this.done = this.loop(sites, perPost, everyMs);
  }

  /** @param {number} sites @param {number} perPost @param {number} everyMs */
  async loop(sites, perPost, everyMs) {
    for (let n = 0; this.running; n += 1) {
      const events = Array.from({ length: perPost }, (_, i) => pageView(`site-${(n + i) % sites}`, { url: `https://shop.example/page/${(n * 7 + i) % 9}` }));
      const status = await this.program.post(events).catch(() => 0);
      if (status === 200) this.acknowledged += perPost;
      await sleep(everyMs);
    }
  }

  async stop() {
    this.running = false;
    await this.done;
    return this.acknowledged;
  }
}
