//! The batch layer: from sealed micro-batches to Parquet in the lake and rows in the warehouse, exactly once.
//!
//! What it promises: the range of a micro-batch is decided durably before its first side effect and never changes; its rows,
//! view deltas, boundary and audit row are one transaction; a crash at any moment and any number of retries give the same
//! rows once. An outage of the lake or the warehouse delays the boundary and nothing else, as long as the local disk has room.

mod callbacks;
pub mod config;
pub mod error;
mod fields;
pub mod lake;
mod metrics;
mod parquet;
mod patience;
mod planner;
mod stage;
mod statelog;
mod status;
mod tables;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod warehouse;
mod work;

pub use callbacks::{Callbacks, OnStaged, OnState};
pub use config::{Config, LakeConfig, WarehouseConfig, WarehouseKind};
pub use error::{ReadError, StartError};
pub use fields::FieldId;
pub use stage::{BatchStage, Running};
pub use status::{BatchState, BatchStates, Phase, Status};

use crate::event::{BatchPlanner, Boundary};
use crate::pipeline::drain::Drain;
use crate::platform::clock::Clock;
use crate::telemetry::Metrics;
use crate::view::View;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Every place at which a crash test ends the process, in the order in which a micro-batch passes them.
pub const FAIL_POINTS: [&str; 10] = [
    "batch::before_plan",
    "batch::planned",
    "batch::sealed",
    "batch::written",
    "batch::uploaded",
    "batch::before_commit",
    "batch::in_transaction",
    "batch::committed",
    "batch::notified",
    "batch::staging_removed",
];

/// What the box needs from outside.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The views, compiled.
    pub views: Vec<Arc<View>>,
    /// The time.
    pub clock: Clock,
    /// Where metrics are registered.
    pub metrics: Metrics,
    /// Tells to stop.
    pub drain: Drain,
    /// Hash of the whole configuration, for the audit rows.
    pub config_hash: String,
}

/// The box, ready to be wired.
pub struct Built {
    /// For deduplication, which cuts the flow.
    pub planner: Box<dyn BatchPlanner>,
    /// To be started with its end of the flow.
    pub stage: BatchStage,
    /// For whoever answers questions.
    pub reader: Arc<dyn warehouse::Reader>,
    /// How far the warehouse is complete: where enrichment begins.
    pub boundary: Boundary,
    /// Where every micro-batch stands.
    pub status: Status,
}

/// Opens plan, warehouse and lake, and finds where the last run left off.
///
/// # Errors
/// [`StartError`], with what to do.
pub fn build(
    config: &Config,
    lake_config: &LakeConfig,
    warehouse_config: &WarehouseConfig,
    deps: Deps,
) -> Result<Built, StartError> {
    let problems = [config.check(), lake_config.check(), warehouse_config.check()].concat();
    if let Some((key, problem)) = problems.into_iter().next() {
        return Err(StartError::Config { key, problem });
    }
    let state = deps.data_dir.join("state");
    let staging = state.join("staging");
    empty_folder(&staging)?;
    // The folder's own entry must outlive a power cut before the first decision is written into it.
    fs::File::open(&deps.data_dir).and_then(|f| f.sync_all()).map_err(|e| StartError::io(&deps.data_dir, e))?;
    let opened = warehouse::duckdb::open(
        warehouse_config,
        warehouse::duckdb::Needs {
            data_dir: &deps.data_dir,
            staging: &staging,
            views: &deps.views,
            clock: deps.clock.clone(),
            config_hash: deps.config_hash,
        },
    )?;
    let boundary = opened.boundary;
    let plan = planner::Plan::open(&state.join("plan"), boundary.offset, opened.last_load_ms)?;
    let fields = fields::Fields::open(&state.join("fields"), &opened.fields, config.max_columns)?;
    let lake = lake::Lake::open(lake_config, &deps.data_dir)?;
    let metrics = metrics::BatchMetrics::new(&deps.metrics);
    metrics.boundary.set(i64::try_from(boundary.offset.0).unwrap_or(i64::MAX));
    let status = Status::new(boundary);
    let planner = planner::Planner::new(config, plan.clone(), boundary.offset, deps.clock.clone());
    let stage = BatchStage {
        config: config.clone(),
        lake_config: lake_config.clone(),
        plan,
        fields,
        lake,
        warehouse: opened.writer,
        views: deps.views,
        staging,
        boundary,
        clock: deps.clock,
        metrics,
        status: status.clone(),
        drain: deps.drain,
    };
    Ok(Built { planner: Box::new(planner), stage, reader: opened.reader, boundary, status })
}

/// Makes the folder, or removes what an earlier run left in it: the journal has everything that was not committed.
fn empty_folder(folder: &Path) -> Result<(), StartError> {
    fs::create_dir_all(folder).map_err(|e| StartError::io(folder, e))?;
    for entry in fs::read_dir(folder).map_err(|e| StartError::io(folder, e))? {
        let path = entry.map_err(|e| StartError::io(folder, e))?.path();
        fs::remove_file(&path).map_err(|e| StartError::io(&path, e))?;
    }
    Ok(())
}
