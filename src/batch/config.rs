//! `[batch]`, `[lake]` and `[warehouse]`.

use crate::platform::units::{ByteSize, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Display;

/// `[batch]`: when micro-batches end and how many may wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A micro-batch is sealed at the latest this long after its first event was enriched.
    pub max_age: Span,
    /// … or when it holds this many rows.
    pub max_rows: u64,
    /// … or this many bytes of journal.
    pub max_bytes: ByteSize,
    /// Micro-batches that may wait on local disk while the lake or the warehouse is away. One more holds the pipeline up.
    pub max_waiting: usize,
    /// Columns of self-describing data that the tables may have. Data of later schemas go to the overflow columns
    /// `unstruct_event_other` and `contexts_other`.
    pub max_columns: usize,
    /// At shutdown, how long to go on committing before the rest is left to the journal.
    pub drain: Span,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            max_age: Span::from_secs(10),
            max_rows: 90_000,
            max_bytes: ByteSize::mib(256),
            max_waiting: 360,
            max_columns: 500,
            drain: Span::from_secs(5),
        }
    }
}

impl Config {
    /// What is wrong with the values, by key.
    pub fn check(&self) -> Vec<(String, String)> {
        let mut bad = Vec::new();
        let mut need = |ok: bool, key: &str, value: &dyn Display, what: &str| {
            if !ok {
                bad.push((format!("batch.{key}"), format!("is {value}; it must be {what}")));
            }
        };
        let age = self.max_age.as_millis();
        need((100..=3_600_000).contains(&age), "max_age", &self.max_age, "from 100ms to 1h");
        need((1..=5_000_000).contains(&self.max_rows), "max_rows", &self.max_rows, "from 1 to 5000000");
        let bytes = self.max_bytes.0;
        need((1 << 16..=1 << 30).contains(&bytes), "max_bytes", &self.max_bytes, "from 64 KiB to 1 GiB");
        need((1..=100_000).contains(&self.max_waiting), "max_waiting", &self.max_waiting, "from 1 to 100000");
        need((1..=5000).contains(&self.max_columns), "max_columns", &self.max_columns, "from 1 to 5000");
        need((0..=600_000).contains(&self.drain.as_millis()), "drain", &self.drain, "from 0ms to 10m");
        bad
    }
}

/// `[lake]`: where Parquet files go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LakeConfig {
    /// `file:///absolute/folder`, `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`. Empty: folder `lake`
    /// of the data directory. Credentials come from the environment as the cloud's own tools read them, or from `options`.
    pub url: String,
    /// Address of an S3-compatible, GCS-compatible or Azure-compatible server, for instance `http://127.0.0.1:9000`.
    pub endpoint: String,
    /// Whether the endpoint may be plain HTTP.
    pub allow_http: bool,
    /// Bucket in the path and not in the host name, as most S3-compatible servers want it.
    pub path_style: bool,
    /// Further settings of the object store by their names there, for instance `aws_region = "eu-central-1"`.
    pub options: BTreeMap<String, String>,
    /// The longest that one upload may take before it is tried again.
    pub timeout: Span,
    /// Level of zstd, 1 (fast) to 19 (small).
    pub zstd_level: i32,
}

impl Default for LakeConfig {
    fn default() -> Self {
        LakeConfig {
            url: String::new(),
            endpoint: String::new(),
            allow_http: false,
            path_style: false,
            options: BTreeMap::new(),
            timeout: Span::from_secs(60),
            zstd_level: 1,
        }
    }
}

impl LakeConfig {
    /// What is wrong with the values, by key.
    pub fn check(&self) -> Vec<(String, String)> {
        let mut bad = Vec::new();
        let schemes = ["file:///", "s3://", "s3a://", "gs://", "az://", "azure://", "abfs://", "abfss://"];
        if !self.url.is_empty() && !schemes.iter().any(|s| self.url.starts_with(s)) {
            let what = format!("\"{}\" must begin with file:///, s3://, gs:// or az://", self.url);
            bad.push(("lake.url".to_owned(), what));
        }
        if !self.endpoint.is_empty() && !self.endpoint.starts_with("http://") && !self.endpoint.starts_with("https://")
        {
            bad.push(("lake.endpoint".to_owned(), "must begin with http:// or https://".to_owned()));
        }
        if self.endpoint.starts_with("http://") && !self.allow_http {
            bad.push(("lake.endpoint".to_owned(), "is plain HTTP, which needs lake.allow_http = true".to_owned()));
        }
        if !(1000..=3_600_000).contains(&self.timeout.as_millis()) {
            bad.push(("lake.timeout".to_owned(), format!("is {}; it must be from 1s to 1h", self.timeout)));
        }
        if !(1..=19).contains(&self.zstd_level) {
            bad.push(("lake.zstd_level".to_owned(), format!("is {}; it must be from 1 to 19", self.zstd_level)));
        }
        bad
    }
}

/// Which warehouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WarehouseKind {
    /// The embedded one: a file in the data directory.
    Duckdb,
    /// Not built yet; refused at the start.
    Snowflake,
}

/// `[warehouse]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WarehouseConfig {
    /// `"duckdb"`. (`"snowflake"` is known but not available yet.)
    pub kind: WarehouseKind,
    /// The database file. Empty: `warehouse.duckdb` of the data directory.
    pub path: String,
    /// Memory of the database, commits and queries together. A micro-batch of 150 000 rows needs about 250 MiB.
    pub memory_limit: ByteSize,
    /// Threads of the database. 0: one per core.
    pub threads: usize,
    /// Queries that may read at the same time; more wait.
    pub readers: usize,
    /// The longest that one read may hold its snapshot. A long one delays checkpoints.
    pub max_snapshot: Span,
    /// The write-ahead log is folded into the file when it is larger than this.
    pub checkpoint_at: ByteSize,
    /// Rows of `derived.<view>` that stem from this many micro-batches are folded into one per bucket and group.
    pub fold_after: u32,
}

impl Default for WarehouseConfig {
    fn default() -> Self {
        WarehouseConfig {
            kind: WarehouseKind::Duckdb,
            path: String::new(),
            memory_limit: ByteSize::mib(1024),
            threads: 0,
            readers: 8,
            max_snapshot: Span::from_secs(60),
            checkpoint_at: ByteSize::mib(64),
            fold_after: 32,
        }
    }
}

impl WarehouseConfig {
    /// What is wrong with the values, by key.
    pub fn check(&self) -> Vec<(String, String)> {
        let mut bad = Vec::new();
        let mut need = |ok: bool, key: &str, value: &dyn Display, what: &str| {
            if !ok {
                bad.push((format!("warehouse.{key}"), format!("is {value}; it must be {what}")));
            }
        };
        let duckdb = self.kind == WarehouseKind::Duckdb;
        need(duckdb, "kind", &"\"snowflake\", which is not available yet", "\"duckdb\"");
        need(self.memory_limit.0 >= 256 << 20, "memory_limit", &self.memory_limit, "at least 256 MiB");
        need(self.threads <= 1024, "threads", &self.threads, "from 0 (one per core) to 1024");
        need((1..=256).contains(&self.readers), "readers", &self.readers, "from 1 to 256");
        let snapshot = self.max_snapshot.as_millis();
        need((1000..=3_600_000).contains(&snapshot), "max_snapshot", &self.max_snapshot, "from 1s to 1h");
        let at = self.checkpoint_at;
        need((1 << 20..=1 << 40).contains(&at.0), "checkpoint_at", &at, "from 1 MiB to 1 TiB");
        need((2..=10_000).contains(&self.fold_after), "fold_after", &self.fold_after, "from 2 to 10000");
        bad
    }
}
