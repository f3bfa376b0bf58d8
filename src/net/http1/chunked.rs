//! The chunked transfer coding (RFC 9112 §7.1), piece by piece as bytes arrive.
//!
//! Chunk extensions and trailers are read over and dropped, and bounded: they are a way to make a server work for nothing,
//! and bare line ends in them are a way to smuggle a request.

/// The most digits of a chunk size; more could only be leading zeros or more than any body may have.
const MAX_SIZE_DIGITS: u32 = 8;
/// The most bytes of extensions and trailers of one body.
const MAX_OVERHEAD: usize = 16 * 1024;
/// The most bytes of framing per byte of body, once a small allowance is used up: one-byte chunks stay possible.
const MAX_FRAMING_RATIO: u64 = 16;

/// Why a chunked body is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ChunkError {
    /// Not the coding as it must be written.
    #[error("malformed chunk: {0}")]
    Malformed(&'static str),
    /// The body is larger than allowed.
    #[error("the body is too large")]
    TooLarge,
    /// Too many bytes that are not body.
    #[error("too many bytes of chunk extensions or trailers")]
    Overhead,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Size { digits: u32 },
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
    Done,
}

/// Decodes one body.
#[derive(Clone, Debug)]
pub struct Chunked {
    state: State,
    left: u64,
    body: u64,
    overhead: usize,
    framing: u64,
    most: u64,
}

impl Chunked {
    /// A decoder for a body of at most `most` bytes.
    pub fn new(most: u64) -> Self {
        Chunked { state: State::Size { digits: 0 }, left: 0, body: 0, overhead: 0, framing: 0, most }
    }

    /// Whether the end of the body has been read.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes bytes from `input` up to the end of the body, appends the body's bytes to `out` and returns how many bytes
    /// were taken: all of `input`, or fewer when the body ended.
    ///
    /// # Errors
    /// [`ChunkError`]; where the next request starts is not known then.
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, ChunkError> {
        let mut at = 0;
        while at < input.len() && self.state != State::Done {
            if self.state == State::Data {
                let n = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len() - at);
                out.extend_from_slice(&input[at..at + n]);
                at += n;
                self.left -= n as u64;
                self.body += n as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            self.step(input[at])?;
            at += 1;
            self.framing += 1;
            if self.framing > MAX_OVERHEAD as u64 + MAX_FRAMING_RATIO * self.body {
                return Err(ChunkError::Overhead);
            }
        }
        Ok(at)
    }

    fn step(&mut self, b: u8) -> Result<(), ChunkError> {
        let malformed = |what| Err(ChunkError::Malformed(what));
        self.state = match (self.state, b) {
            (State::Size { digits }, b) if b.is_ascii_hexdigit() => {
                if digits >= MAX_SIZE_DIGITS {
                    return malformed("size");
                }
                // A hexadecimal digit always has a value.
                self.left = self.left * 16 + u64::from((b as char).to_digit(16).unwrap_or(0));
                State::Size { digits: digits + 1 }
            }
            (State::Size { digits: 0 }, _) => return malformed("no size"),
            (State::Size { .. }, b'\r') => State::SizeLf,
            (State::Size { .. }, b';' | b' ' | b'\t') => State::Extension,
            (State::Size { .. }, _) => return malformed("size"),
            (State::Extension, b'\r') => State::SizeLf,
            (State::Extension, b'\n') => return malformed("a bare line feed"),
            (State::Extension, _) => {
                self.count_overhead()?;
                State::Extension
            }
            (State::SizeLf, b'\n') if self.left == 0 => State::TrailerStart,
            (State::SizeLf, b'\n') => {
                if self.left > self.most.saturating_sub(self.body) {
                    return Err(ChunkError::TooLarge);
                }
                State::Data
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { digits: 0 },
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::TrailerStart | State::Trailer, b'\n') => return malformed("a bare line feed"),
            (State::TrailerStart, b' ' | b'\t') => return malformed("a folded trailer"),
            (State::TrailerStart, _) => {
                self.count_overhead()?;
                State::Trailer
            }
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::Trailer, _) => {
                self.count_overhead()?;
                State::Trailer
            }
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::EndLf, b'\n') => State::Done,
            _ => return malformed("line end"),
        };
        Ok(())
    }

    fn count_overhead(&mut self) -> Result<(), ChunkError> {
        self.overhead += 1;
        if self.overhead > MAX_OVERHEAD { Err(ChunkError::Overhead) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(input: &[u8], piece: usize) -> Result<(Vec<u8>, usize, bool), ChunkError> {
        let mut chunked = Chunked::new(100);
        let (mut out, mut taken) = (Vec::new(), 0);
        for part in input.chunks(piece) {
            let n = chunked.decode(part, &mut out)?;
            taken += n;
            if n < part.len() {
                break;
            }
        }
        Ok((out, taken, chunked.is_done()))
    }

    #[test]
    fn a_body_comes_out_whole_however_it_is_cut() {
        let input = b"4\r\nWiki\r\n00A;ext=\"x\"\r\npedia in \r\r\n0\r\nTrailer: x\r\n\r\nGET /";
        for piece in 1..input.len() {
            let (body, taken, done) = decode(input, piece).unwrap();
            assert_eq!((&body[..], &input[taken..], done), (&b"Wikipedia in \r"[..], &b"GET /"[..], true), "{piece}");
        }
        assert!(!decode(b"4\r\nWi", 9).unwrap().2);
    }

    #[test]
    fn broken_framing_is_refused() {
        for bad in [
            &b"\r\nx"[..],
            b"g\r\n",
            b"4\nWiki\r\n",
            b"4 x\nWiki",
            b"4\r\nWikiX\r\n",
            b"4\r\nWiki\n",
            b"-1\r\n",
            b"0x4\r\n",
            b"000000004\r\nWiki\r\n",
            b"0\r\n\n",
            b"0\r\nA: b\n\r\n",
            b"0\r\n folded\r\n\r\n",
            b"4\rWiki",
        ] {
            assert!(matches!(decode(bad, 64), Err(ChunkError::Malformed(_))), "{bad:?}");
        }
        assert_eq!(decode(b"65\r\n", 64), Err(ChunkError::TooLarge));
        assert_eq!(
            decode(b"32\r\n01234567890123456789012345678901234567890123456789\r\n33\r\n", 99),
            Err(ChunkError::TooLarge)
        );
        let extension = [b"1;".as_slice(), &vec![b'x'; MAX_OVERHEAD + 1]].concat();
        assert_eq!(decode(&extension, 4096), Err(ChunkError::Overhead));
        let trailer = [b"0\r\nA: ".as_slice(), &vec![b'x'; MAX_OVERHEAD + 1]].concat();
        assert_eq!(decode(&trailer, 4096), Err(ChunkError::Overhead));
    }
}
