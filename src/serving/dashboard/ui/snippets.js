//! What to paste to make the first event appear, each with the real address of the collector.

import { shellQuote } from "./api.js";

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
