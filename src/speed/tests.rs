//! The speed layer as a whole.
