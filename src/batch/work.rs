//! A micro-batch on its way: `Open` → `Sealed` → `Staged` → `Uploaded` → `Committed`.
//!
//! Each step consumes the state before it, so that no step can be left out or done twice by mistake. The steps that may fail
//! and be tried again borrow the batch and give a proof; the proof makes the next state.

use super::error::{CommitError, LakeError, StageError};
use super::fields::{FieldId, Fields};
use super::lake::{Lake, LakeFile, LakeRepair, Manifest, Table, file_name};
use super::parquet::Written;
use super::planner::Decision;
use super::tables;
use super::warehouse::{CommitOutcome, Delta, Load, LocalFile, Steps, Warehouse};
use crate::event::rows::{self, Rows};
use crate::event::{BatchId, Chunk, EventAddr, Offset, Outcome, Processed, Repair, Tally};
use crate::platform::arrow_file;
use crate::platform::clock::{Clock, Millis};
use crate::platform::owned::OwnedFile;
use crate::view::{Fold, View};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A micro-batch in state `S`.
#[derive(Debug)]
pub struct Batch<S>(S);

/// It grows.
#[derive(Debug)]
pub struct Open {
    from: Offset,
    to: Offset,
    parts: Vec<Part>,
}

/// What is kept of a chunk until its rows are in a file. The events themselves are several times as large as their rows, so
/// they are let go at once.
#[derive(Debug)]
struct Part {
    rows: Arc<Rows>,
    failed_rows: Arc<Rows>,
    failures: Vec<Processed>,
    repairs: Vec<(EventAddr, Repair)>,
    tally: Tally,
    received_ms: (Millis, Millis),
    bytes: u64,
    /// The chunk, when it has columns without a number: its rows may have to be built again without them.
    whole: Option<Arc<Chunk>>,
}

impl Part {
    fn of(chunk: Arc<Chunk>, fields: &mut Fields) -> Self {
        let failed = |item: &&Processed| matches!(item.outcome, Outcome::Failed(_));
        let failures =
            if chunk.tally.failed == 0 { Vec::new() } else { chunk.items.iter().filter(failed).cloned().collect() };
        let mut part = Part {
            rows: chunk.rows.clone(),
            failed_rows: chunk.failed_rows.clone(),
            failures,
            repairs: chunk.repairs().collect(),
            tally: chunk.tally,
            received_ms: chunk.received_ms,
            bytes: chunk.bytes,
            whole: None,
        };
        // A number that cannot be made durable now is asked for again when the file is written.
        if !part.names().all(|name| matches!(fields.number(name), Ok(Some(_)))) {
            part.whole = Some(chunk);
        }
        part
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        [&self.rows, &self.failed_rows].into_iter().flat_map(|r| r.dynamic().map(|d| d.0))
    }
}

/// Its range is decided and its rows are complete, in memory.
#[derive(Debug)]
pub struct Sealed {
    decision: Decision,
    parts: Vec<Part>,
    sealed_ms: Millis,
}

/// Its files are on local disk; its rows and what its views gained are no longer in our memory.
#[derive(Debug)]
pub struct Staged(Load);

/// Its files are in the lake.
#[derive(Debug)]
pub struct Uploaded(Load);

/// The warehouse has it.
#[derive(Debug)]
pub struct Committed {
    load: Load,
    outcome: CommitOutcome,
}

/// What staging needs.
pub struct StageTools<'a> {
    /// Folder for the files.
    pub folder: &'a Path,
    /// The numbers of the columns.
    pub fields: &'a Mutex<Fields>,
    /// The views to fold.
    pub views: &'a [Arc<View>],
    /// zstd level.
    pub zstd_level: i32,
    /// The time.
    pub clock: &'a Clock,
}

/// Proof that the files are on local disk.
#[derive(Debug)]
pub struct OnDisk(Load);

/// Proof that the files are in the lake.
#[derive(Debug)]
pub struct InLake(Millis);

impl Batch<Open> {
    /// A micro-batch that begins at `from`.
    pub fn new(from: Offset) -> Self {
        Batch(Open { from, to: from, parts: Vec::new() })
    }

    /// Where it stands.
    #[cfg(test)]
    pub fn to(&self) -> Offset {
        self.0.to
    }

