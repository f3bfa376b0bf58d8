//! The bars above the page that say what is wrong, in words, with the numbers they come from.
//!
//! Each is worked out from what the server said; none is guessed. When nothing is wrong there is no bar.

import { append, el } from "./dom.js";
import * as text from "./format.js";

/** @typedef {{id: string, tone: "bad" | "warn" | "info", words: string}} Notice */
/**
 * @typedef {{phase: import("./stream.js").Phase, error: import("./api.js").ApiError | null, frame: import("./api.js").Frame | null,
 *   now: number, at: number, clock: text.Clock, sealAgeMs: number, failures: import("./figures.js").Failures,
 *   causes: import("./api.js").Cause[], lastError: string, spikeSince: number}} Facts
 */

/** A micro-batch that is older than so many times the age at which it is sealed is late. */
const LATE_SEALS = 3;
const SPIKE_TIMES = 3;
const SPIKE_LEAST = 20;

/**
 * @param {Facts} facts
 * @returns {Notice[]} the worst first
 */
export function notices(facts) {
  return [overload(facts), away(facts), stalled(facts), spike(facts)].filter((n) => n !== null);
}

/** @param {Facts} f @returns {Notice | null} */
function overload(f) {
  const refused = f.frame?.refused;
  if (!refused || !(refused.rate > 0)) return null;
  return { id: "overload", tone: "bad", words: `The collector refuses ${text.rate(refused.rate)}/s: ${refused.bound} full. Trackers keep these events and send them again.` };
}

/** @param {Facts} f @returns {Notice | null} */
function away(f) {
  if (f.phase !== "reconnecting" || !f.frame) return null;
  const busy = f.error?.status === 503 ? ` ${f.error.message}.` : "";
  return {
    id: "reconnecting",
    tone: "warn",
    words: `Reconnecting.${busy} Everything below is as of ${f.clock.hms(f.at)} (${text.duration(f.now - f.at)} ago).`,
  };
}

/** @param {Facts} f @returns {Notice | null} */
function stalled(f) {
  const behind = f.frame?.lag_ms.commit ?? 0;
  const waiting = (f.frame?.batches ?? []).some((b) => b.rows > 0);
  if (f.phase !== "live" || !waiting || behind <= LATE_SEALS * f.sealAgeMs) return null;
  const why = f.lastError ? ` Last error: ${f.lastError}` : "";
  return { id: "stalled", tone: "warn", words: `The warehouse is ${text.duration(behind)} behind. Nothing is lost: it is answered from memory until it is committed.${why}` };
}

/**
 * Is the last minute worse than the hour before by more than chance?
 * @param {import("./figures.js").Failures} failures
 */
export function spiking(failures) {
  const minute = failures.over(60_000);
  const hour = failures.over(3_600_000);
  if (minute.failed < SPIKE_LEAST || hour.ms < 120_000) return false;
  const before = { failed: hour.failed - minute.failed, all: hour.all - minute.all };
  const usual = before.all > 0 ? before.failed / before.all : 0;
  return minute.all > 0 && minute.failed / minute.all > SPIKE_TIMES * usual;
}

/** @param {Facts} f @returns {Notice | null} */
function spike(f) {
  if (!f.spikeSince) return null;
  const minute = f.failures.over(60_000);
  const worst = f.causes[0];
  const mostly = worst ? `, mostly ${worst.title}${worst.apps?.[0] ? ` from ${worst.apps[0]}` : ""}` : "";
  return { id: "spike", tone: "bad", words: `Failed ${text.share(minute.failed, minute.all)} since ${f.clock.hm(f.spikeSince)}${mostly}.` };
}

export class Notices {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    /** @type {Map<string, HTMLElement>} */
    this.shown = new Map();
  }

  /** @param {Notice[]} all */
  draw(all) {
    const wanted = new Set(all.map((n) => n.id));
    for (const [id, node] of this.shown) {
      if (wanted.has(id)) continue;
      node.remove();
      this.shown.delete(id);
    }
    for (const notice of all) {
      let node = this.shown.get(notice.id);
      if (!node) {
        // The first words are announced; the ticking numbers after it are not.
        node = el("p", { class: `notice ${notice.tone}`, id: `notice-${notice.id}` });
        this.root.append(node);
        this.shown.set(notice.id, node);
      }
      if (node.textContent === notice.words) continue;
      node.replaceChildren();
      append(node, notice.words);
    }
  }
}
