//! The one live stream of a visible tab: Server-Sent Events read from `fetch`.
//!
//! `EventSource` hides the status of a refusal and cannot be told when to retry; `fetch` shows 401 and 503 and can be
//! aborted. A browser opens six connections to an origin over HTTP/1.1, so a hidden tab holds none. Frames carry state, not
//! a log: after a cut the new stream begins with a complete frame, and nothing has to be resumed.

import { ApiError, request } from "./api.js";

/** How long without a frame before the page says so. */
export const QUIET_MS = 2000;
/** How long without a frame before the connection is given up: a dead peer sends no end. */
const DEAD_MS = 6000;
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 10_000;
/** Longest event that is kept; a longer one means that this is not our server. */
const MAX_EVENT = 4 * 1024 * 1024;

/**
 * @typedef {"connecting" | "live" | "reconnecting" | "token" | "refused" | "stopped"} Phase
 * @typedef {{hello: (h: import("./api.js").Hello) => void, frame: (f: import("./api.js").Frame) => void,
 *   phase: (p: Phase, error: ApiError | null) => void}} Handlers
 */

export class LiveStream {
  /** @param {Handlers} handlers */
  constructor(handlers) {
    this.handlers = handlers;
    /** @type {Phase} */
    this.phase = "stopped";
    this.path = "";
    this.attempt = 0;
    this.lastFrame = 0;
    /** @type {AbortController | null} */
    this.controller = null;
    this.timer = 0;
    this.watch = 0;
  }

  /**
   * Opens the stream, or opens it anew for another question.
   * @param {string} path such as `v1/live?q=…`
   */
  open(path) {
    this.close();
    this.path = path;
    this.attempt = 0;
    this.setPhase("connecting", null);
    this.connect();
    this.watch = window.setInterval(() => this.check(), 250);
  }

  close() {
    this.controller?.abort();
    this.controller = null;
    clearTimeout(this.timer);
    clearInterval(this.watch);
    this.setPhase("stopped", null);
  }

  async connect() {
    const controller = new AbortController();
    this.controller = controller;
    this.lastFrame = performance.now();
    try {
      const response = await request(this.path, { signal: controller.signal, headers: { accept: "text/event-stream" } });
      if (!response.body) throw new ApiError(0, "no body");
      await this.read(response.body.getReader(), controller);
      if (this.controller === controller) this.retry(new ApiError(0, "the stream ended"));
    } catch (error) {
      if (this.controller !== controller) return;
      this.retry(error instanceof ApiError ? error : new ApiError(0, String(error)));
    }
  }

  /**
   * @param {ReadableStreamDefaultReader<Uint8Array>} reader
   * @param {AbortController} controller
   */
  async read(reader, controller) {
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this.controller !== controller) return;
      rest += decoder.decode(value, { stream: true });
      if (rest.length > MAX_EVENT) throw new ApiError(0, "an event of the stream is too long");
      rest = this.takeEvents(rest.replaceAll("\r\n", "\n"));
    }
  }

  /**
   * Hands over the complete events of a text.
   * @param {string} text
   * @returns {string} the incomplete rest
   */
  takeEvents(text) {
    let from = 0;
    for (;;) {
      const end = text.indexOf("\n\n", from);
      if (end < 0) return text.slice(from);
      this.event(text.slice(from, end));
      from = end + 2;
    }
  }

  /** @param {string} block */
  event(block) {
    let name = "message";
    let data = "";
    for (const line of block.split("\n")) {
      if (line.startsWith("event:")) name = line.slice(6).trim();
      else if (line.startsWith("data:")) data += line.slice(line[5] === " " ? 6 : 5);
    }
    if (!data) return;
    const value = JSON.parse(data);
    if (name === "hello") this.handlers.hello(value);
    else if (name === "frame" || name === "message") {
      this.lastFrame = performance.now();
      this.attempt = 0;
      this.setPhase("live", null);
      this.handlers.frame(value);
    }
  }

  check() {
    const quiet = performance.now() - this.lastFrame;
    if (this.phase === "live" && quiet > QUIET_MS) this.setPhase("reconnecting", null);
    if (this.controller && quiet > DEAD_MS && this.phase !== "token") {
      this.controller.abort();
      this.retry(new ApiError(0, "no frame for 6 s"));
    }
  }

  /** @param {ApiError} error */
  retry(error) {
    this.controller = null;
    if (error.status === 401) {
      this.setPhase("token", error);
      return;
    }
    // The question is wrong: asking it again would get the same answer.
    if (error.status >= 400 && error.status < 500 && error.status !== 408 && error.status !== 429) {
      this.setPhase("refused", error);
      return;
    }
    const backoff = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.attempt);
    this.attempt = Math.min(this.attempt + 1, 16);
    // A restarted server is met by all its pages at once: half of the wait is random.
    const wait = Math.max(error.retryAfterMs, backoff * (0.5 + Math.random() / 2));
    this.setPhase(this.phase === "connecting" && error.status === 0 && this.attempt < 3 ? "connecting" : "reconnecting", error);
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.connect(), wait);
  }

  /**
   * @param {Phase} phase
   * @param {ApiError | null} error
   */
  setPhase(phase, error) {
    if (phase === this.phase && !error) return;
    this.phase = phase;
    this.handlers.phase(phase, error);
  }
}
