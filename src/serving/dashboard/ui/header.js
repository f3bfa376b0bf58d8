//! The bar on top: pages that exist, the filter, the zone, the pill, the menu.

import { append, byId, copy, el, setText, show } from "./dom.js";
import { playDemo } from "./states.js";
import * as text from "./format.js";
import { store, stored } from "./keys.js";
import * as url from "./url.js";

/** @typedef {import("./app.js").Shell} Shell */

const THEME = "snowshed.theme";
/** Most sites that the filter box offers. */
const OFFERS = 300;

export class Header {
  /** @param {Shell} shell */
  constructor(shell) {
    this.shell = shell;
    this.pill = byId("pill");
    this.words = byId("pill-words");
    this.filters = byId("filters");
    this.input = /** @type {HTMLInputElement} */ (byId("filter"));
    this.zone = /** @type {HTMLSelectElement} */ (byId("zone"));
    this.menu = byId("menu");
    this.button = byId("menu-button");
    this.offered = "";
    this.nav();
    this.zones();
    this.listen();
    this.menuItems();
  }

  nav() {
    const links = this.shell.pages.map((page) => el("a", { href: `#${page.path}` }, page.title));
    byId("nav").replaceChildren(...links);
  }

  zones() {
    const here = text.browserZone();
    const all = typeof Intl.supportedValuesOf === "function" ? Intl.supportedValuesOf("timeZone") : [];
    const first = [...new Set([here, "UTC"])];
    const option = (/** @type {string} */ name) => el("option", { value: name }, name);
    this.zone.replaceChildren(...first.map(option), ...all.filter((z) => !first.includes(z)).map(option));
    this.zone.addEventListener("change", () => url.setParam("tz", this.zone.value === here ? "" : this.zone.value));
  }

  listen() {
    this.input.addEventListener("keydown", (e) => {
      if (e.key === "Enter") this.addFilter();
      if (e.key === "Escape") this.input.blur();
    });
    this.input.addEventListener("change", () => this.input.setCustomValidity(""));
    this.button.addEventListener("click", () => this.openMenu(this.menu.hidden !== false));
    document.addEventListener("click", (e) => {
      if (e.target instanceof Node && !this.menu.contains(e.target) && !this.button.contains(e.target)) this.openMenu(false);
    });
    this.menu.addEventListener("keydown", (e) => {
      if (e.key !== "Escape") return;
      e.stopPropagation();
      this.openMenu(false);
      this.button.focus();
    });
  }

  /** Reads the box: `field=value`, `field=!value`, or the name of a site alone. */
  addFilter() {
    const written = this.input.value.trim();
    if (!written) return;
    const mark = written.indexOf("=");
    const field = mark > 0 ? written.slice(0, mark).trim() : "app_id";
    const value = mark > 0 ? written.slice(mark + 1).trim() : written;
    const problem = mark < 0 && !this.shell.knownSites().includes(value) ? `No site is called ${value}; write field=value` : "";
    this.input.setCustomValidity(problem);
    if (problem) {
      this.input.reportValidity();
      return;
    }
    this.input.value = "";
    const condition = url.readCondition(field, value);
    const kept = this.shell.screen.filter.filter((c) => JSON.stringify(c) !== JSON.stringify(condition));
    url.setFilter([...kept, condition]);
  }

  /** The filter as chips, each with a way out. */
  drawFilters() {
    const filter = this.shell.screen.filter;
    show(this.filters, filter.length > 0);
    const chips = filter.map((c, i) =>
      el("span", { class: "chip" }, `${c.field} ${c.exclude ? "≠" : "="} ${c.value === "" ? '""' : c.value}`,
        el("button", { type: "button", class: "chip-out", "aria-label": `Remove ${c.field}`, on: { click: () => url.setFilter(filter.filter((_, j) => j !== i)) } }, "✕")));
    const clear = el("button", { type: "button", class: "small", on: { click: () => url.setFilter([]) } }, "clear");
    const whole = this.shell.page.scope.whole;
    const note = whole ? null : el("span", { class: "muted" }, "Only the events are filtered; the sum and the bars are of all.");
    this.filters.replaceChildren(...chips, clear);
    append(this.filters, note);
  }

  /** @param {string[]} sites */
  offer(sites) {
    const key = sites.slice(0, OFFERS).join("\n");
    if (key === this.offered) return;
    this.offered = key;
    byId("filter-values").replaceChildren(...sites.slice(0, OFFERS).map((s) => el("option", { value: `app_id=${s}` })));
  }

  /**
   * @param {"live" | "wait" | "warn" | "bad"} tone
   * @param {string} words
   */
  draw(tone, words) {
    this.pill.dataset["tone"] = tone;
    setText(this.words, words);
  }

  /** @param {url.Screen} screen */
  screen(screen) {
    const zone = this.shell.clock.zone;
    // A link may name a zone by an older name, which the browser knows but does not list.
    if (![...this.zone.options].some((o) => o.value === zone)) this.zone.prepend(el("option", { value: zone }, zone));
    this.zone.value = zone;
    for (const link of byId("nav").querySelectorAll("a")) {
      if (link.getAttribute("href") === `#${screen.path}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    this.drawFilters();
  }

  /** @param {boolean} open */
  openMenu(open) {
    show(this.menu, open);
    this.button.setAttribute("aria-expanded", String(open));
    if (open) this.menu.querySelector("button")?.focus();
  }

  menuItems() {
    this.note = el("p", { class: "muted menu-note", role: "status" });
    const item = (/** @type {string} */ words, /** @type {string} */ key, /** @type {() => void} */ run) =>
      el("button", { type: "button", class: "menu-item", on: { click: run } }, el("span", {}, words), key ? el("kbd", {}, key) : null);
    this.themeItem = item("", "d", () => nextTheme(this));
    this.demoItem = item("Play demo traffic 60 s", "", async () => {
      if (this.note) setText(this.note, await playDemo({ seconds: 60 }));
    });
    append(
      this.menu,
      this.themeItem,
      item("Pause or go on", "Space", () => this.shell.togglePause()),
      item("Copy link", "y", async () => {
        if (this.note) setText(this.note, (await copy(location.href)) ? "Link copied." : "The browser refuses to copy.");
      }),
      item("Full screen view", "", () => { this.openMenu(false); url.setParam("kiosk", "1", "push"); }),
      item("Shortcuts", "?", () => { this.openMenu(false); this.shell.keys.help(); }),
      this.demoItem,
      this.note,
    );
    showTheme(this);
  }

  /** What only the status knows. */
  status() {
    if (this.demoItem) show(this.demoItem, this.shell.ui?.demo === true);
  }
}

/** @returns {"" | "light" | "dark"} the theme that was chosen; empty: as the system says */
function chosenTheme() {
  const chosen = url.current().params.get("theme") || stored(THEME);
  return chosen === "light" || chosen === "dark" ? chosen : "";
}

/** @param {Header} header */
export function showTheme(header) {
  const theme = chosenTheme();
  if (theme) document.documentElement.dataset["theme"] = theme;
  else delete document.documentElement.dataset["theme"];
  const words = header.themeItem?.firstElementChild;
  if (words) setText(words, `Theme: ${theme || "as the system"}`);
}

/** System, light, dark, and round again. @param {Header} header */
export function nextTheme(header) {
  const next = { "": "light", light: "dark", dark: "" }[chosenTheme()] ?? "";
  store(THEME, next);
  url.setParam("theme", "");
  showTheme(header);
}
