//! Placeholder while the box is put together.
