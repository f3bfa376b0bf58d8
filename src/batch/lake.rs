//! The lake: files of committed micro-batches on object storage, for everybody who reads Parquet.
//!
//! An object's name follows from the micro-batch's range and load time, so a retry overwrites its own first try. A manifest
//! per micro-batch (`manifest/<from>-<to>.json`) is the last object of its upload: a file that no manifest names is not part
//! of the lake. On the local file system every object is fsynced before the upload counts as done; the object store crate
//! leaves that out.

mod objects;

use super::config::LakeConfig;
use super::error::{LakeError, StartError};
use super::parquet::Written;
use crate::event::{BatchId, EventAddr};
use crate::platform::clock::Millis;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, PutPayload, RetryConfig};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Which table a file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// `atomic.events`
    Events,
    /// `atomic.events_failed`: incomplete events.
    Failed,
    /// `atomic.bad_rows`
    Bad,
}

impl Table {
    /// The folder of the lake.
    pub const fn folder(self) -> &'static str {
        match self {
            Table::Events => "events",
            Table::Failed => "failed",
            Table::Bad => "bad",
        }
    }
}

/// A file of the lake, as manifest and audit row tell it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LakeFile {
    /// Which table it belongs to.
    pub table: Table,
    /// Its name below the lake's address.
    pub path: String,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

impl LakeFile {
    /// The entry of a file that was written for a micro-batch.
    pub fn new(table: Table, id: BatchId, load_ms: Millis, written: &Written) -> Self {
        LakeFile {
            table,
            path: format!("{}/load_date={}/{}", table.folder(), date(load_ms), file_name(id, "parquet")),
            rows: written.rows,
            bytes: written.bytes,
            sha256: written.sha256.clone(),
        }
    }
}

/// `00000000000000000120-00000000000000000450.parquet`: names sort as offsets do.
pub fn file_name(id: BatchId, ending: &str) -> String {
    format!("{:020}-{:020}.{ending}", id.from.0, id.to.0)
}

/// `2026-11-24` of a time.
pub fn date(ms: Millis) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) => time.strftime("%Y-%m-%d").to_string(),
        Err(_) => "1970-01-01".to_owned(),
    }
}

/// What a micro-batch put into the lake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// First offset.
    pub from: u64,
    /// First offset after it.
    pub to: u64,
    /// The `load_tstamp` of its rows, milliseconds since the epoch.
    pub load_ms: Millis,
    /// Its files.
    pub files: Vec<LakeFile>,
    /// Failures that no longer stand since it; their rows stay in the files of the micro-batches where they failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<LakeRepair>,
}

/// A failure and the replay that took its place.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LakeRepair {
    /// Address of the failed event.
    pub of: EventAddr,
    /// Address of the replayed one.
    pub by: EventAddr,
}

/// The client.
pub struct Lake {
    store: Arc<dyn ObjectStore>,
    prefix: ObjectPath,
    /// The folder, when the lake is on the local file system.
    local: Option<PathBuf>,
    runtime: OwnRuntime,
    timeout: Duration,
}

/// The client's own runtime. It may be dropped anywhere: a plain one panics when that is inside another.
struct OwnRuntime(Option<Runtime>);

impl OwnRuntime {
    fn block_on<F: Future>(&self, what: F) -> F::Output {
        // reason: it is taken out when it is dropped, and only then
        self.0.as_ref().expect("a runtime").block_on(what)
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Lake {
    /// Makes the client; asks nothing of the network.
    ///
    /// # Errors
    /// When the address or an option cannot be read, or the local folder cannot be made.
    pub fn open(config: &LakeConfig, data_dir: &Path) -> Result<Self, StartError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| StartError::Lake(e.to_string()))?;
        let runtime = OwnRuntime(Some(runtime));
        let timeout = config.timeout.to_duration();
        let folder = match config.url.strip_prefix("file://") {
            Some(path) => Some(PathBuf::from(path)),
            None if config.url.is_empty() => Some(data_dir.join("lake")),
            None => None,
        };
        if let Some(folder) = folder {
            fs::create_dir_all(&folder).map_err(|e| StartError::io(&folder, e))?;
            let folder = folder.canonicalize().map_err(|e| StartError::io(&folder, e))?;
            let store = LocalFileSystem::new_with_prefix(&folder).map_err(|e| StartError::Lake(e.to_string()))?;
            let prefix = ObjectPath::default();
            return Ok(Lake { store: Arc::new(store), prefix, local: Some(folder), runtime, timeout });
        }
        let (store, prefix) = cloud(config)?;
        Ok(Lake { store, prefix, local: None, runtime, timeout })
    }

