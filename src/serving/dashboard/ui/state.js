//! What the page knows: the last frame, the rows of the live queries, and nothing that a frame does not say.
//!
//! The server sends rows whose parts changed; here they are upserted. When the boundary moves, the touched rows come with
//! their new halves, so the client never moves an event from one half to the other by itself.

/** @typedef {import("./api.js").Frame} Frame */
/** @typedef {import("./api.js").Hello} Hello */
/** @typedef {import("./api.js").SplitRow} SplitRow */
/** @typedef {import("./api.js").Batch} Batch */

const MAX_ROWS = 4000;
const MAX_BATCHES = 64;

export class LiveState {
  constructor() {
    /** @type {Hello | null} */
    this.hello = null;
    /** @type {Frame | null} */
    this.frame = null;
    /** @type {Map<string, SplitRow>[]} one map per query, by bucket and group */
    this.rows = [];
    /** @type {Map<number, Batch>} micro-batches by their first offset, committed ones too */
    this.batches = new Map();
    /** @type {Batch[]} committed micro-batches of the last status */
    this.told = [];
    /** Server time of the last frame, and when it came. */
    this.at = 0;
    this.received = 0;
    /** Arrival of the last committed payload, ms; 0 while nothing is committed or known. */
    this.boundaryTime = 0;
    this.frames = 0;
  }

  /**
   * A stream begins: its first frame is complete, so what was known of the rows is dropped, and of the batches too when
   * the server is another process.
   * @param {Hello} hello
   */
  begin(hello) {
    if (this.hello && this.hello.boot !== hello.boot) {
      this.batches.clear();
      this.told = [];
    }
    this.hello = hello;
    this.rows = (hello.queries ?? []).map(() => new Map());
  }

  /** @param {Frame} frame */
  apply(frame) {
    this.frame = frame;
    this.frames += 1;
    this.at = Date.parse(frame.at);
    this.received = performance.now();
    for (const row of frame.split ?? []) this.upsert(row);
    this.keepBatches(frame);
    this.takeTold();
  }

  /** @param {SplitRow} row */
  upsert(row) {
    const rows = this.rows[row.q];
    if (!rows) return;
    rows.set(`${row.t} ${JSON.stringify(row.d)}`, row);
    if (rows.size > MAX_ROWS) {
      const oldest = [...rows].sort((a, b) => a[1].t - b[1].t).slice(0, rows.size - MAX_ROWS);
      for (const [key] of oldest) rows.delete(key);
    }
  }

  /**
   * Forgets buckets that have left the picture.
   * @param {number} q
   * @param {number} before seconds
   */
  forget(q, before) {
    const rows = this.rows[q];
    if (!rows) return;
    for (const [key, row] of rows) if (row.t < before) rows.delete(key);
  }

  /**
   * A frame names the uncommitted micro-batches; one that the boundary has passed is kept, as committed.
   * @param {Frame} frame
   */
  keepBatches(frame) {
    const named = new Set();
    for (const batch of frame.batches ?? []) {
      named.add(batch.from);
      this.batches.set(batch.from, batch);
    }
    for (const [from, batch] of this.batches) {
      if (named.has(from) || batch.state === "committed") continue;
      if (batch.to !== null && batch.to <= frame.boundary.offset) this.batches.set(from, { ...batch, state: "committed" });
      else this.batches.delete(from);
    }
    this.trimBatches();
  }

  /** @param {Batch[]} batches committed ones, from the status: they have their last numbers */
  addCommitted(batches) {
    this.told = batches;
    this.takeTold();
  }

  /** The status may be ahead of the frames; on the screen a micro-batch is committed when a frame's boundary says so. */
  takeTold() {
    const boundary = this.frame?.boundary.offset ?? 0;
    for (const batch of this.told) {
      if (batch.to !== null && batch.to <= boundary) this.batches.set(batch.from, batch);
    }
    this.trimBatches();
    this.placeBoundary();
  }

  /**
   * The boundary is an offset; on an axis of arrival it stands between the last payload that is committed and the first
   * one that is not.
   */
  placeBoundary() {
    let last = 0;
    let first = Infinity;
    for (const batch of this.batches.values()) {
      if (batch.state === "committed") last = Math.max(last, millis(batch.times?.last));
      else first = Math.min(first, millis(batch.times?.first) || Infinity);
    }
    const at = last || (Number.isFinite(first) ? first : 0);
    if (at) this.boundaryTime = at;
  }

  trimBatches() {
    if (this.batches.size <= MAX_BATCHES) return;
    const oldest = [...this.batches.keys()].sort((a, b) => a - b).slice(0, this.batches.size - MAX_BATCHES);
    for (const from of oldest) this.batches.delete(from);
  }

  /**
   * Rows of a query, oldest first.
   * @param {number} q
   * @returns {SplitRow[]}
   */
  sorted(q) {
    return [...(this.rows[q]?.values() ?? [])].sort((a, b) => a.t - b.t);
  }

  /**
   * The one row of a query that asks for its whole range. A range that slides gives the row another start each time, and
   * the newest one is the answer.
   * @param {number} q
   * @returns {SplitRow | undefined}
   */
  whole(q) {
    const row = this.sorted(q).at(-1);
    if (row) this.forget(q, row.t);
    return row;
  }

  /** The server's clock now, as far as the last frame tells. */
  now() {
    return this.at ? this.at + (performance.now() - this.received) : Date.now();
  }

  /** Has anything ever been accepted? */
  empty() {
    return this.frame !== null && this.frame.journal_end === 0;
  }
}

/** @param {string | null | undefined} time */
function millis(time) {
  return time ? Date.parse(time) || 0 : 0;
}
