//! Ground that every other folder stands on: the file system, the clock, units and crash points.
//!
//! What the program asks of the machine goes through here, so that a test can replace it: a file system that forgets what
//! was not fsynced, a clock that does not move by itself. Nothing here knows what an event is.

pub mod arrow_file;
pub mod clock;
pub mod failpoint;
pub mod fs;
#[cfg(test)]
pub mod fs_sim;
pub mod owned;
pub mod priority;
pub mod slice;
#[cfg(test)]
pub(crate) mod testing;
pub mod units;
