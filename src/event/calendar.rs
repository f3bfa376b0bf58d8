//! Times as text: milliseconds since the epoch to and from the two forms that events are written in.

/// `0000-01-01 00:00:00.000`, the earliest time that a column can hold.
pub const MIN_MS: i64 = -62_167_219_200_000;
/// `9999-12-31 23:59:59.999`, the latest.
pub const MAX_MS: i64 = 253_402_300_799_999;

/// How a time is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeForm {
    /// `2024-03-09 10:20:31.456`, as in the TSV.
    Tsv,
    /// `2024-03-09T10:20:31.456Z`, as in JSON.
    Iso,
}

const DAY: i64 = 86_400_000;

/// Appends `ms` in a form; times outside the calendar are cut to its ends.
pub fn write_time(ms: i64, form: TimeForm, out: &mut String) {
    let ms = ms.clamp(MIN_MS, MAX_MS);
    let (year, month, day) = civil(ms.div_euclid(DAY));
    let in_day = ms.rem_euclid(DAY);
    let mut text = *b"0000-00-00 00:00:00.000Z";
    put(&mut text[0..4], year);
    put(&mut text[5..7], month);
    put(&mut text[8..10], day);
    put(&mut text[11..13], in_day / 3_600_000);
    put(&mut text[14..16], in_day / 60_000 % 60);
    put(&mut text[17..19], in_day / 1000 % 60);
    put(&mut text[20..23], in_day % 1000);
    let end = match form {
        TimeForm::Tsv => 23,
        TimeForm::Iso => {
            text[10] = b'T';
            24
        }
    };
    out.extend(text[..end].iter().map(|&b| char::from(b)));
}

/// As [`write_time`], as a text of its own.
pub fn time_text(ms: i64, form: TimeForm) -> String {
    let mut out = String::with_capacity(24);
    write_time(ms, form, &mut out);
    out
}

/// Reads `2024-03-09 10:20:31.456`; fewer or no decimals are read as well.
pub fn read_tsv_time(text: &str) -> Option<i64> {
    let b = text.as_bytes();
    let shape = b.len() >= 19 && b[4] == b'-' && b[7] == b'-' && b[10] == b' ' && b[13] == b':' && b[16] == b':';
    if !shape || (b.len() > 19 && (b[19] != b'.' || b.len() > 23 || b.len() == 20)) {
        return None;
    }
    let n = |from: usize, to: usize| number(b.get(from..to)?);
    let (year, month, day) = (n(0, 4)?, n(5, 7)?, n(8, 10)?);
    let (hour, minute, second) = (n(11, 13)?, n(14, 16)?, n(17, 19)?);
    let millis = if b.len() > 19 { n(20, b.len())? * 10i64.pow(23 - b.len() as u32) } else { 0 };
    if !(1..=12).contains(&month) || day < 1 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days(year, month, day);
    if civil(days) != (year, month, day) {
        return None;
    }
    Some(days * DAY + hour * 3_600_000 + minute * 60_000 + second * 1000 + millis)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0i64, |v, b| b.is_ascii_digit().then(|| v * 10 + i64::from(b - b'0')))
}

fn put(slot: &mut [u8], mut value: i64) {
    for b in slot.iter_mut().rev() {
        *b = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Year, month and day of a day number (0 = 1970-01-01), in the proleptic Gregorian calendar. The year is counted from
/// March, so that the leap day comes last; 400 years have 146 097 days.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_three_decimals_and_read_back() {
        for (ms, text) in [
            (0, "1970-01-01 00:00:00.000"),
            (1_709_979_631_456, "2024-03-09 10:20:31.456"),
            (-1, "1969-12-31 23:59:59.999"),
            (MIN_MS, "0000-01-01 00:00:00.000"),
            (MAX_MS, "9999-12-31 23:59:59.999"),
            (951_782_400_000, "2000-02-29 00:00:00.000"),
        ] {
            assert_eq!(time_text(ms, TimeForm::Tsv), text);
            assert_eq!(read_tsv_time(text), Some(ms));
        }
        assert_eq!(time_text(1_709_979_631_456, TimeForm::Iso), "2024-03-09T10:20:31.456Z");
    }

    #[test]
    fn every_day_of_four_centuries_reads_back() {
        for day in (-200_000..200_000).step_by(7) {
            let ms = day * DAY;
            assert_eq!(read_tsv_time(&time_text(ms, TimeForm::Tsv)), Some(ms));
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in [
            "",
            "2024-03-09",
            "2024-02-30 00:00:00.000",
            "2024-03-09 24:00:00",
            "2024-03-09 10:20:31.",
            "2024-03-09 10:20:31.4567",
            "2024-03-09T10:20:31.456",
            "x024-03-09 10:20:31.456",
        ] {
            assert_eq!(read_tsv_time(bad), None, "{bad}");
        }
        assert_eq!(read_tsv_time("2024-03-09 10:20:31.4"), Some(1_709_979_631_400));
    }
}
