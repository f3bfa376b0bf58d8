//! Choosing failures: the committed ones that are not marked as repaired, page by page, then those in memory.
//!
//! The order of reading is that of every merged answer: a lease on memory, then a warehouse snapshot, then what memory holds
//! above its boundary. Later pages come from later snapshots, bounded by the first boundary, so that no failure is chosen twice.

use super::ask::Ask;
use crate::batch::ReadError;
use crate::batch::warehouse::{Reader, Snapshot, SqlColumn, SqlParam, SqlRequest, SqlSink, SqlTail};
use crate::event::{BadRowKind, EventAddr, Offset};
use crate::speed::{Speed, SpeedError, Wanted};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{UInt32Type, UInt64Type};
use std::collections::HashSet;
use std::time::Duration;

/// Failures of one page.
const PAGE: usize = 5_000;
/// Longest time that one page may take.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Longest wait for a connection to the warehouse.
const WAIT: Duration = Duration::from_secs(10);

/// A failure that stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Chosen {
    pub(super) addr: EventAddr,
    /// The record failed as a whole, before there were events.
    pub(super) whole: bool,
}

/// Why failures cannot be chosen.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChooseError {
    #[error("the warehouse cannot be read: {0}")]
    Warehouse(#[from] ReadError),
    #[error("memory cannot be read: {0}")]
    Memory(#[from] SpeedError),
    #[error("the table of bad rows has other columns than this program makes")]
    Shape,
    #[error("the warehouse gave {given} of the {counted} failures that it counts")]
    Short { given: u64, counted: u64 },
}

/// All failures of a question, in journal order.
pub(super) struct Choice<'a> {
    warehouse: &'a dyn Reader,
    ask: &'a Ask,
    boundary: Offset,
    /// The last committed failure that was given.
    last: Option<EventAddr>,
    committed_done: bool,
    /// Committed failures that stood when it was looked, and how many of them were given or passed over.
    counted: u64,
    given: u64,
    /// Repaired in memory, though the warehouse does not know it yet.
    repaired: HashSet<EventAddr>,
    memory: Vec<Chosen>,
    /// How many there are; a hint for progress.
    pub(super) total: u64,
    /// Failures of the question that are repaired already.
    pub(super) already_repaired: u64,
    /// Failures in memory whose bad rows are not kept there.
    pub(super) not_yet: u64,
}

impl<'a> Choice<'a> {
    /// Looks at both layers as of one moment.
    pub(super) fn open(speed: &Speed, warehouse: &'a dyn Reader, ask: &'a Ask) -> Result<Self, ChooseError> {
        let lease = speed.lease();
        let mut snapshot = warehouse.snapshot(WAIT)?;
        let boundary = snapshot.boundary().offset;
        let memory = lease.read(boundary, &Wanted { views: &[], tail: true })?;
        let tail = memory.tail.unwrap_or_default();
        let (condition, params) = condition(ask);
        let sql = format!(
            "SELECT (count(*) FILTER (repaired_at IS NULL))::UBIGINT, (count(*) FILTER (repaired_at IS NOT NULL))::UBIGINT \
             FROM atomic.bad_rows WHERE {condition}"
        );
        let mut counts = Rows::default();
        ask_for(snapshot.as_mut(), sql, params, &mut counts)?;
        let count = |column: usize| {
            let array = counts.batches.first().and_then(|b| b.columns().get(column)?.as_primitive_opt::<UInt64Type>());
            array.filter(|a| !a.is_empty()).map(|a| a.value(0)).ok_or(ChooseError::Shape)
        };
        let chosen: Vec<Chosen> = tail
            .failures
            .iter()
            .filter(|f| ask.takes(&f.failure))
            .map(|f| Chosen { addr: f.addr, whole: is_whole(f.failure.cause.kind.name()) })
            .collect();
        let repaired_here = tail.repaired.iter().filter(|addr| addr.offset >= boundary).count() as u64;
        let kept = tail.failures.len() as u64 + repaired_here;
        Ok(Choice {
            warehouse,
            ask,
            boundary,
            last: None,
            committed_done: false,
            counted: count(0)?,
            given: 0,
            total: count(0)? + chosen.len() as u64,
            already_repaired: count(1)? + repaired_here,
            not_yet: memory.tally.failed.saturating_sub(kept),
            repaired: tail.repaired.into_iter().collect(),
            memory: chosen,
        })
    }

