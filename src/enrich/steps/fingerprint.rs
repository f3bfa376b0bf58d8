//! `event_fingerprint_config`: a hash of what the tracker sent.

use super::StepConfig;
use super::config::Reader;
use crate::enrich::step::{Enrichment, StepContext};
use crate::event::{SchemaKey, columns};
use md5::Md5;
use sha1::Sha1;
use sha2::digest::{Digest, DynDigest};
use sha2::{Sha256, Sha384, Sha512};
use std::fmt::Write as _;

/// Between a name and its value, and after the value.
const SEPARATOR: &[u8] = &[0x1F];

#[derive(Clone, Copy, Debug)]
enum Algorithm {
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    fn start(self) -> Box<dyn DynDigest> {
        match self {
            Algorithm::Md5 => Box::new(Md5::new()),
            Algorithm::Sha1 => Box::new(Sha1::new()),
            Algorithm::Sha256 => Box::new(Sha256::new()),
            Algorithm::Sha384 => Box::new(Sha384::new()),
            Algorithm::Sha512 => Box::new(Sha512::new()),
        }
    }
}

#[derive(Debug)]
struct Fingerprint {
    key: SchemaKey,
    algorithm: Algorithm,
    excluded: Vec<String>,
}

/// Reads the configuration.
pub(super) fn build(config: &StepConfig) -> Result<Box<dyn Enrichment>, Vec<String>> {
    let mut read = Reader::new(config.parameters());
    let name = read.text("hashAlgorithm");
    let excluded = read.texts("excludeParameters");
    let algorithm = match name.as_str() {
        "MD5" => Algorithm::Md5,
        "SHA1" => Algorithm::Sha1,
        "SHA256" => Algorithm::Sha256,
        "SHA384" => Algorithm::Sha384,
        "SHA512" => Algorithm::Sha512,
        other => {
            read.problem(format!("hashAlgorithm \"{other}\" is unknown; allowed: MD5, SHA1, SHA256, SHA384, SHA512"));
            Algorithm::Md5
        }
    };
    read.finish(Fingerprint { key: config.schema.clone(), algorithm, excluded })
}

impl Enrichment for Fingerprint {
    fn identifier(&self) -> &'static str {
        "event-fingerprint"
    }

    fn config_key(&self) -> Option<&SchemaKey> {
        Some(&self.key)
    }

    fn apply(&self, cx: &mut StepContext<'_>) {
        let mut pairs: Vec<(&str, &str)> = cx
            .params
            .iter()
            .filter_map(|p| Some((p.name.as_ref(), p.value.as_deref()?)))
            .filter(|(name, _)| !self.excluded.iter().any(|e| e == name))
            .collect();
        // By UTF-16 code units, as the JVM compares; names are ASCII in practice.
        pairs.sort_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
        let mut hash = self.algorithm.start();
        for (name, value) in pairs {
            for part in [name.as_bytes(), SEPARATOR, value.as_bytes(), SEPARATOR] {
                hash.update(part);
            }
        }
        let bytes = hash.finalize();
        cx.event.set_text_with(columns::EVENT_FINGERPRINT, |out| {
            for byte in bytes.iter() {
                let _ = write!(out, "{byte:02x}");
            }
        });
    }
}
