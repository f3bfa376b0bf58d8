//! Compressed bundles: a record that holds many records.
//!
//! Newer collectors can compress several payloads into one stream record: zstd or gzip around two header bytes `01 01`
//! and then, again and again, a big-endian length and a Thrift payload. Our own collector does not, but a shared Kafka
//! topic or an archive may hold them.

use bytes::Bytes;
use std::io::{self, Read};

/// Longest single payload.
pub const MAX_PAYLOAD: usize = 10_000_000;
/// Most bytes that a bundle may unpack to. The records of one bundle are in memory together.
const MAX_TOTAL: u64 = 128 << 20;
/// Most payloads in one bundle: each costs at least a failed outcome.
const MAX_PIECES: usize = 100_000;

/// What is wrong with a bundle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BundleError {
    /// It cannot be unpacked; names the decompressor.
    Corrupt(String),
    /// A payload in it is longer than [`MAX_PAYLOAD`]: its length.
    TooLong(usize),
}

/// A record out of a bundle, or why there is none.
pub type Piece = Result<Bytes, BundleError>;

/// The compression of a record, if it is compressed.
pub fn compression(record: &[u8]) -> Option<&'static str> {
    match record {
        [0x28, 0xB5, 0x2F, 0xFD, ..] => Some("zstd"),
        [0x1F, 0x8B, ..] => Some("gzip"),
        _ => None,
    }
}

/// Unpacks a bundle. What comes before a fault is given too; a fault ends the list.
pub fn unpack(record: &Bytes, compression: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let corrupt = |what: String| BundleError::Corrupt(format!("{compression}: {what}"));
    let reader: Box<dyn Read + '_> = if compression == "zstd" {
        match zstd::stream::read::Decoder::with_buffer(&record[..]) {
            Ok(decoder) => Box::new(decoder),
            Err(e) => return vec![Err(corrupt(e.to_string()))],
        }
    } else {
        Box::new(flate2::read::MultiGzDecoder::new(&record[..]))
    };
    let mut reader = reader.take(MAX_TOTAL);
    let mut header = [0u8; 2];
    match reader.read_exact(&mut header) {
        Ok(()) if header == [1, 1] => {}
        Ok(()) => return vec![Err(corrupt(format!("unknown header {header:?}")))],
        Err(e) => return vec![Err(corrupt(e.to_string()))],
    }
    loop {
        if pieces.len() >= MAX_PIECES {
            pieces.push(Err(corrupt(format!("more than {MAX_PIECES} payloads"))));
            break;
        }
        match next(&mut reader) {
            Ok(None) if reader.limit() == 0 => {
                pieces.push(Err(corrupt(format!("unpacks to more than {MAX_TOTAL} bytes"))));
                break;
            }
            Ok(Some(Ok(payload))) => pieces.push(Ok(payload)),
            Ok(Some(Err(len))) => pieces.push(Err(BundleError::TooLong(len))),
            Ok(None) => break,
            Err(e) => {
                pieces.push(Err(corrupt(e.to_string())));
                break;
            }
        }
    }
    pieces
}

/// The next payload, or its length when it is too long (and has been skipped).
fn next(reader: &mut impl Read) -> io::Result<Option<Result<Bytes, usize>>> {
    let mut length = [0u8; 4];
    let mut got = 0;
    while got < 4 {
        match reader.read(&mut length[got..])? {
            0 if got == 0 => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => got += n,
        }
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_PAYLOAD {
        let skipped = io::copy(&mut reader.take(length as u64), &mut io::sink())?;
        return if skipped == length as u64 { Ok(Some(Err(length))) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
    }
    let mut payload = Vec::with_capacity(length);
    reader.take(length as u64).read_to_end(&mut payload)?;
    if payload.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(Ok(payload.into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn stream(payloads: &[&[u8]]) -> Vec<u8> {
        let mut out = vec![1, 1];
        for p in payloads {
            out.extend((p.len() as u32).to_be_bytes());
            out.extend(*p);
        }
        out
    }

    fn gzip(data: &[u8]) -> Bytes {
        let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        e.write_all(data).unwrap();
        e.finish().unwrap().into()
    }

    #[test]
    fn both_compressions_give_their_payloads_in_order() {
        let plain = stream(&[b"one", b"", b"three"]);
        for record in [gzip(&plain), zstd::stream::encode_all(&plain[..], 1).unwrap().into()] {
            let kind = compression(&record).unwrap();
            let pieces: Vec<Bytes> = unpack(&record, kind).into_iter().map(Result::unwrap).collect();
            assert_eq!(pieces, [&b"one"[..], b"", b"three"]);
        }
        assert_eq!(compression(b"\x0b\x00\x64"), None);
    }

    #[test]
    fn a_fault_is_told_after_what_came_before_it() {
        let mut cut = stream(&[b"one", b"two"]);
        cut.pop();
        let pieces = unpack(&gzip(&cut), "gzip");
        assert_eq!(pieces[0], Ok(Bytes::from_static(b"one")));
        assert!(matches!(&pieces[1], Err(BundleError::Corrupt(m)) if m.starts_with("gzip: ")));
        assert!(matches!(unpack(&gzip(b"\x02\x01"), "gzip")[0], Err(BundleError::Corrupt(_))));
        assert!(matches!(unpack(&Bytes::from_static(b"\x1f\x8bxx"), "gzip")[0], Err(BundleError::Corrupt(_))));
        assert!(matches!(unpack(&Bytes::from_static(b"\x28\xb5\x2f\xfdxx"), "zstd")[0], Err(BundleError::Corrupt(_))));
        let long = vec![0u8; MAX_PAYLOAD + 1];
        let pieces = unpack(&gzip(&stream(&[&long, b"after"])), "gzip");
        assert_eq!(pieces, [Err(BundleError::TooLong(MAX_PAYLOAD + 1)), Ok(Bytes::from_static(b"after"))]);
    }

    #[test]
    fn what_is_over_a_bound_is_told_and_not_cut_off_in_silence() {
        let empty = stream(&vec![&b""[..]; MAX_PIECES + 7]);
        let pieces = unpack(&gzip(&empty), "gzip");
        assert_eq!(pieces.len(), MAX_PIECES + 1);
        assert!(matches!(pieces.last(), Some(Err(BundleError::Corrupt(m))) if m.contains("payloads")));
        // Ends between two payloads exactly at the limit.
        let piece = vec![0u8; (1 << 20) - 4];
        let mut many = stream(&vec![&piece[..]; 127]);
        many.extend(((1u32 << 20) - 6).to_be_bytes());
        many.extend(vec![0u8; (1 << 20) - 6]);
        many.extend(stream(&[b"lost"]).split_off(2));
        let pieces = unpack(&gzip(&many), "gzip");
        assert!(matches!(pieces.last(), Some(Err(BundleError::Corrupt(m))) if m.contains("bytes")), "{}", pieces.len());
    }
}
