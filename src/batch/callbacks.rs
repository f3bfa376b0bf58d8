//! What the batch layer tells whoever wires it: it knows none of those that listen.

use super::status::BatchState;
use super::warehouse::LocalFile;
use crate::event::{BatchId, Boundary};
use std::sync::Arc;

/// Hears how far a micro-batch is.
pub type OnState = Arc<dyn Fn(&BatchState) + Send + Sync>;

/// Hears that the rows of a micro-batch can be read from files on this machine.
pub type OnStaged = Box<dyn Fn(BatchId, &[LocalFile]) + Send>;

/// Who is told.
#[derive(Default)]
pub struct Callbacks {
    /// Called once per micro-batch, as soon as its files are on local disk; they stay as long as somebody keeps them. Must
    /// be quick.
    pub on_staged: Option<OnStaged>,
    /// Called after every commit, in order, with the new boundary. Must be quick.
    pub on_commit: Vec<Box<dyn Fn(Boundary) + Send>>,
    /// Called whenever a micro-batch gets further, or does not. Must be quick.
    pub on_state: Option<OnState>,
}

impl std::fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Callbacks")
    }
}
