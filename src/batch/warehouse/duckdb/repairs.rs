//! `snowshed.repairs` and `atomic.bad_rows.repaired_at`: which failures no longer stand.
//!
//! Written in the transaction of the micro-batch that holds the replay, after its own bad rows, so that a failure and its repair
//! may be in one micro-batch. `event_id` and `load_tstamp` of a repair are those of the incomplete event: what of
//! `atomic.events_failed` still stands is `FROM atomic.events_failed ANTI JOIN snowshed.repairs USING (event_id, load_tstamp)`.

use crate::event::{EventAddr, Repair};
use crate::platform::clock::Millis;
use duckdb::Connection;
use std::fmt::Write;

/// Repairs of one statement.
const AT_ONCE: usize = 5_000;

/// Writes the repairs down and marks the bad rows.
pub(super) fn mark(con: &Connection, repairs: &[(EventAddr, Repair)], now: Millis) -> duckdb::Result<()> {
    for part in repairs.chunks(AT_ONCE) {
        let offsets = || part.iter().map(|(_, repair)| repair.of.offset.0);
        let range = (offsets().min().unwrap_or(0), offsets().max().unwrap_or(0));
        let within = format!("b.journal_offset BETWEEN {} AND {}", range.0, range.1);
        let same = "b.journal_offset = r.journal_offset AND b.event_index = r.event_index";
        let rows = rows(part);
        con.execute_batch(&format!(
            "INSERT INTO snowshed.repairs
             SELECT r.journal_offset, r.event_index, r.event_id, b.load_tstamp, r.by_offset, r.by_index, epoch_ms({now})
             FROM ({rows}) r LEFT JOIN atomic.bad_rows b ON {within} AND {same};
             UPDATE atomic.bad_rows AS b SET repaired_at = epoch_ms({now}) FROM ({rows}) r
             WHERE {within} AND {same} AND b.repaired_at IS NULL"
        ))?;
    }
    Ok(())
}

fn rows(part: &[(EventAddr, Repair)]) -> String {
    let mut out = String::with_capacity(part.len() * 80);
    out.push_str("VALUES ");
    for (i, (at, Repair { of, event_id })) in part.iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let id = event_id.map_or("NULL".to_owned(), |id| format!("'{id}'"));
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "{comma}({}::UBIGINT,{}::UINTEGER,{id}::VARCHAR,{}::UBIGINT,{}::UINTEGER)",
            of.offset, of.index, at.offset, at.index
        );
    }
    format!("SELECT * FROM ({out}) AS v(journal_offset, event_index, event_id, by_offset, by_index)")
}
