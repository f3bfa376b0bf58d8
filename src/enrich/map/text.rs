//! What is taken out of texts before they become columns.

use std::borrow::Cow;

/// Appends a parameter's text: a tab becomes four blanks, the other ASCII control characters go. Nothing else changes:
/// nothing is trimmed, and U+0080 to U+009F stay.
pub fn sanitise_into(text: &str, out: &mut String) {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(step) = find_control(&bytes[from..]) {
        let at = from + step;
        out.push_str(&text[from..at]);
        if bytes[at] == b'\t' {
            out.push_str("    ");
        }
        from = at + 1;
    }
    out.push_str(&text[from..]);
}

/// As [`sanitise_into`]; borrowed when nothing changes.
pub fn sanitise(text: &str) -> Cow<'_, str> {
    if find_control(text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    sanitise_into(text, &mut out);
    Cow::Owned(out)
}

/// Appends the text of the User-Agent header: line breaks go, a tab becomes four blanks, other control characters stay.
pub(super) fn header_into(text: &str, out: &mut String) {
    if find_control(text.as_bytes()).is_none() {
        out.push_str(text);
        return;
    }
    for piece in text.split_inclusive(['\t', '\r', '\n']) {
        out.push_str(piece.trim_end_matches(['\t', '\r', '\n']));
        if piece.ends_with('\t') {
            out.push_str("    ");
        }
    }
}

/// Position of the first ASCII control character. Eight bytes at a time: almost every text has none.
fn find_control(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let control = |b: &u8| b.is_ascii_control();
    let mut chunks = bytes.chunks_exact(8);
    let mut at = 0;
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
        let below_blank = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let delete = word ^ (ONES * 0x7f);
        let delete = delete.wrapping_sub(ONES) & !delete & HIGH;
        if below_blank | delete != 0 {
            // A borrow can mark a byte above a real hit, never one without: look again.
            if let Some(i) = chunk.iter().position(control) {
                return Some(at + i);
            }
        }
        at += 8;
    }
    chunks.remainder().iter().position(control).map(|i| at + i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ascii_control_characters_go_and_a_tab_is_four_blanks() {
        assert_eq!(sanitise("a\tb\u{0}c\u{7f}d\r\n"), "a    bcd");
        assert_eq!(sanitise(" ünï\u{85} x "), " ünï\u{85} x ");
        assert_eq!(sanitise("\u{1}\u{2}"), "");
        for len in 0..40 {
            for at in 0..len {
                for c in ['\u{0}', '\u{1f}', '\u{7f}', ' ', '~', '\u{80}'] {
                    let text: String = (0..len).map(|i| if i == at { c } else { 'x' }).collect();
                    let wanted: String = text.chars().filter(|c| !c.is_ascii_control()).collect();
                    assert_eq!(sanitise(&text), wanted);
                }
            }
        }
    }

    #[test]
    fn the_user_agent_header_keeps_other_control_characters() {
        let mut out = String::new();
        header_into("a\tb\r\nc\u{1}\t\t", &mut out);
        assert_eq!(out, "a    bc\u{1}        ");
    }
}
