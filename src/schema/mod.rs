//! Iglu schemas: finding them, compiling them, checking data with them.
//!
//! Promises: a look-up on the hot path touches memory only; an outage is told apart from "no such schema", because the first
//! makes the pipeline wait and only the second fails an event; every cache is bounded; a schema that turns up while running
//! takes effect without restart. `validator` is pure and knows nothing of registries.

mod budget;
mod cache;
mod config;
mod document;
mod error;
mod fetch;
mod flight;
mod lint;
mod lookup;
mod metrics;
mod publish;
mod refresh;
mod registry;
mod resolver;
mod stage;
pub mod validator;

pub use config::{Config, RegistryConfig};
pub use document::{CompiledSchema, Invalid};
pub use error::{BuildError, Outage, PutProblem};
pub use lint::{Finding, Stored, lint};
pub use lookup::{Lookup, LookupError, LookupHistory};
pub use resolver::{Network, Resolver, build, build_reader};
pub use validator::{Report, SchemaIssue};

#[cfg(test)]
pub(crate) mod tests;
