//! Work of an operator on a running pipeline. Stands above the stages: it may read both layers, the journal and the schemas,
//! and it changes answers in one way only, by appending to the journal.

pub mod replay;
