//! Views: aggregates declared once and computed the same way in both layers.
//!
//! No I/O, no threads. A [`ViewDef`] is what the user writes; everything else in this folder is one definition of what it
//! means, used by the speed layer chunk by chunk, by the batch layer micro-batch by micro-batch, and by whoever checks one
//! against the other.
