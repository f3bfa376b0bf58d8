//! The page before the first event: how to send one, with the real address, and two buttons that do it for you.

import { ApiError, post } from "./api.js";
import { copyButton, el, setText, show } from "./dom.js";
import { snippets } from "./snippets.js";

/** Sends demo traffic through the collector; used by the empty page and by the menu.
 * @param {{events: number} | {seconds: number}} what
 * @returns {Promise<string>} words for the reader
 */
export async function playDemo(what) {
  try {
    await post("v1/demo", what);
    return "seconds" in what ? `Playing demo traffic for ${what.seconds} s.` : "Sent. It will be here in a moment.";
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return `Not sent: ${error.message}${error.hint ? `. ${error.hint}` : ""}`;
  }
}

export class Empty {
  constructor() {
    this.answer = el("p", { class: "muted", role: "status" });
    this.send = this.demo("Send one test event", "primary", { events: 1 });
    this.play = this.demo("Play demo traffic 60 s", "", { seconds: 60 });
    this.buttons = el("div", { class: "row" }, this.send, this.play);
    this.where = el("code", {}, "");
    this.tabs = el("div", { class: "tabs", role: "tablist", "aria-label": "Ways to send an event" });
    this.panel = el("div", { class: "panel", role: "tabpanel", id: "snippet", tabindex: 0 });
    this.root = el(
      "section",
      { class: "empty card" },
      el("h2", {}, "Waiting for the first event"),
      el("p", { class: "lead" }, "The collector listens at ", this.where, ". Send it something: it will be here within a second, and in the warehouse a few seconds later."),
      this.buttons,
      this.answer,
      this.tabs,
      this.panel,
    );
    this.collector = "";
  }

  /**
   * @param {string} label
   * @param {string} kind
   * @param {{events: number} | {seconds: number}} what
   */
  demo(label, kind, what) {
    const button = el("button", { type: "button", class: kind }, label);
    button.addEventListener("click", async () => {
      button.disabled = true;
      setText(this.answer, await playDemo(what));
      button.disabled = false;
    });
    return button;
  }

  /** @param {NonNullable<import("./api.js").Status["ui"]>} ui */
  draw(ui) {
    show(this.buttons, ui.demo);
    const collector = ui.collector_url.replace(/\/+$/, "");
    if (collector === this.collector) return;
    this.collector = collector;
    setText(this.where, collector);
    const all = snippets(collector);
    this.tabs.replaceChildren(...all.map((snippet, i) => this.tab(snippet, i)));
    this.choose(0, all);
  }

  /**
   * @param {import("./snippets.js").Snippet} snippet
   * @param {number} i
   */
  tab(snippet, i) {
    const tab = el("button", { type: "button", role: "tab", id: `tab-${i}`, "aria-controls": "snippet" }, snippet.name);
    tab.addEventListener("click", () => this.choose(i, snippets(this.collector)));
    tab.addEventListener("keydown", (/** @type {KeyboardEvent} */ e) => {
      const step = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
      if (!step) return;
      const all = snippets(this.collector);
      const next = (i + step + all.length) % all.length;
      this.choose(next, all);
      /** @type {HTMLElement} */ (this.tabs.children[next]).focus();
    });
    return tab;
  }

  /**
   * @param {number} chosen
   * @param {import("./snippets.js").Snippet[]} all
   */
  choose(chosen, all) {
    const snippet = all[chosen];
    if (!snippet) return;
    [...this.tabs.children].forEach((tab, i) => {
      tab.setAttribute("aria-selected", String(i === chosen));
      tab.setAttribute("tabindex", i === chosen ? "0" : "-1");
    });
    this.panel.setAttribute("aria-labelledby", `tab-${chosen}`);
    const pre = el("pre", { tabindex: 0 });
    // Our own text: it is set as it is, line breaks included.
    pre.textContent = snippet.code;
    this.panel.replaceChildren(
      el("div", { class: "panel-head" }, el("span", { class: "muted" }, snippet.note), copyButton("copy", () => snippet.code)),
      pre,
    );
  }
}
