//! The promises, tested through the public face: a real process, real sockets, real files.
//!
//! One binary, because each test binary links DuckDB. Every test is named as a claim. A test that needs a component which is
//! not installed prints `skip: …` and passes; `.ci/run` installs all components and fails on a skip.

mod harness;

mod archive;
mod bad_input;
mod collector;
mod configuration;
mod filters;
mod kafka;
mod kill;
mod lambda;
mod outage;
mod replay;
mod trackers;
mod verbs;
mod view_sql;
