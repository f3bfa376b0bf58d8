//! Views: aggregates declared once and computed the same way in both layers.
//!
//! No I/O, no threads. A [`ViewDef`] is what the user writes; everything else in this folder is one definition of what it
//! means, used by the speed layer chunk by chunk, by the batch layer micro-batch by micro-batch, and by whoever checks one
//! against the other.
//!
//! What it promises: aggregates are commutative monoids ([`Aggregate`]), so any cut of the same events into chunks,
//! micro-batches and layers, merged in any order, gives the same answer to the last digit; with two stated exceptions, the
//! `top` lists beyond their exact size and the groups beyond `max_groups`, which are cut in the order of the events.

mod aggregate;
pub mod answer;
mod builtin;
mod column;
mod compiled;
mod def;
mod distinct;
mod error;
mod exact;
mod field;
mod fold;
mod groups;
mod json_path;
mod keys;
mod measure;
mod quantiles;
mod query;
mod reading;
mod sql;
mod storage;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod top;
mod zone;

pub use aggregate::{Aggregate, Value, time_text};
pub use answer::{Answer, Half, Layer, Reducer, Row};
pub use builtin::{PULSE, builtin, defaults};
pub use compiled::{Dimension, MAX_DIMENSIONS, OTHER, ROWS_COLUMN, View};
pub use def::{Allowed, Literal, MAX_GROUPS, Pairs, TimeColumn, ViewDef};
pub use error::ViewError;
pub use field::{Field, Kind, Source};
pub use fold::Fold;
pub use groups::{Group, Groups, Key};
pub use keys::KeyTable;
pub use measure::{Function, Measure, Number};
pub use query::{Filter, Grain, Plan, ViewQuery};
pub use reading::Reading;
pub use top::Item;
pub use zone::{Bucketer, Zone};
