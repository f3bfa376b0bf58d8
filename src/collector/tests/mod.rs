//! Tests of the collector: the core by the sections of its specification, and the server over real sockets.

mod core;
mod fuzz;
mod harness;
mod http2;
mod identity;
mod record;
mod server;
mod sizes;
mod socket;
mod stopping;
mod thrift;
mod wire;
