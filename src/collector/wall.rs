//! The wall clock as replies need it: the dates in their headers, made once a second and not once a reply.

use crate::platform::clock::Millis;
use crate::platform::units::Span;
use jiff::Timestamp;

/// A moment, and the header dates that go with it.
#[derive(Clone, Debug)]
pub struct Wall {
    /// Milliseconds since the epoch.
    pub now_ms: Millis,
    second: i64,
    cookie_age: Span,
    date: Box<[u8]>,
    expires: Box<[u8]>,
    expired: Box<[u8]>,
}

impl Wall {
    /// The moment `now_ms`, for cookies of the age `cookie_age`.
    pub fn new(now_ms: Millis, cookie_age: Span) -> Self {
        let mut wall = Wall {
            now_ms,
            second: i64::MIN,
            cookie_age,
            date: Box::default(),
            expires: Box::default(),
            expired: Box::default(),
        };
        wall.set(now_ms);
        wall
    }

    /// Moves to `now_ms`.
    #[inline]
    pub fn set(&mut self, now_ms: Millis) {
        self.now_ms = now_ms;
        let second = now_ms.div_euclid(1000);
        if second != self.second {
            self.second = second;
            let age = self.cookie_age.as_secs();
            self.date = http_date(second);
            self.expires = http_date(second.saturating_add(age));
            self.expired = http_date(second.saturating_sub(age.saturating_abs().max(1)));
        }
    }

    /// `Date`.
    pub fn date(&self) -> &[u8] {
        &self.date
    }

    /// `Expires` of a cookie that is set now.
    pub fn expires(&self) -> &[u8] {
        &self.expires
    }

    /// `Expires` of a cookie that is taken away now.
    pub fn expired(&self) -> &[u8] {
        &self.expired
    }
}

/// `Tue, 24 Nov 2026 10:00:00 GMT`. Beyond the years that the calendar has, the nearest that it has.
fn http_date(second: i64) -> Box<[u8]> {
    let at = Timestamp::from_second(second).unwrap_or(if second < 0 { Timestamp::MIN } else { Timestamp::MAX });
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string().into_bytes().into()
}

/// `2026-11-24T10:00:00.123Z`, as bad rows write times.
pub fn iso(now_ms: Millis) -> String {
    let at = Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let mut wall = Wall::new(784_111_777_999, Span::from_secs(60));
        assert_eq!(wall.date(), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(wall.expires(), b"Sun, 06 Nov 1994 08:50:37 GMT");
        assert_eq!(wall.expired(), b"Sun, 06 Nov 1994 08:48:37 GMT");
        wall.set(784_111_778_000);
        assert_eq!(wall.date(), b"Sun, 06 Nov 1994 08:49:38 GMT");
        assert_eq!(Wall::new(784_111_777_000, Span::from_secs(-1)).expires(), b"Sun, 06 Nov 1994 08:49:36 GMT");
        assert_eq!(iso(784_111_777_042), "1994-11-06T08:49:37.042Z");
        Wall::new(i64::MAX, Span::from_secs(i64::MAX / 1000));
        Wall::new(i64::MIN, Span::from_secs(1));
    }
}
