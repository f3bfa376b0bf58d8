//! Durations and sizes as people write them in a configuration: `"10s"`, `"365d"`, `"1 MiB"`.

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::time::Duration;

/// A signed duration with millisecond resolution. Written as a number and a unit (`ms`, `s`, `m`, `h`, `d`, or the long
/// names); negative values are for the few keys whose documentation allows them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Span(i64);

impl Span {
    /// A span of `ms` milliseconds.
    pub const fn from_millis(ms: i64) -> Self {
        Span(ms)
    }
    /// A span of `s` seconds.
    pub const fn from_secs(s: i64) -> Self {
        Span(s * 1000)
    }
    /// Milliseconds, signed.
    pub const fn as_millis(self) -> i64 {
        self.0
    }
    /// Whole seconds, rounded towards zero, signed.
    pub const fn as_secs(self) -> i64 {
        self.0 / 1000
    }
    /// As a standard duration; a negative span is zero.
    pub fn to_duration(self) -> Duration {
        Duration::from_millis(self.0.max(0) as u64)
    }

    /// Reads `"10s"`, `"1.5 h"`, `"250ms"`, `"60 minutes"`, `"-1 second"`.
    ///
    /// # Errors
    /// Says what was read and what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad =
            || format!("\"{text}\" is no duration: write a number and a unit out of ms, s, m, h, d, as in \"10s\"");
        let t = text.trim();
        let split = t.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(bad)?;
        let number: f64 = t[..split].trim().parse().map_err(|_| bad())?;
        let unit = match t[split..].trim() {
            "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1.0,
            "s" | "sec" | "second" | "seconds" => 1e3,
            "m" | "min" | "minute" | "minutes" => 6e4,
            "h" | "hour" | "hours" => 3.6e6,
            "d" | "day" | "days" => 8.64e7,
            _ => return Err(bad()),
        };
        let ms = number * unit;
        if !ms.is_finite() || ms.abs() > 9e15 {
            return Err(format!("\"{text}\" is too long a duration"));
        }
        Ok(Span(ms.round() as i64))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0;
        for (unit, name) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")] {
            if ms != 0 && ms % unit == 0 {
                return write!(f, "{}{name}", ms / unit);
            }
        }
        write!(f, "{ms}ms")
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Span::parse(&text).map_err(de::Error::custom)
    }
}

/// A number of bytes. Written as a plain number or with a unit: `"64 KiB"`, `"1 MiB"`, `"2 GB"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// `n` kibibytes.
    pub const fn kib(n: u64) -> Self {
        ByteSize(n << 10)
    }
    /// `n` mebibytes.
    pub const fn mib(n: u64) -> Self {
        ByteSize(n << 20)
    }
    /// The number of bytes, for use as a length in memory.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Reads `"1048576"`, `"64KiB"`, `"1 MiB"`, `"2 GB"` (decimal units count in thousands).
    ///
    /// # Errors
    /// Says what was read and what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("\"{text}\" is no size: write bytes as a number, or a number and a unit as in \"1 MiB\"");
        let t = text.trim();
        let split = t.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(t.len());
        let number: f64 = t[..split].trim().parse().map_err(|_| bad())?;
        let unit: f64 = match t[split..].trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "k" | "kib" => 1024.0,
            "kb" => 1e3,
            "m" | "mib" => 1_048_576.0,
            "mb" => 1e6,
            "g" | "gib" => 1_073_741_824.0,
            "gb" => 1e9,
            "t" | "tib" => 1_099_511_627_776.0,
            "tb" => 1e12,
            _ => return Err(bad()),
        };
        let bytes = number * unit;
        if !(0.0..=9e15).contains(&bytes) {
            return Err(bad());
        }
        Ok(ByteSize(bytes.round() as u64))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, name) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
            if self.0 != 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{} {name}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = ByteSize;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, or text such as \"1 MiB\"")
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(v))
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<ByteSize, E> {
                u64::try_from(v).map(ByteSize).map_err(|_| E::custom("a size cannot be negative"))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<ByteSize, E> {
                ByteSize::parse(v).map_err(E::custom)
            }
        }
        d.deserialize_any(V)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back_as_they_print() {
        for text in ["10s", "250ms", "365d", "1h", "-1s", "0ms"] {
            assert_eq!(Span::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Span::parse("60 minutes").unwrap(), Span::from_secs(3600));
        assert!(Span::parse("10").is_err());
        assert!(Span::parse("ten s").is_err());
    }

    #[test]
    fn sizes_read_back_as_they_print() {
        for text in ["1 MiB", "20 KiB", "1000", "3 GiB"] {
            assert_eq!(ByteSize::parse(text).unwrap().to_string(), text);
        }
        assert!(ByteSize::parse("-1").is_err());
        assert!(ByteSize::parse("1 parsec").is_err());
    }
}
