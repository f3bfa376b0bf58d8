//! Buckets of time, in UTC or in a time zone.
//!
//! A zone is taken as the list of its offsets within the asked range, so that the fold here and the SQL of
//! [`super::sql`] cut days at exactly the same instants. Grains of an hour and more are cut on the zone's wall clock; an
//! hour that a clock goes through twice stays two hours at grain `1h` and is one stretch of a longer bucket.

use super::compiled::DAY_MS;
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

const HOUR_MS: i64 = 3_600_000;
const MAX_TRANSITIONS: usize = 2_000;

/// From when on the zone has which offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First instant, milliseconds UTC; the first segment starts at the beginning of time.
    pub from: i64,
    /// Local time minus UTC, milliseconds.
    pub offset: i64,
}

/// A time zone within a range of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    segments: Vec<Segment>,
}

impl Zone {
    /// Universal time.
    pub fn utc() -> Zone {
        Zone { segments: vec![Segment { from: i64::MIN, offset: 0 }] }
    }

    /// The zone called `name` (IANA, `UTC`, or an offset such as `+05:30`), for instants of `[from, to)` and a day around.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub fn load(name: &str, from: i64, to: i64) -> Result<Zone, String> {
        if matches!(name, "" | "UTC" | "utc" | "Z" | "Etc/UTC") {
            return Ok(Zone::utc());
        }
        let zone = match fixed_offset(name) {
            Some(fixed) => TimeZone::fixed(fixed),
            None => TimeZone::get(name).map_err(|_| format!("\"{name}\" is no time zone"))?,
        };
        let start = instant(from.saturating_sub(2 * DAY_MS));
        let end = instant(to.saturating_add(2 * DAY_MS));
        let offset = |o: Offset| i64::from(o.seconds()) * 1000;
        let mut segments = vec![Segment { from: i64::MIN, offset: offset(zone.to_offset(start)) }];
        for change in zone.following(start).take(MAX_TRANSITIONS) {
            if change.timestamp() > end {
                break;
            }
            let next = Segment { from: change.timestamp().as_millisecond(), offset: offset(change.offset()) };
            if segments.last().is_none_or(|last| last.offset != next.offset) {
                segments.push(next);
            }
        }
        Ok(Zone { segments })
    }

    /// The offsets in order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    fn offset_at(&self, utc: i64) -> i64 {
        let at = self.segments.partition_point(|s| s.from <= utc).max(1);
        self.segments.get(at - 1).map_or(0, |s| s.offset)
    }

    /// The instant of a local time: the earlier one of two, and after a gap the one that a clock without the gap would show.
    fn utc_of(&self, local: i64) -> i64 {
        let mut offset = self.segments.first().map_or(0, |s| s.offset);
        for pair in self.segments.windows(2) {
            if local < local_end(pair[0], pair[1]) {
                break;
            }
            offset = pair[1].offset;
        }
        local.saturating_sub(offset)
    }
}

/// First local time that the second segment alone is asked for.
pub(super) fn local_end(a: Segment, b: Segment) -> i64 {
    b.from.saturating_add(a.offset.max(b.offset))
}

fn instant(ms: i64) -> Timestamp {
    let edge = if ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(ms).unwrap_or(edge)
}

fn fixed_offset(name: &str) -> Option<Offset> {
    let (sign, rest) = match name.split_at_checked(1)? {
        ("+" | " ", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "0"));
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    ((0..=14).contains(&hours) && (0..60).contains(&minutes))
        .then(|| Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok())
        .flatten()
}

/// Puts instants in buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucketer {
    /// Width in milliseconds; `None` is one bucket for the whole range.
    pub grain: Option<i64>,
    /// Where the whole range starts.
    pub start: i64,
    /// The zone; UTC for grains below an hour.
    pub zone: Zone,
}

impl Bucketer {
    /// Start of the bucket that holds the instant.
    #[inline]
    pub fn bucket(&self, utc: i64) -> i64 {
        let Some(grain) = self.grain else { return self.start };
        if self.zone.segments.len() == 1 && self.zone.segments[0].offset == 0 {
            return utc.div_euclid(grain) * grain;
        }
        let offset = self.zone.offset_at(utc);
        let local = utc.saturating_add(offset).div_euclid(grain) * grain;
        if grain <= HOUR_MS { local - offset } else { self.zone.utc_of(local) }
    }

    /// Whether the grain is cut on a wall clock that differs from UTC.
    pub fn is_local(&self) -> bool {
        self.grain.is_some() && self.zone != Zone::utc()
    }

    /// Whether a bucket of this grain is one stretch of constant offset.
    pub(super) fn is_short(&self) -> bool {
        self.grain.is_some_and(|g| g <= HOUR_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn day(zone: &str, at: &str) -> String {
        let at = ms(at);
        let zone = Zone::load(zone, at, at).unwrap();
        let b = Bucketer { grain: Some(DAY_MS), start: 0, zone };
        Timestamp::from_millisecond(b.bucket(at)).unwrap().to_string()
    }

    #[test]
    fn days_start_at_local_midnight() {
        assert_eq!(day("UTC", "2026-03-29T05:00:00Z"), "2026-03-29T00:00:00Z");
        assert_eq!(day("Europe/Paris", "2026-03-28T23:30:00Z"), "2026-03-28T23:00:00Z");
        assert_eq!(day("Europe/Paris", "2026-03-29T21:59:59Z"), "2026-03-28T23:00:00Z");
        assert_eq!(day("Europe/Paris", "2026-03-29T22:00:00Z"), "2026-03-29T22:00:00Z");
        assert_eq!(day("Europe/Paris", "2026-10-25T22:59:59Z"), "2026-10-24T22:00:00Z");
        assert_eq!(day("Asia/Kolkata", "2026-10-25T18:30:00Z"), "2026-10-25T18:30:00Z");
        assert_eq!(day("+05:30", "2026-10-25T18:29:59Z"), "2026-10-24T18:30:00Z");
        assert_eq!(day("-03", "2026-10-25T02:00:00Z"), "2026-10-24T03:00:00Z");
    }

    #[test]
    fn a_repeated_hour_stays_two_and_every_instant_has_its_bucket() {
        let (from, to) = (ms("2026-10-24T00:00:00Z"), ms("2026-10-27T00:00:00Z"));
        let zone = Zone::load("Europe/Paris", from, to).unwrap();
        for hours in [1, 2, 3, 6, 12, 24] {
            let b = Bucketer { grain: Some(hours * HOUR_MS), start: from, zone: zone.clone() };
            let mut last = i64::MIN;
            for t in (from..to).step_by(600_000) {
                let start = b.bucket(t);
                assert!(start <= t && t - start < (hours + 1) * HOUR_MS, "{hours}h at {t}: {start}");
                assert!(start >= last && b.bucket(start) == start, "{hours}h at {t}: {start} after {last}");
                last = start;
            }
        }
        let b = Bucketer { grain: Some(HOUR_MS), start: from, zone };
        assert_ne!(b.bucket(ms("2026-10-25T00:30:00Z")), b.bucket(ms("2026-10-25T01:30:00Z")));
    }

    #[test]
    fn unknown_zones_are_named() {
        assert!(Zone::load("Mars/Olympus", 0, 1).unwrap_err().contains("Mars/Olympus"));
        assert!(Zone::load("+99:00", 0, 1).is_err());
    }
}
