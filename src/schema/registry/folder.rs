//! A folder of schemas: a static registry on disk, and the place where uploaded schemas are kept.
//!
//! Layout `vendor/name/format/version`, with or without `.json`, directly in the folder or in a folder `schemas` inside it
//! (as static registries are published). Read on demand; the resolver notices changes by [`Stamp`]s.
//!
//! A schema that says `$supersedes` makes the older versions beside it carry `$supersededBy`, as the Iglu server does it:
//! the mark is added to the document when it is read, the stored file stays as it was published.

use super::{Answer, MAX_DOCUMENT, is_safe};
use crate::event::SchemaKey;
use crate::event::json::{Json, parse};
use crate::event::schema_key::parse_version;
use crate::platform::fs::{Fs, RealFs, replace_durably};
use crate::schema::lookup::LookupError;
use crate::schema::validator::MAX_SCHEMA_DEPTH;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Deepest folder of the layout, counted from the root.
const LEVELS: usize = 4;
/// Most names that one listing gives.
const MAX_LISTED: usize = 100_000;
/// A folder that cannot be read is tried again after this time.
const PAUSE: Duration = Duration::from_secs(1);

/// State of a file and of the folder that it stands in; another state means that the schema has to be read again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::schema) struct Stamp {
    file: (Option<SystemTime>, u64),
    folder: Option<SystemTime>,
}

/// One folder.
#[derive(Debug)]
pub(in crate::schema) struct Folder {
    name: String,
    root: PathBuf,
}

impl Folder {
    pub(in crate::schema) fn new(name: String, root: PathBuf) -> Self {
        Folder { name, root }
    }

    /// Its name in look-up histories.
    pub(in crate::schema) fn name(&self) -> &str {
        &self.name
    }

    /// Whether any schema of the vendor can be here; spares a look at every single file.
    pub(in crate::schema) fn has_vendor(&self, vendor: &str) -> bool {
        self.root.join(vendor).is_dir() || self.root.join("schemas").join(vendor).is_dir()
    }

    fn places(&self, key: &SchemaKey) -> [PathBuf; 4] {
        let (path, nested) = (key.path(), self.root.join("schemas"));
        let json = format!("{path}.json");
        [self.root.join(&path), self.root.join(&json), nested.join(&path), nested.join(&json)]
    }

    /// State of the schema's file, if there is one.
    pub(in crate::schema) fn stamp(&self, key: &SchemaKey) -> Option<Stamp> {
        if !is_safe(key) {
            return None;
        }
        self.places(key).iter().find_map(|path| {
            let meta = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
            let folder = path.parent().and_then(|dir| dir.metadata().ok()).and_then(|m| m.modified().ok());
            Some(Stamp { file: (meta.modified().ok(), meta.len()), folder })
        })
    }

    /// The schema's document, marked if a newer version here supersedes it.
    pub(in crate::schema) fn ask(&self, key: &SchemaKey) -> Answer {
        if !is_safe(key) {
            return Answer::NotFound;
        }
        for path in self.places(key) {
            match read(&path) {
                Ok(text) => return Answer::Found(self.mark_superseded(key, &path, text)),
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory
                    ) => {}
                Err(e) => {
                    let message = format!("{}: {e}", path.display());
                    return Answer::Failed(LookupError::ClientFailure(message), PAUSE);
                }
            }
        }
        Answer::NotFound
    }

    fn mark_superseded(&self, key: &SchemaKey, path: &Path, text: String) -> String {
        let Some(newer) = superseding(key, path) else { return text };
        match parse(&text, MAX_SCHEMA_DEPTH) {
            Ok(Json::Object(mut members)) if members.iter().all(|(k, _)| k != "$supersededBy") => {
                members.push(("$supersededBy".into(), Json::String(newer.into())));
                Json::Object(members).to_text()
            }
            _ => text,
        }
    }

    /// Names of all schemas here.
    pub(in crate::schema) fn list(&self) -> Vec<SchemaKey> {
        let mut keys = Vec::new();
        for root in [self.root.clone(), self.root.join("schemas")] {
            walk(&root, "", LEVELS, &mut keys);
        }
        keys
    }

    /// Stores a document durably. Whoever calls has made sure that the name is free.
    ///
    /// # Errors
    /// As the file system gives them.
    pub(in crate::schema) fn store(&self, key: &SchemaKey, text: &str) -> io::Result<()> {
        if !is_safe(key) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the vendor consists of dots"));
        }
        let path = self.root.join(key.path());
        RealFs.create_dir_all(crate::platform::fs::parent(&path))?;
        replace_durably(&RealFs, &path, text.as_bytes())
    }
}

fn read(path: &Path) -> io::Result<String> {
    let file = std::fs::File::open(path)?;
    let mut bytes = Vec::new();
    file.take(MAX_DOCUMENT as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_DOCUMENT {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {MAX_DOCUMENT} bytes")));
    }
    // Bytes that are no text make a document that is no JSON, which is reported as such.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The greatest version beside `path` that says it supersedes `key`.
fn superseding(key: &SchemaKey, path: &Path) -> Option<String> {
    let entries = std::fs::read_dir(path.parent()?).ok()?;
    let mut best: Option<((u32, u32, u32), String)> = None;
    for entry in entries.flatten().take(MAX_LISTED) {
        let name = entry.file_name();
        let Some(name) = name.to_str().map(|n| n.strip_suffix(".json").unwrap_or(n)) else { continue };
        let Ok(version) = parse_version(name) else { continue };
        if version <= key.version() || best.as_ref().is_some_and(|(b, _)| *b >= version) {
            continue;
        }
        let Ok(text) = read(&entry.path()) else { continue };
        // Most schemas supersede nothing: no need to parse them.
        if text.contains("\"$supersedes\"") && supersedes(&text, &key.version_text()) {
            best = Some((version, name.to_owned()));
        }
    }
    best.map(|(_, name)| name)
}

fn supersedes(text: &str, version: &str) -> bool {
    parse(text, MAX_SCHEMA_DEPTH).is_ok_and(|document| {
        let listed = document.get("$supersedes").and_then(Json::as_array).unwrap_or(&[]);
        listed.iter().any(|v| v.as_str() == Some(version))
    })
}

fn walk(dir: &Path, path: &str, levels: usize, keys: &mut Vec<SchemaKey>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let below = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        if levels > 1 {
            if entry.path().is_dir() {
                walk(&entry.path(), &below, levels - 1, keys);
            }
        } else if let Ok(key) = SchemaKey::parse_path(below.strip_suffix(".json").unwrap_or(&below))
            && keys.len() < MAX_LISTED
        {
            keys.push(key);
        }
    }
}
