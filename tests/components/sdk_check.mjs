//! Enriched lines as Snowplow's analytics SDK for JavaScript reads them.
//!
//! Lines of 131 cells on standard input; for each one JSON object on standard output, or {"error": why}. The library is
//! taken from the folder that SNOWSHED_COMPONENTS names.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { join } from "node:path";

const require = createRequire(join(process.env.SNOWSHED_COMPONENTS, "package.json"));
const { transform } = require("snowplow-analytics-sdk");

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  try {
    console.log(JSON.stringify(transform(line)));
  } catch (e) {
    console.log(JSON.stringify({ error: String(e) }));
  }
}
