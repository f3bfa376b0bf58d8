//! Query strings and times as people write them: strict, so that a misspelt parameter is an error and not another question.

use super::error::{ApiError, ApiResult};
use crate::platform::clock::Millis;
use crate::platform::units::Span;
use jiff::civil;
use jiff::tz::TimeZone;

/// Most parameters of one request.
const MAX_PARAMS: usize = 200;

/// The decoded parameters of one request, each name known.
#[derive(Debug, Default)]
pub struct Params(Vec<(String, String)>);

/// A condition on a field: `f.app_id=shop` or, to exclude, `f.app_id=!shop`. A backslash in front makes `!` an ordinary
/// character: `f.app_id=\!shop`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Condition {
    /// A dimension or column.
    pub field: String,
    /// Whether rows with the value are left out.
    pub exclude: bool,
    /// The value; empty text stands for an absent one too.
    pub value: String,
}

impl Params {
    /// Reads a query string whose parameters may be `known` ones or, where that holds `f.`, conditions.
    ///
    /// # Errors
    /// 400 naming the unknown parameter and the known ones.
    pub fn parse(query: Option<&str>, known: &[&str]) -> ApiResult<Self> {
        let mut pairs = Vec::new();
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or("").as_bytes()) {
            let fits =
                known.iter().any(|k| if *k == "f." { name.len() > 2 && name.starts_with("f.") } else { *k == name });
            if !fits {
                let shown: String = name.chars().take(60).collect();
                let all: Vec<&str> = known.iter().map(|k| if *k == "f." { "f.<field>" } else { k }).collect();
                let hint =
                    if all.is_empty() { "this takes none".to_owned() } else { format!("known: {}", all.join(", ")) };
                return Err(ApiError::bad(format!("unknown parameter \"{shown}\"")).hint(hint));
            }
            if pairs.len() == MAX_PARAMS {
                return Err(ApiError::bad(format!("more than {MAX_PARAMS} parameters")));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Params(pairs))
    }

    /// The value of a parameter that may stand once.
    ///
    /// # Errors
    /// 400 when it stands twice.
    pub fn get(&self, name: &str) -> ApiResult<Option<&str>> {
        let mut values = self.all(name);
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(ApiError::bad(format!("parameter \"{name}\" is given twice"))),
        }
    }

    /// All values of a parameter that may be repeated.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// A switch: `1`, `true` or nothing at all mean yes.
    ///
    /// # Errors
    /// 400 for another word.
    pub fn flag(&self, name: &str) -> ApiResult<bool> {
        match self.get(name)? {
            None | Some("0" | "false") => Ok(false),
            Some("" | "1" | "true") => Ok(true),
            Some(other) => Err(ApiError::bad(format!("\"{name}={other}\" is no switch")).hint("write 1 or 0")),
        }
    }

    /// A number within bounds.
    ///
    /// # Errors
    /// 400 with the bounds.
    pub fn number(&self, name: &str, least: u64, most: u64) -> ApiResult<Option<u64>> {
        let Some(text) = self.get(name)? else { return Ok(None) };
        match text.parse() {
            Ok(n) if (least..=most).contains(&n) => Ok(Some(n)),
            _ => Err(ApiError::bad(format!("\"{name}={text}\" is no number from {least} to {most}"))),
        }
    }

    /// A list separated by commas; `None` when the parameter is absent, empty when it has no value.
    ///
    /// # Errors
    /// 400 when it stands twice.
    pub fn list(&self, name: &str) -> ApiResult<Option<Vec<&str>>> {
        let split = |text: &'_ str| -> bool { !text.trim().is_empty() };
        Ok(self.get(name)?.map(|text| text.split(',').map(str::trim).filter(|s| split(s)).collect()))
    }

    /// The conditions: every `f.<field>=value`, and `where=<field>=value`, which is another way to write it.
    ///
    /// # Errors
    /// 400 for a `where` without a field.
    pub fn conditions(&self) -> ApiResult<Vec<Condition>> {
        let mut all = Vec::new();
        for (name, value) in &self.0 {
            if let Some(field) = name.strip_prefix("f.") {
                all.push(Condition::read(field, value));
            } else if name == "where" {
                let (field, value) = value.split_once('=').filter(|(f, _)| !f.is_empty()).ok_or_else(|| {
                    ApiError::bad(format!("\"where={value}\" has no field"))
                        .hint("write where=app_id%3Dshop, or f.app_id=shop; `!` in front of the value excludes it")
                })?;
                all.push(Condition::read(field, value));
            }
        }
        Ok(all)
    }
}

impl Condition {
    fn read(field: &str, value: &str) -> Self {
        let (exclude, value) = match value.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, value),
        };
        let value = match value.strip_prefix("\\!") {
            Some(rest) => format!("!{rest}"),
            None => value.to_owned(),
        };
        Condition { field: field.to_owned(), exclude, value }
    }
}

