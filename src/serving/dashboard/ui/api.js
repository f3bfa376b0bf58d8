//! The private API as this page uses it: the shapes of the replies, and one way to ask.
//!
//! Every address is relative to the document, so the page works behind a prefix. A 401 means "show the token form", a 503
//! carries the time to wait; both are an {@link ApiError}, with the request as a `curl` line for whoever reports it.

/** @typedef {{offset: number, time: string | null}} Boundary */

/** @typedef {{payload_events: number, enriched: number, failed: number, duplicates: number, dropped?: number, repaired?: number}} Equation */

/**
 * A micro-batch that is not committed yet, or one that was.
 * @typedef {{from: number, to: number | null, state: string, rows: number, bytes?: number,
 *   times?: {first?: string | null, last?: string | null, sealed?: string | null, committed?: string | null},
 *   error?: string | null}} Batch
 */

/**
 * `GET v1/status`.
 * @typedef {{journal_end: number, enriched: number, boundary: Boundary, equation: Equation,
 *   lag_ms: {visible_p99: number | null, commit: number | null}, batches?: Batch[],
 *   links?: {name: string, depth: number, bound: number, rate: number}[],
 *   sinks?: {name: string, state: string, error?: string | null}[],
 *   ui?: {mode: string, collector_url: string, version: string, demo: boolean}}} Status
 */

/**
 * One view of `GET v1/views`.
 * @typedef {{name: string, grain: string, time?: string, dimensions: string[],
 *   measures: {name: string, function: string, additive?: boolean, error?: number | null}[], windows?: string[]}} View
 */

/**
 * One bucket and group of a view, each measure in both halves and merged; `t` in seconds, `d` the dimensions in order.
 * @typedef {{q: number, t: number, d: (string | null)[], batch: any[], speed: any[], merged: any[]}} SplitRow
 */

/**
 * One event of the tail.
 * @typedef {{offset: number, index: number, state: string, event_id?: string | null, time: string, app_id: string | null,
 *   event_name: string | null, page?: string | null, user?: string | null, reason?: string | null, hint?: string | null}} TailRow
 */

/**
 * Event `hello` of `v1/live`: what the indices of the frames stand for.
 * @typedef {{boot: string, queries: {view: string, grain: string, dimensions: string[], measures: string[],
 *   error?: Record<string, number>}[], wall?: {dimension: string, keys: (string | null)[]}}} Hello
 */

/**
 * Event `frame` of `v1/live`.
 * @typedef {{seq: number, at: string, journal_end: number, enriched: number, boundary: Boundary, equation: Equation,
 *   rates: {events: number, failed: number}, lag_ms: {visible_p99: number | null, commit: number | null},
 *   windows?: Record<string, Record<string, Record<string, any>>>, split: SplitRow[], wall?: {v: number[], failed: number[], keys?: (string | null)[], last?: (number | null)[]},
 *   batches: Batch[], tail?: {seen: number, shown: number, rows: TailRow[]}, refused?: {rate: number, bound: string} | null}} Frame
 */

/**
 * One cause of `GET v1/failed`.
 * @typedef {{cause_id: string, title: string, path?: string | null, got?: string | null, want?: string | null, hint?: string | null,
 *   command?: string | null, apps?: (string | null)[], count: number, first?: string, last?: string, series?: number[],
 *   examples?: {offset: number, index: number, app_id?: string | null, time?: string | null}[]}} Cause
 */

/** An answer of the API that is not a success. */
export class ApiError extends Error {
  /**
   * @param {number} status 0 when there was no answer
   * @param {string} message
   * @param {{code?: string, hint?: string, retryAfterMs?: number, request?: string}} [more]
   */
  constructor(status, message, more = {}) {
    super(message);
    this.status = status;
    this.code = more.code ?? "";
    this.hint = more.hint ?? "";
    this.retryAfterMs = more.retryAfterMs ?? 0;
    this.request = more.request ?? "";
  }
}

/**
 * @param {string} path relative, without a leading slash
 * @returns {string} absolute
 */
export function address(path) {
  return new URL(path, document.baseURI).href;
}

/**
 * Asks and returns the response if it is a success.
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<Response>}
 */
export async function request(path, options = {}) {
  const url = address(path);
  let response;
  try {
    response = await fetch(url, { cache: "no-store", credentials: "same-origin", ...options });
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new ApiError(0, "no answer", { request: curl(url, options) });
  }
  if (response.ok) return response;
  throw await failure(response, curl(url, options));
}

/**
 * @param {Response} response
 * @param {string} asked
 */
async function failure(response, asked) {
  const seconds = Number(response.headers.get("retry-after"));
  const more = { request: asked, retryAfterMs: Number.isFinite(seconds) ? seconds * 1000 : 0 };
  const text = await response.text().catch(() => "");
  try {
    const { code, message, hint } = JSON.parse(text).error;
    return new ApiError(response.status, String(message), { ...more, code: String(code), hint: hint ? String(hint) : "" });
  } catch {
    return new ApiError(response.status, text.slice(0, 300) || response.statusText || `status ${response.status}`, more);
  }
}

/**
 * @param {string} path
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function get(path, signal) {
  return (await request(path, signal ? { signal } : {})).json();
}

/**
 * @param {string} path
 * @param {unknown} body
 * @returns {Promise<any>} null when the answer has no body
 */
export async function post(path, body) {
  const response = await request(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

/**
 * Quotes a text for a POSIX shell.
 * @param {string} text
 */
export function shellQuote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * The request as a line to paste into a shell.
 * @param {string} url
 * @param {RequestInit} options
 */
function curl(url, options) {
  const line = ["curl", shellQuote(url)];
  if (options.method === "POST") line.push("-H", "'content-type: application/json'", "-d", shellQuote(String(options.body)));
  return line.join(" ");
}
