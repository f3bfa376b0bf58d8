//! The form that asks for a token. The page holds no data, so without one there is nothing else to show.

import { ApiError, post } from "./api.js";
import { el, setText } from "./dom.js";

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
    el("p", {}, "The program printed a link with a token when it started; open that link, or paste the token here. Tokens are set by serving.tokens or serving.token_file."),
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
