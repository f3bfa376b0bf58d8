//! Shortcuts: one table, an off switch, and silence while somebody types.

import { el } from "./dom.js";

const OFF = "snowshed.keys.off";

/** @typedef {{keys: string, words: string, run: () => void}} Shortcut `keys`: one key, or two in a row as in `g l` */

export class Keys {
  /** @param {Shortcut[]} shortcuts */
  constructor(shortcuts) {
    this.shortcuts = shortcuts;
    this.first = "";
    this.firstAt = 0;
    document.addEventListener("keydown", (e) => this.pressed(e));
  }

  get off() {
    return stored(OFF) === "1";
  }

  set off(off) {
    store(OFF, off ? "1" : "");
  }

  /** @param {KeyboardEvent} e */
  pressed(e) {
    if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented) return;
    const inDialog = document.querySelector("dialog[open]") !== null;
    if (e.key !== "Escape" && (this.off || inDialog || typing(e.target))) return;
    if (e.key === " " && e.target instanceof Element && e.target.closest("button, a, summary, select")) return;
    const key = e.key === " " ? "Space" : e.key === "Escape" ? "Esc" : e.key;
    const pair = performance.now() - this.firstAt < 1200 ? `${this.first} ${key}` : "";
    this.first = key;
    this.firstAt = performance.now();
    const hit = this.shortcuts.find((s) => s.keys === pair) ?? this.shortcuts.find((s) => s.keys === key);
    if (!hit || (key === "Esc" && inDialog)) return;
    e.preventDefault();
    this.firstAt = 0;
    hit.run();
  }

  /** @returns {HTMLDialogElement} the list of shortcuts, with the switch */
  help() {
    const box = el("input", { type: "checkbox", id: "keys-on" });
    box.checked = !this.off;
    box.addEventListener("change", () => { this.off = !box.checked; });
    const rows = this.shortcuts.map((s) => el("tr", {}, el("td", {}, ...s.keys.split(" ").map((k) => el("kbd", {}, k))), el("td", {}, s.words)));
    const dialog = el(
      "dialog",
      { class: "help", "aria-labelledby": "help-title" },
      el("h2", { id: "help-title" }, "Shortcuts"),
      el("table", {}, el("tbody", {}, ...rows)),
      el("p", {}, el("label", { for: "keys-on" }, box, " Shortcuts are on")),
      el("form", { method: "dialog" }, el("button", { type: "submit", class: "primary" }, "Close")),
    );
    // A form is never sent: the policy of the page forbids it, so the dialog is closed by hand.
    dialog.querySelector("form")?.addEventListener("submit", (e) => {
      e.preventDefault();
      dialog.close();
    });
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    return dialog;
  }
}

/** @param {EventTarget | null} target */
function typing(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

/** @param {string} key */
export function stored(key) {
  try {
    return localStorage.getItem(key) ?? "";
  } catch {
    return "";
  }
}

/**
 * @param {string} key
 * @param {string} value empty removes it
 */
export function store(key, value) {
  try {
    if (value) localStorage.setItem(key, value);
    else localStorage.removeItem(key);
  } catch {
    // A browser that keeps nothing still works; the choice lasts as long as the page.
  }
}
