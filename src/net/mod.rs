//! The door to the network: listeners, TLS, who may connect and how much memory strangers may hold, and the wire form of
//! HTTP/1.1.
//!
//! Nothing here knows what a collector is. What is promised: a port that is taken is a clear error before anything
//! started; certificates change without a restart; every connection and every buffered byte is counted against a bound;
//! a request whose end two parties could see differently is refused, never guessed.

pub mod budget;
pub mod http1;
pub mod listener;
pub mod peer;
pub mod proxy_protocol;
pub mod rewind;
pub mod tls;

pub use budget::{Budget, Held};
pub use listener::{BindError, bind};
pub use peer::{ConnectionLimits, Gate, Network, Refused};