    /// Takes a chunk in; its columns get their numbers.
    ///
    /// # Errors
    /// [`StageError::NotCovered`] when it does not follow the chunk before it.
    pub fn add(&mut self, chunk: Arc<Chunk>, fields: &mut Fields) -> Result<(), StageError> {
        if chunk.batch_from != self.0.from || chunk.range.from != self.0.to {
            let id = BatchId::new(chunk.batch_from, chunk.range.to);
            return Err(StageError::NotCovered { id, at: self.0.to });
        }
        self.0.to = chunk.range.to;
        self.0.parts.push(Part::of(chunk, fields));
        Ok(())
    }

    /// Closes it, as decided.
    ///
    /// # Errors
    /// [`StageError::NotCovered`] when its chunks do not end where it was decided.
    pub fn seal(self, decision: Decision, now: Millis) -> Result<Batch<Sealed>, StageError> {
        if (self.0.from, self.0.to) != (decision.id.from, decision.id.to) {
            return Err(StageError::NotCovered { id: decision.id, at: self.0.to });
        }
        Ok(Batch(Sealed { decision, parts: self.0.parts, sealed_ms: now }))
    }
}

impl Batch<Sealed> {
    /// Its range.
    pub fn id(&self) -> BatchId {
        self.0.decision.id
    }

    /// Rows of enriched events.
    pub fn rows(&self) -> u64 {
        self.0.parts.iter().map(|p| p.rows.len() as u64).sum()
    }

    /// Writes the files of its rows and of what its views gained.
    ///
    /// # Errors
    /// [`StageError`]; it may be tried again.
    pub fn write(&self, tools: &mut StageTools<'_>) -> Result<OnDisk, StageError> {
        let Sealed { decision, parts, sealed_ms } = &self.0;
        let deltas = fold(parts, decision.id, tools)?;
        let (events, failed) = admitted(parts, tools)?;
        let mut load = Load {
            id: decision.id,
            load_ms: decision.load_ms,
            tally: Tally::default(),
            journal_bytes: parts.iter().map(|p| p.bytes).sum(),
            received_ms: received(parts),
            unfit: events.iter().chain(&failed).map(|r| r.unfit).sum(),
            files: Vec::new(),
            deltas,
            repairs: parts.iter().flat_map(|p| &p.repairs).copied().collect(),
            steps: Steps { sealed_ms: *sealed_ms, ..Steps::default() },
        };
        parts.iter().for_each(|p| load.tally.add(&p.tally));
        for (table, rows) in [(Table::Events, &events), (Table::Failed, &failed)] {
            if rows.iter().all(|r| r.is_empty()) {
                continue;
            }
            let columns = numbers(rows, tools)?;
            let ids: Vec<(String, i32)> = columns.iter().map(|c| (c.name.clone(), c.id)).collect();
            let path = local_path(tools.folder, decision.id, table);
            let written = tables::write_events(&path, rows, decision.load_ms, &ids, tools.zstd_level)?;
            load.files.push(local_file(path, table, decision, &written, columns));
        }
        if load.tally.failed > 0 {
            let path = local_path(tools.folder, decision.id, Table::Bad);
            let failures = parts.iter().map(|p| p.failures.as_slice());
            let written = tables::write_bad_rows(&path, failures, decision.load_ms, tools.zstd_level)?;
            load.files.push(local_file(path, Table::Bad, decision, &written, Vec::new()));
        }
        load.steps.staged_ms = tools.clock.now_ms();
        Ok(OnDisk(load))
    }

    /// The next state; what it holds in memory is given up.
    pub fn staged(self, proof: OnDisk) -> Batch<Staged> {
        Batch(Staged(proof.0))
    }
}

impl Batch<Staged> {
    /// What will be loaded.
    pub fn load(&self) -> &Load {
        &self.0.0
    }

    /// Puts its files into the lake, the manifest last.
    ///
    /// # Errors
    /// [`LakeError`]; it may be tried again.
    pub fn put(&self, lake: &Lake, clock: &Clock) -> Result<InLake, LakeError> {
        let load = self.load();
        for file in &load.files {
            lake.put_file(&file.path, &file.lake)?;
        }
        let files = load.files.iter().map(|f| f.lake.clone()).collect();
        let repairs = load.repairs.iter().map(|&(at, repair)| LakeRepair { of: repair.of, by: at }).collect();
        let manifest = Manifest { from: load.id.from.0, to: load.id.to.0, load_ms: load.load_ms, files, repairs };
        lake.put_manifest(load.id, &manifest)?;
        Ok(InLake(clock.now_ms()))
    }

    /// The next state.
    pub fn uploaded(mut self, proof: InLake) -> Batch<Uploaded> {
        self.0.0.steps.uploaded_ms = proof.0;
        Batch(Uploaded(self.0.0))
    }
}