/// Reads the time zone of an answer; UTC when none is given.
///
/// # Errors
/// 400 for a name that no zone has.
pub fn zone(name: Option<&str>) -> ApiResult<TimeZone> {
    match name {
        None | Some("" | "UTC" | "Z") => Ok(TimeZone::UTC),
        Some(name) => TimeZone::get(name).map_err(|_| {
            ApiError::bad(format!("\"tz={name}\" is no time zone")).hint("write an IANA name such as Europe/Paris")
        }),
    }
}

/// Reads a point in time: RFC 3339, a date or a date and time in `zone`, milliseconds since the epoch, `now`, `today`, or a
/// span back from now such as `-15m`.
///
/// # Errors
/// 400 with what is allowed.
pub fn time(name: &str, text: &str, now: Millis, zone: &TimeZone) -> ApiResult<Millis> {
    let bad = || {
        ApiError::bad(format!("\"{name}={text}\" is no time"))
            .hint("write RFC 3339 (2026-11-24T10:00:00Z), a date, epoch milliseconds, now, today, or a span back such as -15m")
    };
    let local =
        |dt: civil::DateTime| dt.to_zoned(zone.clone()).map(|z| z.timestamp().as_millisecond()).map_err(|_| bad());
    let t = text.trim();
    if t == "now" {
        return Ok(now);
    }
    if t == "today" {
        let at = jiff::Timestamp::from_millisecond(now).map_err(|_| bad())?.to_zoned(zone.clone());
        return local(at.date().at(0, 0, 0, 0));
    }
    if t.starts_with('-') && t.ends_with(|c: char| c.is_ascii_alphabetic()) {
        let back = Span::parse(t).map_err(|_| bad())?;
        return now.checked_add(back.as_millis()).ok_or_else(bad);
    }
    if t.len() >= 9 && t.bytes().all(|b| b.is_ascii_digit()) {
        let ms = t.parse().map_err(|_| bad())?;
        return jiff::Timestamp::from_millisecond(ms).map(|_| ms).map_err(|_| bad());
    }
    // A plus sign that a client forgot to encode arrives as a space.
    let t = t.replace(' ', "+");
    if let Ok(at) = t.parse::<jiff::Timestamp>() {
        return Ok(at.as_millisecond());
    }
    let t = text.trim();
    if let Ok(date) = t.parse::<civil::Date>().or_else(|_| civil::Date::strptime("%Y-%m-%d", t))
        && t.len() == 10
    {
        return local(date.at(0, 0, 0, 0));
    }
    local(t.parse::<civil::DateTime>().map_err(|_| bad())?)
}

/// RFC 3339, UTC, with milliseconds.
pub fn rfc3339(ms: Millis) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(at) => format!("{at:.3}"),
        Err(_) => rfc3339(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_parameter_is_named() {
        let e = Params::parse(Some("frm=1"), &["from", "f."]).unwrap_err();
        assert!(e.body().contains("frm") && e.body().contains("f.<field>"));
        assert!(Params::parse(Some("f.=1"), &["from", "f."]).is_err());
        let p = Params::parse(Some("from=1&from=2"), &["from"]).unwrap();
        assert!(p.get("from").is_err());
    }

    #[test]
    fn conditions_include_and_exclude() {
        let p =
            Params::parse(Some("f.app_id=!shop&where=event_name%3Dpage%2Bview&f.x=%5C!a"), &["where", "f."]).unwrap();
        let all: Vec<_> = p.conditions().unwrap().into_iter().map(|c| (c.field, c.exclude, c.value)).collect();
        let want = [("app_id", true, "shop"), ("event_name", false, "page+view"), ("x", false, "!a")];
        assert_eq!(all, want.map(|(f, e, v)| (f.to_owned(), e, v.to_owned())));
        assert!(Params::parse(Some("where=shop"), &["where"]).unwrap().conditions().is_err());
    }

    #[test]
    fn times_are_read_in_their_zone() {
        let paris = zone(Some("Europe/Paris")).unwrap();
        let now = 1_795_514_400_000; // 2026-11-24T10:00:00Z
        let read = |t: &str| time("from", t, now, &paris).map(rfc3339).ok();
        for (text, want) in [
            ("now", "2026-11-24T10:00:00.000Z"),
            ("-15m", "2026-11-24T09:45:00.000Z"),
            ("today", "2026-11-23T23:00:00.000Z"),
            ("2026-11-24", "2026-11-23T23:00:00.000Z"),
            ("2026-11-24T08:00:00", "2026-11-24T07:00:00.000Z"),
            ("2026-11-24T08:00:00.5Z", "2026-11-24T08:00:00.500Z"),
            ("2026-11-24T08:00:00 02:00", "2026-11-24T06:00:00.000Z"),
            ("1795514400001", "2026-11-24T10:00:00.001Z"),
        ] {
            assert_eq!(read(text).as_deref(), Some(want), "{text}");
        }
        for text in ["", "yesterday", "2026-13-01", "-x", "99999999999999999999", "12"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert!(zone(Some("Mars/Olympus")).is_err());
    }
}
