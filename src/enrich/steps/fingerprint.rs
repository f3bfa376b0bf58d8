//! `event_fingerprint_config`: a hash of what the tracker sent.

use super::StepConfig;
use super::config::Reader;
use crate::enrich::step::{Enrichment, StepContext};
use crate::event::{SchemaKey, columns};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// Between a name and its value, and after the value.
const SEPARATOR: u8 = 0x1F;

#[derive(Clone, Copy, Debug)]
enum Algorithm {
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    /// Appends the lower-case hexadecimal hash of `text`.
    fn write_hash(self, text: &[u8], out: &mut String) {
        match self {
            Algorithm::Md5 => write_hex(&Md5::digest(text), out),
            Algorithm::Sha1 => write_hex(&Sha1::digest(text), out),
            Algorithm::Sha256 => write_hex(&Sha256::digest(text), out),
            Algorithm::Sha384 => write_hex(&Sha384::digest(text), out),
            Algorithm::Sha512 => write_hex(&Sha512::digest(text), out),
        }
    }
}

fn write_hex(bytes: &[u8], out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(char::from(HEX[usize::from(byte >> 4)]));
        out.push(char::from(HEX[usize::from(byte & 15)]));
    }
}

/// A parameter with a value.
struct Pair<'a> {
    /// The name as a number, where it has one.
    key: Option<u64>,
    name: &'a str,
    value: &'a str,
}

/// Short ASCII names as numbers that sort as the names do. All of Snowplow's names are short.
fn key(name: &str) -> Option<u64> {
    let mut bytes = [0u8; 8];
    bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
    name.bytes().all(|b| b.is_ascii() && b != 0).then(|| u64::from_be_bytes(bytes))
}

/// Sorts by name in UTF-16 code units, as the JVM compares.
fn sort(pairs: &mut [Pair<'_>]) {
    if pairs.iter().all(|pair| pair.key.is_some()) {
        pairs.sort_unstable_by_key(|pair| pair.key);
    } else {
        pairs.sort_by(|a, b| a.name.encode_utf16().cmp(b.name.encode_utf16()));
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
        let mut pairs: Vec<Pair<'_>> = Vec::with_capacity(cx.params.len());
        let mut length = 0;
        for param in cx.params.iter() {
            let Some(value) = param.value.as_deref() else { continue };
            if !self.excluded.iter().any(|e| *e == param.name) {
                length += param.name.len() + value.len() + 2;
                pairs.push(Pair { key: key(&param.name), name: &param.name, value });
            }
        }
        sort(&mut pairs);
        let mut text = Vec::with_capacity(length);
        for pair in pairs {
            for part in [pair.name, pair.value] {
                text.extend_from_slice(part.as_bytes());
                text.push(SEPARATOR);
            }
        }
        cx.event.set_text_with(columns::EVENT_FINGERPRINT, |out| self.algorithm.write_hash(&text, out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_utf16_code_units() {
        let names = |list: &[&'static str]| {
            let mut pairs: Vec<Pair<'_>> = list.iter().map(|n| Pair { key: key(n), name: n, value: "" }).collect();
            sort(&mut pairs);
            pairs.into_iter().map(|p| p.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&["tv", "e", "se_ca", "se_ac", "tvx", "E"]), ["E", "e", "se_ac", "se_ca", "tv", "tvx"]);
        assert_eq!(
            names(&["tv", "a_longer_name", "𝄞", "\u{FFFD}", "e"]),
            ["a_longer_name", "e", "tv", "𝄞", "\u{FFFD}"]
        );
    }
}
