//! `merged = committed + in memory`, digit for digit, and the check of it.
//!
//! The three numbers come from one row of one frame. They are never rounded and never animated: at every moment the sum on
//! the screen can be done by hand.

import { ApiError, get } from "./api.js";
import { append, el, setText, show } from "./dom.js";
import * as text from "./format.js";

/** @typedef {{batch: number, speed: number, merged: number}} Parts */

/**
 * One term: its number over its words.
 * @param {string} kind
 * @param {string} sign
 */
function term(kind, sign) {
  const number = el("span", { class: "term-number" }, "-");
  const name = el("span", { class: "term-name" });
  const note = el("span", { class: "term-note" });
  const root = el(
    "div",
    { class: `term ${kind}` },
    sign ? el("span", { class: "sign" }, sign) : null,
    el("div", {}, number, el("div", { class: "term-words" }, name, note)),
  );
  return { root, number, name, note };
}

export class Headline {
  /** @param {() => string} verifyPath the question that the button has checked */
  constructor(verifyPath) {
    this.verifyPath = verifyPath;
    this.merged = term("merged", "");
    this.batch = term("committed", "=");
    this.speed = term("memory", "+");
    setText(this.batch.name, "committed");
    setText(this.speed.name, "in memory");
    this.button = el("button", { type: "button", class: "small", title: "Ask the warehouse the same question as SQL (v)" }, "verify");
    this.button.addEventListener("click", () => this.verify());
    this.result = el("p", { class: "verify-result", role: "status", hidden: true });
    const sum = el("div", { class: "sum", id: "sum" }, this.merged.root, this.batch.root, this.speed.root);
    this.root = el("div", { class: "headline" }, sum, el("div", { class: "verify" }, this.button), this.result);
  }

  /**
   * @param {Parts} parts
   * @param {string} what the words under the total: view, window, filter
   * @param {{boundaryOffset: number, memoryMs: number | null}} seam
   */
  draw(parts, what, seam) {
    setText(this.merged.number, text.count(parts.merged));
    setText(this.batch.number, text.count(parts.batch));
    setText(this.speed.number, text.count(parts.speed));
    setText(this.merged.name, what);
    setText(this.batch.note, `up to offset ${text.count(seam.boundaryOffset)}`);
    setText(this.speed.note, seam.memoryMs === null ? "" : `last ${text.duration(seam.memoryMs)}`);
  }

  async verify() {
    this.button.disabled = true;
    this.say("asking the warehouse …", "");
    try {
      const answer = await get(this.verifyPath());
      const outcome = answer.verify ?? answer;
      if (typeof outcome.equal !== "boolean") throw new ApiError(0, "this server does not verify");
      const differences = outcome.differences?.length ?? 0;
      const rows = answer.rows?.length ?? 0;
      if (outcome.equal) this.say(`equal, ${text.count(rows)} of ${text.count(rows)} buckets, by SQL in the same snapshot`, "good");
      else this.say(`different in ${text.count(differences)} of ${text.count(rows)} buckets`, "bad");
    } catch (error) {
      const e = error instanceof ApiError ? error : new ApiError(0, String(error));
      this.say(`not verified: ${e.message}${e.hint ? `. ${e.hint}` : ""}`, "bad");
    } finally {
      this.button.disabled = false;
    }
  }

  /**
   * @param {string} words
   * @param {"" | "good" | "bad"} tone
   */
  say(words, tone) {
    this.result.replaceChildren();
    this.result.className = `verify-result ${tone}`;
    append(this.result, tone === "good" ? "✓ " : tone === "bad" ? "✕ " : "", words);
    show(this.result, true);
  }
}
