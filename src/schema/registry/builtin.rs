//! The schemas that are compiled into the program, from the folder `schemas/` of the source tree.
//!
//! The folder is laid out as a static Iglu registry without file suffix: `schemas/vendor/name/format/version`.

use super::Answer;
use crate::event::SchemaKey;

#[derive(rust_embed::Embed)]
#[folder = "schemas/"]
struct Files;

/// The registry inside the program.
#[derive(Debug)]
pub(in crate::schema) struct BuiltIn;

impl BuiltIn {
    /// Its name in look-up histories.
    pub(in crate::schema) const NAME: &'static str = "built-in";

    pub(in crate::schema) fn ask(key: &SchemaKey) -> Answer {
        let text = Files::get(&key.path()).and_then(|file| String::from_utf8(file.data.into_owned()).ok());
        text.map_or(Answer::NotFound, Answer::Found)
    }

    /// Names of all built-in schemas.
    pub(in crate::schema) fn keys() -> impl Iterator<Item = SchemaKey> {
        Files::iter().filter_map(|path| SchemaKey::parse_path(&path).ok())
    }
}