    /// The next failures; none when there are no more.
    pub(super) fn next_page(&mut self) -> Result<Vec<Chosen>, ChooseError> {
        while !self.committed_done {
            let mut page = self.committed()?;
            self.last = page.last().map(|chosen| chosen.addr).or(self.last);
            let before = page.len() as u64;
            self.given += before;
            self.committed_done = page.is_empty();
            // Meanwhile only those that are repaired in memory may have been marked.
            if self.committed_done && self.given + (self.repaired.len() as u64) < self.counted {
                return Err(ChooseError::Short { given: self.given, counted: self.counted });
            }
            page.retain(|chosen| !self.repaired.contains(&chosen.addr));
            self.already_repaired += before - page.len() as u64;
            if !page.is_empty() {
                return Ok(page);
            }
        }
        let rest = self.memory.split_off(PAGE.min(self.memory.len()));
        Ok(std::mem::replace(&mut self.memory, rest))
    }

    fn committed(&self) -> Result<Vec<Chosen>, ChooseError> {
        let (mut condition, params) = condition(self.ask);
        condition.push_str(&format!(" AND repaired_at IS NULL AND journal_offset < {}", self.boundary));
        if let Some(EventAddr { offset, index }) = self.last {
            condition.push_str(&format!(
                " AND (journal_offset > {offset} OR (journal_offset = {offset} AND event_index > {index}))"
            ));
        }
        let sql = format!(
            "SELECT journal_offset, event_index, kind FROM atomic.bad_rows WHERE {condition} \
             ORDER BY journal_offset, event_index LIMIT {PAGE}"
        );
        let mut rows = Rows::default();
        ask_for(self.warehouse.snapshot(WAIT)?.as_mut(), sql, params, &mut rows)?;
        let mut page = Vec::new();
        for batch in &rows.batches {
            read(batch, &mut page).ok_or(ChooseError::Shape)?;
        }
        Ok(page)
    }
}

/// The part of the question that SQL answers.
fn condition(ask: &Ask) -> (String, Vec<SqlParam>) {
    let mut sql = "true".to_owned();
    let mut params = Vec::new();
    if let Some(since) = ask.since {
        sql.push_str(&format!(" AND collector_tstamp >= make_timestamp({})", since.saturating_mul(1000)));
    }
    if let Some(pattern) = &ask.schema {
        // As `Ask::takes`: the cause, or any of the problems that the bad row lists.
        sql.push_str(
            " AND (regexp_full_match(coalesce(schema, ''), ?) OR (contains(bad_row::VARCHAR, ?) AND \
             regexp_matches(coalesce(json_extract(bad_row, '$.data.failure')::VARCHAR, ''), ?)))",
        );
        let expression = pattern.expression();
        let quoted = format!("\"{expression}\"");
        params.extend([expression, pattern.prefix().to_owned(), quoted].map(SqlParam::Text));
    }
    (sql, params)
}

/// Whether a bad row of this kind stands for all that a request held.
fn is_whole(kind: &str) -> bool {
    use BadRowKind::{AdapterFailures, CollectorPayloadFormatViolation, GenericError, TrackerProtocolViolations};
    [CollectorPayloadFormatViolation, AdapterFailures, TrackerProtocolViolations, GenericError]
        .iter()
        .any(|whole| whole.name() == kind)
}

fn read(batch: &RecordBatch, into: &mut Vec<Chosen>) -> Option<()> {
    let offsets = batch.columns().first()?.as_primitive_opt::<UInt64Type>()?;
    let indexes = batch.columns().get(1)?.as_primitive_opt::<UInt32Type>()?;
    let kinds = batch.columns().get(2)?.as_string_opt::<i32>()?;
    for row in 0..batch.num_rows() {
        let addr = EventAddr { offset: Offset(offsets.value(row)), index: indexes.value(row) };
        let kind = if kinds.is_valid(row) { kinds.value(row) } else { "" };
        into.push(Chosen { addr, whole: is_whole(kind) });
    }
    Some(())
}

fn ask_for(
    snapshot: &mut dyn Snapshot,
    sql: String,
    params: Vec<SqlParam>,
    rows: &mut Rows,
) -> Result<(), ChooseError> {
    let request = SqlRequest { sql, params, max_rows: PAGE as u64, max_bytes: u64::MAX, timeout: TIMEOUT };
    snapshot.sql(&request, &SqlTail::default(), rows)?;
    Ok(())
}

#[derive(Default)]
struct Rows {
    batches: Vec<RecordBatch>,
}

impl SqlSink for Rows {
    fn columns(&mut self, _: &[SqlColumn]) -> bool {
        true
    }

    fn rows(&mut self, rows: RecordBatch) -> bool {
        self.batches.push(rows);
        true
    }
}
