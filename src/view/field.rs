//! What a view may refer to: an atomic column, or a place inside a self-describing column.
//!
//! A reference is written as SQL users know the columns: `page_urlpath`, or
//! `contexts_org_w3_performance_timing_1.loadEventEnd` (column, then the path inside it, keys separated by dots). An entity
//! column holds an array; a reference reads its **first** element, as `column[1].key` does in SQL.

use crate::event::columns::{self, COLUMNS};

/// What type the values of a field have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Text.
    Text,
    /// 32-bit integer.
    Int,
    /// Flag.
    Bool,
    /// Decimal with two places.
    Money,
    /// Double.
    Double,
    /// Time.
    Time,
    /// A JSON scalar: text, number or flag, as each event has it.
    Json,
}

impl Kind {
    /// The word for error messages.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Int => "an integer",
            Kind::Bool => "a flag",
            Kind::Money => "a decimal",
            Kind::Double => "a double",
            Kind::Time => "a time",
            Kind::Json => "a JSON value",
        }
    }
}

/// Where the values stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// One of the 128 atomic columns.
    Atomic(
        /// Index in [`COLUMNS`].
        usize,
    ),
    /// A place inside a self-describing column.
    Json {
        /// Name of the column.
        column: String,
        /// Whether the column holds an array of entities, of which the first is read.
        entity: bool,
        /// Keys from the outside in; at least one.
        path: Vec<String>,
    },
}

/// A reference that has been looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// As the user wrote it.
    pub text: String,
    /// Where the values stand.
    pub source: Source,
    /// Their type.
    pub kind: Kind,
}

const MAX_PATH: usize = 8;
const ALLOWED: &str = "allowed: an atomic column such as page_urlpath, or a self-describing column and a path such as \
                       contexts_com_acme_user_1.plan or unstruct_event_com_acme_search_1.query.text";

impl Field {
    /// Looks a reference up.
    ///
    /// # Errors
    /// What is wrong with it and what is allowed.
    pub fn parse(text: &str) -> Result<Field, String> {
        let text = text.trim();
        if let Some((column, path)) = text.split_once('.') {
            return Field::parse_json(text, column, path);
        }
        let Some(index) = columns::index_of(text) else {
            return Err(format!("\"{text}\" is no column of events; {ALLOWED}"));
        };
        let kind = match COLUMNS[index].kind {
            columns::Kind::Text => Kind::Text,
            columns::Kind::Time => Kind::Time,
            columns::Kind::Int => Kind::Int,
            columns::Kind::Bool => Kind::Bool,
            columns::Kind::Decimal if columns::MONEY.contains(&index) => Kind::Money,
            columns::Kind::Decimal | columns::Kind::Float => Kind::Double,
            columns::Kind::Json => {
                return Err(format!("\"{text}\" is split into one column per schema; {ALLOWED}"));
            }
        };
        Ok(Field { text: COLUMNS[index].name.to_owned(), source: Source::Atomic(index), kind })
    }

    fn parse_json(text: &str, column: &str, path: &str) -> Result<Field, String> {
        let entity = column.starts_with("contexts_");
        let named = entity || column.starts_with("unstruct_event_");
        let model = column.rsplit('_').next().is_some_and(|m| !m.is_empty() && m.bytes().all(|b| b.is_ascii_digit()));
        if !named || !model || !column.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
            return Err(format!("\"{column}\" in \"{text}\" is no self-describing column; {ALLOWED}"));
        }
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if path.len() > MAX_PATH {
            return Err(format!("the path in \"{text}\" has {} keys; allowed: at most {MAX_PATH}", path.len()));
        }
        let key = |k: &String| !k.is_empty() && k.chars().all(|c| !c.is_control() && !matches!(c, '"' | '[' | ']'));
        if !path.iter().all(key) {
            return Err(format!(
                "the path in \"{text}\" has an empty key or a bracket; allowed: keys separated by single dots (of an \
                 entity column the first element is read, no index is written)"
            ));
        }
        Ok(Field {
            text: text.to_owned(),
            source: Source::Json { column: column.to_owned(), entity, path },
            kind: Kind::Json,
        })
    }

    /// Whether groups can be made by its values.
    pub fn can_group(&self) -> bool {
        matches!(self.kind, Kind::Text | Kind::Int | Kind::Bool | Kind::Json)
    }

    /// Name of the column of `atomic.events` that holds it.
    pub fn column(&self) -> &str {
        match &self.source {
            Source::Atomic(_) => &self.text,
            Source::Json { column, .. } => column,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_looked_up() {
        assert_eq!(Field::parse("tr_total").unwrap().kind, Kind::Money);
        assert_eq!(Field::parse("se_value").unwrap().kind, Kind::Double);
        assert_eq!(Field::parse("refr_device_tstamp").unwrap().text, "refr_dvce_tstamp");
        let f = Field::parse("contexts_org_w3_performance_timing_1.loadEventEnd").unwrap();
        assert_eq!(
            f.source,
            Source::Json {
                column: "contexts_org_w3_performance_timing_1".to_owned(),
                entity: true,
                path: vec!["loadEventEnd".to_owned()]
            }
        );
    }

    #[test]
    fn wrong_references_say_what_is_allowed() {
        for bad in ["", "page_urlpat", "contexts", "contexts_a_b.c", "contexts_a_b_1.", "contexts_a_b_1.c..d", "x_1.y"]
        {
            let why = Field::parse(bad).unwrap_err();
            assert!(why.contains("allowed"), "{bad}: {why}");
        }
    }
}
