//! The modules of the page are plain JavaScript; their JSDoc types are checked here, as are their size and number.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { component, components, HERE, ROOT } from "./harness.mjs";

const UI = join(ROOT, "src/serving/dashboard/ui");

test("the JSDoc types hold", () => {
  component("typescript/package.json");
  const tsc = join(dirname(components.resolve("typescript/package.json")), "bin/tsc");
  const { status, stdout, stderr } = spawnSync(process.execPath, [tsc, "-p", join(HERE, "tsconfig.json")], { encoding: "utf8" });
  assert.equal(status, 0, stdout + stderr);
});

test("the files of the page stay small", () => {
  let sent = 0;
  for (const name of readdirSync(UI)) {
    const data = readFileSync(join(UI, name));
    sent += gzipSync(data, { level: 9 }).length;
    assert.ok(data.toString("utf8").split("\n").length <= 401, `${name} has more than 400 lines`);
  }
  console.log(`# ${sent} bytes compressed`);
  assert.ok(sent <= 150 * 1024);
});
