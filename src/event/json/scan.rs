//! Finding the end of plain text inside a JSON string, eight bytes at a time.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Marks of the bytes of a word that do not stand for themselves inside a JSON string: quote, backslash and what is below
/// U+0020. The lowest mark is always true; a borrow can only set false ones above it.
#[inline]
fn special(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let slash = word ^ (ONES * b'\\' as u64);
    ((quote.wrapping_sub(ONES) & !quote)
        | (slash.wrapping_sub(ONES) & !slash)
        | (word.wrapping_sub(ONES * 0x20) & !word))
        & HIGH
}

#[inline]
fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < 0x20
}

#[inline]
fn word_at(bytes: &[u8], at: usize) -> Option<[u8; 8]> {
    bytes.get(at..at + 8)?.try_into().ok()
}

/// How many bytes at the start stand for themselves inside a JSON string.
#[inline]
pub(super) fn plain(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = word_at(bytes, at) {
        let marks = special(u64::from_le_bytes(word));
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|&b| is_special(b)).unwrap_or(rest.len())
}

/// A text that is put together from plain stretches and single characters. Stretches between escapes are short, so they are
/// copied by whole words, of which the part that does not belong is overwritten by what comes next.
pub(super) struct Gather {
    buffer: Vec<u8>,
    len: usize,
}

impl Gather {
    /// Starts with `head`; `room` is how long the text may become without growing.
    pub(super) fn new(head: &[u8], room: usize) -> Self {
        let mut buffer = vec![0; head.len().max(room) + 16];
        buffer[..head.len()].copy_from_slice(head); // made long enough
        Gather { buffer, len: head.len() }
    }

    /// Appends the plain bytes of `bytes` from `at` on; gives the place of the first that is not, or the end.
    #[inline]
    pub(super) fn plain(&mut self, bytes: &[u8], mut at: usize) -> usize {
        while let Some(word) = word_at(bytes, at) {
            let marks = special(u64::from_le_bytes(word));
            self.reserve(8);
            self.buffer[self.len..self.len + 8].copy_from_slice(&word); // just reserved
            let taken = if marks == 0 { 8 } else { (marks.trailing_zeros() / 8) as usize };
            self.len += taken;
            at += taken;
            if marks != 0 {
                return at;
            }
        }
        while let Some(&byte) = bytes.get(at).filter(|b| !is_special(**b)) {
            self.byte(byte);
            at += 1;
        }
        at
    }

    /// Appends one byte.
    #[inline]
    pub(super) fn byte(&mut self, byte: u8) {
        self.reserve(1);
        self.buffer[self.len] = byte; // just reserved
        self.len += 1;
    }

    /// Appends one character.
    pub(super) fn char(&mut self, c: char) {
        let mut utf8 = [0; 4];
        for byte in c.encode_utf8(&mut utf8).bytes() {
            self.byte(byte);
        }
    }

    #[inline]
    fn reserve(&mut self, more: usize) {
        if self.buffer.len() - self.len < more {
            self.buffer.resize(self.buffer.len() * 2 + more, 0);
        }
    }

    /// The text. It was gathered from UTF-8 cut at ASCII characters, so nothing is ever replaced.
    pub(super) fn finish(mut self) -> String {
        self.buffer.truncate(self.len);
        String::from_utf8(self.buffer).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_special_byte_is_found_wherever_it_stands() {
        for len in 0..36 {
            for at in 0..=len {
                for special in [b'"', b'\\', 0, 0x1f, b'\n'] {
                    for filler in [b'x', b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xff] {
                        let mut bytes = vec![filler; len];
                        if let Some(b) = bytes.get_mut(at) {
                            *b = special;
                        }
                        assert_eq!(plain(&bytes), at, "{bytes:?}");
                    }
                }
            }
        }
    }
}