    /// Puts the local file `from` to where `file` says.
    ///
    /// # Errors
    /// When it did not get there in full; it may be tried again.
    pub fn put_file(&self, from: &Path, file: &LakeFile) -> Result<(), LakeError> {
        self.put_object(from, &file.path, file.bytes)
    }

    /// Puts the manifest, after the files that it names.
    ///
    /// # Errors
    /// When it did not get there; it may be tried again.
    pub fn put_manifest(&self, id: BatchId, manifest: &Manifest) -> Result<(), LakeError> {
        let name = format!("manifest/{}", file_name(id, "json"));
        let mut text = serde_json::to_string(manifest)
            .map_err(|e| LakeError::Io { path: PathBuf::from(&name), source: std::io::Error::other(e) })?;
        text.push('\n');
        let to = self.path(&name);
        self.run(&name, async {
            self.store.put(&to, PutPayload::from(text)).await.map_err(|e| store_error(&name, e))?;
            Ok(())
        })?;
        self.make_durable(&name)
    }

    fn path(&self, name: &str) -> ObjectPath {
        name.split('/').fold(self.prefix.clone(), |path, part| path.child(part))
    }

    fn run<T>(&self, path: &str, what: impl Future<Output = Result<T, LakeError>>) -> Result<T, LakeError> {
        let late = || LakeError::Timeout { path: path.to_owned(), seconds: self.timeout.as_secs() };
        self.runtime.block_on(async { tokio::time::timeout(self.timeout, what).await.unwrap_or_else(|_| Err(late())) })
    }

    /// On the local file system: fsyncs the object and every folder above it.
    fn make_durable(&self, name: &str) -> Result<(), LakeError> {
        let Some(root) = &self.local else { return Ok(()) };
        // The object store escapes characters that a file name cannot have; our names have none of them.
        let mut path = root.join(name);
        loop {
            File::open(&path)
                .and_then(|f| f.sync_all())
                .map_err(|source| LakeError::Io { path: path.clone(), source })?;
            if path == *root || !path.pop() {
                return Ok(());
            }
        }
    }
}

fn store_error(path: &str, source: object_store::Error) -> LakeError {
    LakeError::Store { path: path.to_owned(), source }
}

/// The store behind a cloud address, and the prefix in it. Retries are ours: the store itself tries twice at most.
fn cloud(config: &LakeConfig) -> Result<(Arc<dyn ObjectStore>, ObjectPath), StartError> {
    let bad = |e: &dyn std::fmt::Display| StartError::Lake(e.to_string());
    let url = url::Url::parse(&config.url).map_err(|e| bad(&e))?;
    let (_, prefix) = object_store::ObjectStoreScheme::parse(&url).map_err(|e| bad(&e))?;
    let retry = RetryConfig { max_retries: 2, retry_timeout: config.timeout.to_duration(), ..RetryConfig::default() };
    let store: Arc<dyn ObjectStore> = match url.scheme() {
        "s3" | "s3a" => {
            let mut builder = AmazonS3Builder::from_env().with_url(&config.url).with_retry(retry);
            for (key, value) in options::<AmazonS3ConfigKey>(&config.options)? {
                builder = builder.with_config(key, value);
            }
            if !config.endpoint.is_empty() {
                builder = builder.with_endpoint(&config.endpoint).with_virtual_hosted_style_request(!config.path_style);
            }
            Arc::new(builder.with_allow_http(config.allow_http).build().map_err(|e| bad(&e))?)
        }
        "gs" => {
            if !config.endpoint.is_empty() {
                return Err(StartError::Lake(
                    "an endpoint for gs:// is given as gcs_base_url in the service account file".to_owned(),
                ));
            }
            let mut builder = GoogleCloudStorageBuilder::from_env().with_url(&config.url).with_retry(retry);
            for (key, value) in options::<GoogleConfigKey>(&config.options)? {
                builder = builder.with_config(key, value);
            }
            Arc::new(builder.build().map_err(|e| bad(&e))?)
        }
        _ => {
            let mut builder = MicrosoftAzureBuilder::from_env().with_url(&config.url).with_retry(retry);
            for (key, value) in options::<AzureConfigKey>(&config.options)? {
                builder = builder.with_config(key, value);
            }
            if !config.endpoint.is_empty() {
                builder = builder.with_endpoint(config.endpoint.clone());
            }
            Arc::new(builder.with_allow_http(config.allow_http).build().map_err(|e| bad(&e))?)
        }
    };
    Ok((store, prefix))
}

