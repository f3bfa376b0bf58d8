//! Base64 as trackers send it: both alphabets, padding or none, and whatever else is in between is skipped.

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::sync::LazyLock;

static FAST: LazyLock<GeneralPurpose> = LazyLock::new(|| {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&base64::alphabet::URL_SAFE, config)
});

/// Decodes; never fails. Bytes that are no UTF-8 become U+FFFD.
pub fn decode(text: &str) -> String {
    let bytes = FAST.decode(text).unwrap_or_else(|_| tolerant(text.as_bytes()));
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

fn tolerant(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0u32, 0);
    for &b in text {
        let value = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => break,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

/// Encodes in the URL-safe alphabet without padding, as the JavaScript tracker does.
pub fn encode(text: &str) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_takes_both_alphabets_padding_or_none_and_skips_the_rest() {
        for text in [
            "eyJhIjoiw7w_In0",
            "eyJhIjoiw7w_In0=",
            "eyJhIjoiw7w/In0=",
            "eyJh\nIjoi w7w/In0==",
            "eyJhIjoiw7w_In0=ignored",
        ] {
            assert_eq!(decode(text), "{\"a\":\"ü?\"}", "{text}");
        }
        assert_eq!(decode(""), "");
        assert_eq!(decode("/w=="), "\u{FFFD}");
        assert_eq!(decode("e"), "");
        assert_eq!(decode(&encode("{\"a\":\"ü?\"}")), "{\"a\":\"ü?\"}");
    }
}
