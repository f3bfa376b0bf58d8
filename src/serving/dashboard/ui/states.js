//! What the page shows when it is not simply live: nothing yet, a token missing, something wrong.
//!
//! Before the first event it says how to send one, with the real address, and has two buttons that do it. The bars above the
//! page say what is wrong, in words, with the numbers they come from; each is worked out from what the server said.

import { ApiError, post, shellQuote } from "./api.js";
import { append, copyButton, el, setText, show } from "./dom.js";
import * as text from "./format.js";

/** @typedef {{id: string, tone: "bad" | "warn" | "info", words: string}} Notice */
/**
 * @typedef {{phase: import("./stream.js").Phase, error: import("./api.js").ApiError | null, frame: import("./api.js").Frame | null,
 *   now: number, at: number, clock: text.Clock, sealAgeMs: number, failures: import("./panels.js").Failures,
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
  return [refusedQuestion(facts), overload(facts), away(facts), stalled(facts), spike(facts)].filter((n) => n !== null);
}

/** @param {Facts} f @returns {Notice | null} */
function overload(f) {
  const refused = f.frame?.refused;
  if (!refused || !(refused.rate > 0)) return null;
  return { id: "overload", tone: "bad", words: `The collector refuses ${text.rate(refused.rate)}/s: ${refused.bound} full. Trackers keep these events and send them again.` };
}

/** @param {Facts} f @returns {Notice | null} */
function refusedQuestion(f) {
  if (f.phase !== "refused" || !f.error) return null;
  const { message, hint, request } = f.error;
  return { id: "refused", tone: "bad", words: `The server does not answer this question: ${message}.${hint ? ` ${hint}.` : ""} Asked: ${request}` };
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
  const error = (f.frame?.batches ?? []).find((b) => b.error)?.error || f.lastError;
  const why = error ? ` Last error: ${error}` : "";
  return { id: "stalled", tone: "warn", words: `The warehouse is ${text.duration(behind)} behind. Nothing is lost: it is answered from memory until it is committed.${why}` };
}

/**
 * Is the last minute worse than the hour before by more than chance?
 * @param {import("./panels.js").Failures} failures
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

/**
 * Swaps a token for the cookie of a session.
 * @param {string} token
 */
export async function signIn(token) {
  await post("v1/session", { token });
}

/**
 * @param {() => void} done called when the server took the token
 * @returns {HTMLElement}
 */
export function tokenForm(done) {
  const answer = el("p", { class: "problem", role: "alert" });
  const field = el("input", { type: "password", id: "token", name: "token", autocomplete: "current-password", maxlength: 512 });
  const button = el("button", { type: "submit", class: "primary" }, "Open");
  const form = el(
    "form",
    { class: "card token", "aria-labelledby": "token-title" },
    el("h2", { id: "token-title" }, "This board needs a token"),
    el("p", {}, "Started in a terminal, the program printed a link with a token: open it, or paste the token here. Tokens are set by serving.tokens or serving.token_file."),
    el("label", { for: "token" }, "Token"),
    field,
    button,
    answer,
  );
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    button.disabled = true;
    try {
      await signIn(field.value.trim());
      done();
    } catch (error) {
      setText(answer, error instanceof ApiError && error.status === 401 ? "This token is not valid here." : `Not opened: ${String(error instanceof Error ? error.message : error)}`);
    } finally {
      button.disabled = false;
    }
  });
  return form;
}

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
   * @param {Snippet} snippet
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
   * @param {Snippet[]} all
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

/**
 * @typedef {{name: string, note: string, code: string}} Snippet
 */

/**
 * @param {string} collector such as `http://127.0.0.1:8080`, without a slash at the end
 * @returns {Snippet[]}
 */
export function snippets(collector) {
  return [
    { name: "curl", note: "One page view, from a shell.", code: curl(collector) },
    { name: "JavaScript", note: "Before </head> of a page; the npm package is the same tracker.", code: tag(collector) },
    { name: "Python", note: "pip install snowplow-tracker", code: python(collector) },
    { name: "Webhook", note: "Any JSON with an Iglu schema, from any program.", code: webhook(collector) },
  ];
}

/** @param {string} collector */
function curl(collector) {
  const query = new URLSearchParams({
    e: "pv", p: "web", tv: "curl", aid: "hello", page: "Hello", url: "https://example.com/hello",
  });
  return `curl -o /dev/null -w '%{http_code}\\n' \\\n  ${shellQuote(`${collector}/i?${query}`)}`;
}

/** @param {string} collector */
function tag(collector) {
  return [
    '<script src="https://cdn.jsdelivr.net/npm/@snowplow/browser-tracker@4/dist/index.umd.min.js"></script>',
    "<script>",
    "  const { newTracker, trackPageView } = snowplowBrowserTracking;",
    `  newTracker("sp", ${JSON.stringify(collector)}, { appId: "my-site" });`,
    "  trackPageView();",
    "</script>",
  ].join("\n");
}

/** @param {string} collector */
function python(collector) {
  return [
    "from snowplow_tracker import PageView, Snowplow",
    "",
    `tracker = Snowplow.create_tracker(namespace="py", endpoint=${JSON.stringify(collector)}, app_id="my-app")`,
    'tracker.track(PageView(page_url="https://example.com/hello", page_title="Hello"))',
    "tracker.flush()",
  ].join("\n");
}

/** @param {string} collector */
function webhook(collector) {
  const body = {
    schema: "iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1",
    data: { targetUrl: "https://example.com/offer" },
  };
  return [
    `curl ${shellQuote(`${collector}/com.snowplowanalytics.iglu/v1?aid=my-hook&p=srv`)} \\`,
    "  -H 'content-type: application/json' \\",
    `  -d ${shellQuote(JSON.stringify(body))}`,
  ].join("\n");
}
