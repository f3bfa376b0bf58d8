//! The name of a schema in the Iglu world: `iglu:vendor/name/format/MODEL-REVISION-ADDITION`.

use std::fmt;
use std::sync::Arc;

/// A complete schema name. Cheap to clone, ordered by vendor, name, format and version numbers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaKey(Arc<Inner>);

#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Inner {
    vendor: String,
    name: String,
    format: String,
    version: (u32, u32, u32),
}

/// Why a text is no schema name. The words are Snowplow's own error codes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SchemaKeyError {
    /// The text is not of the form `iglu:vendor/name/format/version`.
    #[error("INVALID_IGLUURI")]
    Uri,
    /// The form is right but the version is no `MODEL-REVISION-ADDITION`.
    #[error("INVALID_SCHEMAVER")]
    Version,
}

const MAX_PART: usize = 128;
const MAX_NUMBER: u64 = i32::MAX as u64;

impl SchemaKey {
    /// Puts a key together from parts that are known to be valid.
    pub fn new(vendor: &str, name: &str, format: &str, version: (u32, u32, u32)) -> Self {
        SchemaKey(Arc::new(Inner {
            vendor: vendor.to_owned(),
            name: name.to_owned(),
            format: format.to_owned(),
            version,
        }))
    }

    /// Reads `iglu:vendor/name/format/1-0-2`.
    ///
    /// # Errors
    /// As Snowplow names them: a wrong shape or a wrong version.
    pub fn parse(uri: &str) -> Result<Self, SchemaKeyError> {
        Self::parse_path(uri.strip_prefix("iglu:").ok_or(SchemaKeyError::Uri)?)
    }

    /// Reads `vendor/name/format/1-0-2`, as in a registry's folder or URL.
    ///
    /// # Errors
    /// As [`SchemaKey::parse`].
    pub fn parse_path(path: &str) -> Result<Self, SchemaKeyError> {
        let mut parts = path.split('/');
        let (Some(vendor), Some(name), Some(format), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SchemaKeyError::Uri);
        };
        let word = |s: &str, dots: bool| {
            !s.is_empty()
                && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || (dots && b == b'.'))
        };
        if !word(vendor, true)
            || !word(name, false)
            || !word(format, false)
            || vendor.len() > MAX_PART
            || name.len() > MAX_PART
        {
            return Err(SchemaKeyError::Uri);
        }
        Ok(SchemaKey::new(vendor, name, format, parse_version(version)?))
    }

    /// Reverse domain of whoever owns the schema.
    pub fn vendor(&self) -> &str {
        &self.0.vendor
    }
    /// Name of the schema.
    pub fn name(&self) -> &str {
        &self.0.name
    }
    /// Format, in practice `jsonschema`.
    pub fn format(&self) -> &str {
        &self.0.format
    }
    /// Model, revision, addition.
    pub fn version(&self) -> (u32, u32, u32) {
        self.0.version
    }
    /// The major version, called MODEL.
    pub fn model(&self) -> u32 {
        self.0.version.0
    }
    /// `MODEL-REVISION-ADDITION`.
    pub fn version_text(&self) -> String {
        let (m, r, a) = self.0.version;
        format!("{m}-{r}-{a}")
    }
    /// The same schema at another version.
    pub fn with_version(&self, version: (u32, u32, u32)) -> Self {
        SchemaKey::new(self.vendor(), self.name(), self.format(), version)
    }
    /// `vendor/name/format/version`.
    pub fn path(&self) -> String {
        format!("{}/{}/{}/{}", self.0.vendor, self.0.name, self.0.format, self.version_text())
    }
    /// `iglu:vendor/name/format/version`.
    pub fn uri(&self) -> String {
        format!("iglu:{}", self.path())
    }
    /// Appends [`SchemaKey::uri`] without an allocation of its own.
    pub fn write_uri(&self, out: &mut String) {
        out.push_str("iglu:");
        for part in [&self.0.vendor, &self.0.name, &self.0.format] {
            out.push_str(part);
            out.push('/');
        }
        self.write_version(out);
    }
    /// Appends `MODEL-REVISION-ADDITION`.
    pub fn write_version(&self, out: &mut String) {
        let (model, revision, addition) = self.0.version;
        let mut digits = itoa::Buffer::new();
        out.push_str(digits.format(model));
        out.push('-');
        out.push_str(digits.format(revision));
        out.push('-');
        out.push_str(digits.format(addition));
    }
}

/// Reads `1-0-2`. Shape `N-N-N` with leading zeros, a zero model or numbers beyond int32 is a version error; any other
/// text makes the whole URI invalid.
///
/// # Errors
/// [`SchemaKeyError`].
pub fn parse_version(text: &str) -> Result<(u32, u32, u32), SchemaKeyError> {
    let mut numbers = [0u32; 3];
    let mut parts = text.split('-');
    let mut bad = false;
    for slot in &mut numbers {
        let part = parts.next().ok_or(SchemaKeyError::Uri)?;
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            return Err(SchemaKeyError::Uri);
        }
        match part.parse::<u64>() {
            Ok(n) if n <= MAX_NUMBER && (part.len() == 1 || !part.starts_with('0')) => *slot = n as u32,
            _ => bad = true,
        }
    }
    if parts.next().is_some() {
        return Err(SchemaKeyError::Uri);
    }
    if bad || numbers[0] == 0 {
        return Err(SchemaKeyError::Version);
    }
    Ok((numbers[0], numbers[1], numbers[2]))
}

impl fmt::Display for SchemaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (m, r, a) = self.0.version;
        write!(f, "iglu:{}/{}/{}/{m}-{r}-{a}", self.0.vendor, self.0.name, self.0.format)
    }
}

impl fmt::Debug for SchemaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints_and_refuses_the_rest() {
        let uri = "iglu:com.acme-2/cart_item/jsonschema/1-0-12";
        assert_eq!(SchemaKey::parse(uri).unwrap().to_string(), uri);
        for (bad, why) in [
            ("com.acme/cart/jsonschema/1-0-0", SchemaKeyError::Uri),
            ("iglu:com.acme/cart/jsonschema/1-0", SchemaKeyError::Uri),
            ("iglu:com.acme/ca rt/jsonschema/1-0-0", SchemaKeyError::Uri),
            ("iglu:com.acme/cart/jsonschema/0-0-0", SchemaKeyError::Version),
            ("iglu:com.acme/cart/jsonschema/01-0-0", SchemaKeyError::Version),
            ("iglu:com.acme/cart/jsonschema/99999999999-0-0", SchemaKeyError::Version),
        ] {
            assert_eq!(SchemaKey::parse(bad), Err(why), "{bad}");
        }
    }
}
