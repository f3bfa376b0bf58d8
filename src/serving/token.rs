//! Tokens of the private port, and the cookie that a browser gets for one.
//!
//! A token is compared through its digest, so that neither its length nor its first wrong character shows in the time that
//! the answer takes. The cookie is an expiry time and a keyed hash of it: nothing is kept in memory, a restart keeps
//! browsers signed in, and a token that is taken out of the configuration ends its sessions.

use crate::platform::clock::Millis;
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::fmt;

/// A secret text. It is never printed: neither by a log nor by a listing of the configuration.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    /// The secret itself.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Token {
    fn from(text: &str) -> Self {
        Token(text.to_owned())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str("***")
    }
}

/// What the tokens of a configuration open.
pub struct Keys(Vec<Key>);

struct Key {
    digest: [u8; 32],
    /// Signs cookies; cannot be turned back into the token.
    cookie: [u8; 32],
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

impl Keys {
    /// Keys for `tokens`.
    pub fn new<'a>(tokens: impl IntoIterator<Item = &'a Token>) -> Self {
        let key =
            |t: &Token| Key { digest: sha(&[t.0.as_bytes()]), cookie: sha(&[b"snowshed cookie\0", t.0.as_bytes()]) };
        Keys(tokens.into_iter().map(key).collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `text` is one of the tokens. Takes the same time whichever it is, and if it is none.
    pub fn opens(&self, text: &str) -> bool {
        self.position(text).is_some()
    }

    fn position(&self, text: &str) -> Option<usize> {
        let digest = sha(&[text.as_bytes()]);
        let mut found = None;
        for (i, key) in self.0.iter().enumerate() {
            if same(&key.digest, &digest) {
                found = Some(i);
            }
        }
        found
    }

    /// The cookie value for a token, good until `expires`; `None` when the token is wrong.
    pub fn cookie(&self, token: &str, expires: Millis) -> Option<String> {
        let key = self.0.get(self.position(token)?)?;
        Some(format!("{expires}.{}", sign(&key.cookie, expires)))
    }

    /// Whether a cookie value was given out for a token that still stands, and has not expired.
    pub fn opens_cookie(&self, value: &str, now: Millis) -> bool {
        let Some((expires, mac)) = value.split_once('.') else { return false };
        let Ok(expires) = expires.parse::<Millis>() else { return false };
        let mut good = false;
        for key in &self.0 {
            good |= same(sign(&key.cookie, expires).as_bytes(), mac.as_bytes());
        }
        good && now < expires
    }
}

fn sign(key: &[u8; 32], expires: Millis) -> String {
    let mac = hmac(key, expires.to_string().as_bytes());
    mac.iter().fold(String::with_capacity(64), |mut out, b| {
        out.push(char::from_digit(u32::from(b >> 4), 16).unwrap_or('0'));
        out.push(char::from_digit(u32::from(b & 15), 16).unwrap_or('0'));
        out
    })
}

fn sha(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// HMAC-SHA-256 (RFC 2104) for keys no longer than a block.
fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut pad = [0x36u8; 64];
    for (p, k) in pad.iter_mut().zip(key) {
        *p ^= k;
    }
    let inner = sha(&[&pad, message]);
    for p in &mut pad {
        *p ^= 0x36 ^ 0x5c;
    }
    sha(&[&pad, &inner])
}

/// Equality whose time depends on the lengths only.
fn same(a: &[u8], b: &[u8]) -> bool {
    let differing = a.iter().zip(b).fold(0u8, |acc, (x, y)| acc | (x ^ y));
    std::hint::black_box(differing) == 0 && a.len() == b.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_agrees_with_its_rfc() {
        // RFC 4231, test case 1 (its key of 20 bytes, filled with zeros to 32 as the definition does anyway).
        let mut key = [0u8; 32];
        key[..20].fill(0x0b);
        let mac: String = hmac(&key, b"Hi There").iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(mac, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    }

    #[test]
    fn a_cookie_opens_until_it_expires_or_its_token_goes() {
        let (a, b) = (Token::from("aaaaaaaaaaaaaaaa"), Token::from("bbbbbbbbbbbbbbbb"));
        let keys = Keys::new([&a, &b]);
        let cookie = keys.cookie(b.text(), 1000).unwrap();
        assert!(keys.opens_cookie(&cookie, 999));
        assert!(!keys.opens_cookie(&cookie, 1000));
        assert!(!keys.opens_cookie(&cookie.replace("1000.", "9000."), 999));
        assert!(!keys.opens_cookie("1000.", 999));
        assert!(!Keys::new([&a]).opens_cookie(&cookie, 999));
        assert_eq!(keys.cookie("wrong", 1000), None);
    }

    #[test]
    fn a_token_is_never_printed() {
        let token = Token::from("aaaaaaaaaaaaaaaa");
        assert!(!format!("{token:?}{:?}", Keys::new([&token])).contains("aaaa"));
        assert_eq!(serde_json::to_string(&token).unwrap(), "\"***\"");
    }
}
