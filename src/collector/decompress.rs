//! Compressed request bodies: gzip, deflate, br, zstd, with a bound on what may come out.
//!
//! A few kilobytes can unpack to gigabytes; so every decoder is read through a limit, and zstd may not ask for a larger
//! window than RFC 9659 allows for content codings.

use std::borrow::Cow;
use std::io::{self, Read};

/// The most codings that one body may have on top of each other.
const MAX_CODINGS: usize = 3;
/// 8 MiB, the window that RFC 9659 §3 allows.
const ZSTD_WINDOW_LOG: u32 = 23;
/// Size of the pieces in which brotli is read.
const BROTLI_BUFFER: usize = 16 * 1024;

/// Why a body cannot be unpacked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Undecodable {
    /// More would come out than allowed.
    TooLarge,
    /// The bytes are not what `Content-Encoding` says.
    Corrupt(String),
}

/// Unpacks `body` as the values of its `Content-Encoding` headers say, to fewer than `limit` bytes. A coding that is not
/// known leaves the body as it is: the record tells downstream, and nothing is lost.
///
/// # Errors
/// [`Undecodable`].
pub fn decompress<'b>(
    codings: impl Iterator<Item = &'b [u8]>,
    body: &'b [u8],
    limit: usize,
) -> Result<Cow<'b, [u8]>, Undecodable> {
    let mut list: Vec<Coding> = Vec::new();
    for name in codings.flat_map(|v| v.split(|&b| b == b',')).map(<[u8]>::trim_ascii) {
        match Coding::of(name) {
            Some(Coding::Identity) => {}
            Some(coding) => list.push(coding),
            None => return Ok(Cow::Borrowed(body)),
        }
    }
    if list.len() > MAX_CODINGS {
        return Err(Undecodable::Corrupt(format!("more than {MAX_CODINGS} content codings")));
    }
    let mut body = Cow::Borrowed(body);
    // An empty body needs no unpacking: clients that set the header by habit send one.
    for coding in list.into_iter().rev().filter(|_| !body.is_empty()).collect::<Vec<_>>() {
        body = Cow::Owned(coding.unpack(&body, limit)?);
    }
    Ok(body)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Coding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    fn of(name: &[u8]) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Coding::Identity,
            b"gzip" | b"x-gzip" => Coding::Gzip,
            b"deflate" => Coding::Deflate,
            b"br" => Coding::Brotli,
            b"zstd" => Coding::Zstd,
            _ => return None,
        })
    }

    fn unpack(self, body: &[u8], limit: usize) -> Result<Vec<u8>, Undecodable> {
        let result = match self {
            Coding::Identity => Ok(body.to_vec()),
            Coding::Gzip => read(flate2::bufread::MultiGzDecoder::new(body), limit),
            // RFC 9110 means the zlib form; some clients send the bare one.
            Coding::Deflate => match read(flate2::bufread::ZlibDecoder::new(body), limit) {
                Err(Failed::Io(_)) => read(flate2::bufread::DeflateDecoder::new(body), limit),
                other => other,
            },
            Coding::Brotli => read(brotli::Decompressor::new(body, BROTLI_BUFFER), limit),
            Coding::Zstd => zstd(body, limit),
        };
        result.map_err(|e| match e {
            Failed::TooLarge => Undecodable::TooLarge,
            Failed::Io(e) => Undecodable::Corrupt(format!("the body is no valid {self:?}: {e}").to_ascii_lowercase()),
        })
    }
}

enum Failed {
    TooLarge,
    Io(io::Error),
}

impl From<io::Error> for Failed {
    fn from(e: io::Error) -> Self {
        Failed::Io(e)
    }
}

fn zstd(body: &[u8], limit: usize) -> Result<Vec<u8>, Failed> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    read(decoder, limit)
}

fn read(mut decoder: impl Read, limit: usize) -> Result<Vec<u8>, Failed> {
    let mut out = Vec::new();
    decoder.by_ref().take(limit as u64).read_to_end(&mut out)?;
    if out.len() >= limit { Err(Failed::TooLarge) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn pack(coding: &str, body: &[u8]) -> Vec<u8> {
        let level = flate2::Compression::best();
        match coding {
            "gzip" => {
                let mut w = flate2::write::GzEncoder::new(Vec::new(), level);
                w.write_all(body).unwrap();
                w.finish().unwrap()
            }
            "deflate" => {
                let mut w = flate2::write::ZlibEncoder::new(Vec::new(), level);
                w.write_all(body).unwrap();
                w.finish().unwrap()
            }
            "raw" => {
                let mut w = flate2::write::DeflateEncoder::new(Vec::new(), level);
                w.write_all(body).unwrap();
                w.finish().unwrap()
            }
            "br" => {
                let mut out = Vec::new();
                brotli::CompressorWriter::new(&mut out, 4096, 9, 22).write_all(body).unwrap();
                out
            }
            _ => zstd::encode_all(body, 3).unwrap(),
        }
    }

    fn unpack(header: &str, body: &[u8]) -> Result<Vec<u8>, Undecodable> {
        decompress([header.as_bytes()].into_iter(), body, 10_000).map(Cow::into_owned)
    }

    #[test]
    fn every_coding_comes_out_as_it_went_in() {
        let body = "{\"schema\":\"iglu:…\"}".repeat(20).into_bytes();
        for coding in ["gzip", "deflate", "br", "zstd"] {
            assert_eq!(unpack(coding, &pack(coding, &body)), Ok(body.clone()), "{coding}");
        }
        assert_eq!(unpack("X-GZIP", &pack("gzip", &body)), Ok(body.clone()));
        assert_eq!(unpack("deflate", &pack("raw", &body)), Ok(body.clone()));
        assert_eq!(unpack("zstd, gzip", &pack("gzip", &pack("zstd", &body))), Ok(body.clone()));
        assert_eq!(unpack("identity", &body), Ok(body.clone()));
        assert_eq!(unpack("compress", &body), Ok(body.clone()));
        assert_eq!(unpack("gzip", b""), Ok(Vec::new()));
    }

    #[test]
    fn bombs_and_garbage_are_told_apart() {
        let bomb = vec![0; 50_000_000];
        for coding in ["gzip", "deflate", "br", "zstd"] {
            assert_eq!(unpack(coding, &pack(coding, &bomb)), Err(Undecodable::TooLarge), "{coding}");
            assert!(matches!(unpack(coding, b"\x07garbage garbage"), Err(Undecodable::Corrupt(_))), "{coding}");
            let packed = pack(coding, b"cut short, cut short, cut short");
            assert!(matches!(unpack(coding, &packed[..packed.len() - 5]), Err(Undecodable::Corrupt(_))), "{coding}");
        }
        assert!(matches!(unpack("gzip, gzip, gzip, gzip", b"x"), Err(Undecodable::Corrupt(_))));
        assert_eq!(unpack("gzip", &pack("gzip", &[7; 9_999])).map(|b| b.len()), Ok(9_999));
        assert_eq!(unpack("gzip", &pack("gzip", &[7; 10_000])), Err(Undecodable::TooLarge));
    }
}