impl Batch<Uploaded> {
    /// What will be loaded.
    pub fn load(&self) -> &Load {
        &self.0.0
    }

    /// Commits it.
    ///
    /// # Errors
    /// [`CommitError`].
    pub fn commit(&self, warehouse: &mut dyn Warehouse) -> Result<CommitOutcome, CommitError> {
        warehouse.commit(self.load())
    }

    /// The last state.
    pub fn committed(self, outcome: CommitOutcome) -> Batch<Committed> {
        Batch(Committed { load: self.0.0, outcome })
    }
}

impl Batch<Committed> {
    /// What was loaded.
    pub fn load(&self) -> &Load {
        &self.0.load
    }

    /// What the commit came to.
    pub fn outcome(&self) -> CommitOutcome {
        self.0.outcome
    }

    /// Lets go of its local files. They go when no reader has them any more.
    pub fn release_files(self) {
        drop((self.0.load.files, self.0.load.deltas));
    }
}

/// What every view gains, in files: view after view, so that one at a time is in memory. The chunks are taken in the order
/// in which the speed layer takes them, so that both cut groups beyond the view's bound at the same place.
fn fold(parts: &[Part], id: BatchId, tools: &StageTools<'_>) -> Result<Vec<Delta>, StageError> {
    let mut deltas = Vec::with_capacity(tools.views.len());
    for view in tools.views {
        let wrong =
            |e: crate::view::ViewError| StageError::View { view: view.name().to_owned(), problem: e.to_string() };
        let mut fold = Fold::new(view.clone());
        for part in parts {
            fold.add(&part.rows).map_err(wrong)?;
        }
        let groups = fold.to_record_batch().map_err(wrong)?;
        if groups.num_rows() == 0 {
            continue;
        }
        let file = OwnedFile::new(tools.folder.join(file_name(id, &format!("{}.arrow", view.name()))));
        let unwritten = |e| StageError::Delta { path: file.to_path_buf(), source: e };
        arrow_file::write(&file, &groups).map_err(unwritten)?;
        deltas.push(Delta { view: view.clone(), file });
    }
    Ok(deltas)
}

type AllRows = Vec<Arc<Rows>>;

/// All rows, with columns that the tables may not have moved to the overflow columns.
fn admitted(parts: &[Part], tools: &mut StageTools<'_>) -> Result<(AllRows, AllRows), StageError> {
    let mut refused: BTreeSet<&str> = BTreeSet::new();
    for name in parts.iter().flat_map(Part::names) {
        if !refused.contains(name) && number(tools.fields, name, tools.folder)?.is_none() {
            refused.insert(name);
        }
    }
    let mut all = (Vec::with_capacity(parts.len()), Vec::with_capacity(parts.len()));
    for part in parts {
        match &part.whole {
            Some(chunk) if part.names().any(|name| refused.contains(name)) => {
                let (events, failed) = rows::build_admitted(&chunk.items, |name| !refused.contains(name));
                all.0.push(Arc::new(events));
                all.1.push(Arc::new(failed));
            }
            _ => {
                all.0.push(part.rows.clone());
                all.1.push(part.failed_rows.clone());
            }
        }
    }
    Ok(all)
}

fn numbers(parts: &[Arc<Rows>], tools: &mut StageTools<'_>) -> Result<Vec<FieldId>, StageError> {
    let mut columns = Vec::new();
    for name in tables::dynamic_names(parts) {
        if let Some(id) = number(tools.fields, name, tools.folder)? {
            columns.push(FieldId { name: name.to_owned(), id });
        }
    }
    Ok(columns)
}

fn number(fields: &Mutex<Fields>, name: &str, folder: &Path) -> Result<Option<i32>, StageError> {
    fields.lock().number(name).map_err(|e| StageError::file(folder, e))
}

fn received(parts: &[Part]) -> (Millis, Millis) {
    let times = || parts.iter().map(|p| p.received_ms).filter(|r| *r != (0, 0));
    (times().map(|r| r.0).min().unwrap_or(0), times().map(|r| r.1).max().unwrap_or(0))
}

fn local_path(folder: &Path, id: BatchId, table: Table) -> PathBuf {
    folder.join(file_name(id, &format!("{}.parquet", table.folder())))
}

fn local_file(path: PathBuf, table: Table, decision: &Decision, written: &Written, columns: Vec<FieldId>) -> LocalFile {
    LocalFile {
        path: OwnedFile::new(path),
        lake: LakeFile::new(table, decision.id, decision.load_ms, written),
        columns,
    }
}
