//! Tests of the journal as a whole; those of one file are in that file.

mod basic;
