//! Work of an operator on a running pipeline, and the journal's archive. Stands above the stages: it may read both layers, the
//! journal, the lake and the schemas, and it changes answers in one way only, by appending to the journal.

pub mod archive;
pub mod replay;
