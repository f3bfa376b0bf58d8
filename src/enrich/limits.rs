//! How long a column may be.
//!
//! Lengths count UTF-16 code units, as in the reference. Nothing is truncated: an event with a longer text fails, or passes
//! as it is where the configuration says so.

use super::map::FieldError;
use crate::event::Event;
use crate::event::columns::{self, COLUMNS, Kind};
use std::collections::BTreeMap;

/// Columns that stay even when too long, because an event without them cannot be told from another.
const KEPT: [usize; 3] = [columns::EVENT_ID, columns::V_COLLECTOR, columns::V_ETL];

/// The limits in force.
#[derive(Clone, Debug)]
pub(super) struct Limits(Vec<(usize, u32)>);

impl Limits {
    /// The defaults, with those of the configuration in their place.
    ///
    /// # Errors
    /// Names that are no text column.
    pub fn new(own: &BTreeMap<String, u32>) -> Result<Self, Vec<String>> {
        let mut max: Vec<Option<u32>> = COLUMNS.iter().map(|c| c.max).collect();
        let mut unknown = Vec::new();
        for (name, limit) in own {
            match columns::index_of(name).filter(|&i| COLUMNS[i].kind == Kind::Text) {
                Some(i) => max[i] = Some(*limit),
                None => unknown.push(name.clone()),
            }
        }
        if !unknown.is_empty() {
            return Err(unknown);
        }
        Ok(Limits(max.into_iter().enumerate().filter_map(|(i, max)| Some((i, max?))).collect()))
    }

    /// The columns that are too long, in order.
    pub fn check(&self, event: &Event) -> Vec<FieldError> {
        let mut errors = Vec::new();
        for &(column, max) in &self.0 {
            let Some(text) = event.text(column) else { continue };
            let max_len = max as usize;
            // Bytes are never fewer than UTF-16 code units.
            if text.len() > max_len && text.encode_utf16().count() > max_len {
                errors.push(FieldError {
                    field: COLUMNS[column].name,
                    value: text.to_owned(),
                    message: format!("at most {max} characters are expected").into(),
                });
            }
        }
        errors
    }

    /// Makes the columns named in `errors` absent.
    pub fn clear(event: &mut Event, errors: &[FieldError]) {
        for error in errors {
            if let Some(column) = columns::index_of(error.field).filter(|c| !KEPT.contains(c)) {
                event.clear(column);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eighty_four_columns_have_a_limit_and_names_are_checked() {
        let limits = Limits::new(&BTreeMap::new()).unwrap();
        assert_eq!(limits.0.len(), 84);
        let own = BTreeMap::from([("app_id".to_owned(), 2), ("nonsense".to_owned(), 1), ("txn_id".to_owned(), 1)]);
        assert_eq!(Limits::new(&own).unwrap_err(), ["nonsense", "txn_id"]);
    }

    #[test]
    fn lengths_count_utf16_units() {
        let limits = Limits::new(&BTreeMap::from([("app_id".to_owned(), 4)])).unwrap();
        let mut e = Event::new();
        for (text, ok) in [("abcd", true), ("äöüß", true), ("𝄞𝄞", true), ("𝄞𝄞a", false), ("abcde", false)]
        {
            e.set_text(columns::APP_ID, text);
            assert_eq!(limits.check(&e).is_empty(), ok, "{text}");
        }
        let errors = limits.check(&e);
        Limits::clear(&mut e, &errors);
        assert!(e.is_null(columns::APP_ID));
    }
}