fn options<K: std::str::FromStr>(table: &BTreeMap<String, String>) -> Result<Vec<(K, String)>, StartError> {
    let read = |(key, value): (&String, &String)| match key.parse() {
        Ok(known) => Ok((known, value.clone())),
        Err(_) => Err(StartError::Config {
            key: format!("lake.options.{key}"),
            problem: "is no option of this object store".to_owned(),
        }),
    };
    table.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::objects::PART;
    use super::*;
    use crate::event::{Offset, OffsetRange};

    #[test]
    fn a_local_lake_takes_files_and_manifests_twice() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open(&LakeConfig::default(), dir.path()).unwrap();
        let id = OffsetRange::new(Offset(3), Offset(12));
        let from = dir.path().join("x");
        for size in [10usize, PART + 5] {
            let bytes = vec![7u8; size];
            fs::write(&from, &bytes).unwrap();
            let written = Written { rows: 1, bytes: size as u64, sha256: "s".into() };
            let file = LakeFile::new(Table::Events, id, 1_764_000_000_000, &written);
            assert_eq!(file.path, "events/load_date=2025-11-24/00000000000000000003-00000000000000000012.parquet");
            lake.put_file(&from, &file).unwrap();
            assert_eq!(fs::read(dir.path().join("lake").join(&file.path)).unwrap(), bytes);
            let manifest = Manifest { from: 3, to: 12, load_ms: 5, files: vec![file], repairs: Vec::new() };
            lake.put_manifest(id, &manifest).unwrap();
            let text =
                fs::read_to_string(dir.path().join("lake/manifest/00000000000000000003-00000000000000000012.json"))
                    .unwrap();
            assert_eq!(serde_json::from_str::<Manifest>(&text).unwrap(), manifest);
        }
    }

    #[test]
    fn an_object_that_was_put_is_listed_has_its_size_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open(&LakeConfig::default(), dir.path()).unwrap();
        let list = |after: &str| {
            let mut all = Vec::new();
            lake.list_objects("journal/a", after, &mut |name, size| all.push((name.to_owned(), size))).unwrap();
            all.sort();
            all
        };
        assert_eq!((list(""), lake.object_size("journal/a/1").unwrap()), (vec![], None));
        let (from, to) = (dir.path().join("x"), dir.path().join("y"));
        assert!(!lake.get_object("journal/a/1", &to).unwrap());
        for (name, size) in [("journal/a/1", 10), ("journal/a/2", PART + 5), ("journal/b/3", 7)] {
            fs::write(&from, vec![b'x'; size]).unwrap();
            lake.put_object(&from, name, size as u64).unwrap();
        }
        assert_eq!(list(""), [("1".to_owned(), 10), ("2".to_owned(), PART as u64 + 5)]);
        assert_eq!(list("1"), [("2".to_owned(), PART as u64 + 5)]);
        assert_eq!(lake.object_size("journal/a/2").unwrap(), Some(PART as u64 + 5));
        assert!(lake.get_object("journal/a/2", &to).unwrap());
        assert_eq!(fs::read(&to).unwrap(), vec![b'x'; PART + 5]);
        fs::rename(dir.path().join("lake"), dir.path().join("away")).unwrap();
        fs::write(dir.path().join("lake"), b"in the way").unwrap();
        assert!(lake.list_objects("journal/a", "", &mut |_, _| {}).is_err(), "an outage is no empty archive");
        assert!(lake.put_object(&from, "journal/a/4", 7).is_err());
    }

    #[test]
    fn a_lake_may_be_dropped_inside_a_runtime() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open(&LakeConfig::default(), dir.path()).unwrap();
        assert_eq!(lake.object_size("x").unwrap(), None);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async move { drop(lake) });
    }

    #[test]
    fn addresses_and_options_are_checked() {
        let dir = tempfile::tempdir().unwrap();
        let open = |url: &str, key: &str| {
            let config = LakeConfig {
                url: url.into(),
                options: [(key.to_owned(), "x".to_owned())].into(),
                ..LakeConfig::default()
            };
            Lake::open(&config, dir.path())
        };
        assert!(open("s3://bucket/some/prefix", "aws_region").is_ok());
        assert!(matches!(open("s3://bucket", "aws_regoin"), Err(StartError::Config { .. })));
        assert!(open("gs://bucket", "google_regoin").is_err());
        assert!(open("s3:/bucket", "aws_region").is_err());
    }
}
