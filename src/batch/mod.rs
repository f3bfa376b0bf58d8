//! x
pub mod config;
pub mod error;
mod fields;
pub mod lake;
mod parquet;
mod planner;
mod statelog;
mod tables;
#[cfg(test)]
mod testing;
