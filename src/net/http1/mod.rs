//! HTTP/1.1 as it stands on the wire: the head of a request, and where its body ends.
//!
//! Own code and not a general parser, for two reasons. A tracker's request line may hold bytes that such parsers refuse, and
//! the event would be lost; and everything here points into the caller's buffer, so that a request costs no allocation.
//! Whatever two parties on the way could read differently (two lengths, folded lines, bare line ends, white space before a
//! colon) is refused with 400 (RFC 9112 §2.2, §5.1, §6.3).

pub mod chunked;
pub mod head;
pub mod names;

pub use chunked::{ChunkError, Chunked};
pub use head::{Framing, Head, HeadError, HeadLimits, Header, Parsed, Span, Version};
pub use names::Name;
