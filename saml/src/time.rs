//! Instants of SAML: `xs:dateTime` in UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The difference that the clocks of the identity provider and of this service may have.
pub(crate) const SKEW: Duration = Duration::from_secs(60);

/// Parses `YYYY-MM-DDTHH:MM:SS[.fraction]Z`. Returns `None` for other time zones and for years
/// before 1970.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    let text = text.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    if !whole.is_ascii() || whole.len() != 19 {
        return None;
    }
    let separators = [(4, '-'), (7, '-'), (10, 'T'), (13, ':'), (16, ':')];
    if separators.iter().any(|(at, separator)| !whole[*at..].starts_with(*separator)) {
        return None;
    }
    let number = |from: usize, to: usize| digits(&whole[from..to]);
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let is_valid = year >= 1970
        && (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !is_valid {
        return None;
    }
    let days = days_before_year(year) + (1..month).map(|month| days_in_month(year, month)).sum::<u64>() + day - 1;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    let nanoseconds = fraction.map_or(Some(0), nanoseconds)?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?.checked_add(Duration::from_nanos(nanoseconds))
}

/// Formats an instant in whole seconds. Returns `None` for instants outside the years 1970 to 9999.
pub(crate) fn format(instant: SystemTime) -> Option<String> {
    let seconds = instant.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let (mut days, seconds) = (seconds / 86_400, seconds % 86_400);
    // The division finds the year or one after it.
    let mut year = 1970 + days / 365;
    while days_before_year(year) > days {
        year -= 1;
    }
    if year > 9999 {
        return None;
    }
    days -= days_before_year(year);
    let mut month = 1;
    while days >= days_in_month(year, month) {
        days -= days_in_month(year, month);
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    Some(format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1))
}

/// Returns whether `later` is more than the allowed clock skew after `earlier`.
pub(crate) fn is_well_after(later: SystemTime, earlier: SystemTime) -> bool {
    later.duration_since(earlier).is_ok_and(|difference| difference > SKEW)
}

fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) { None } else { text.parse().ok() }
}

/// Reads the digits after the point. More than nine are truncated.
fn nanoseconds(fraction: &str) -> Option<u64> {
    if fraction.is_empty() || fraction.len() > 64 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digit = |at: usize| fraction.as_bytes().get(at).map_or(0, |byte| u64::from(byte - b'0'));
    Some((0..9).fold(0, |value, at| value * 10 + digit(at)))
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Returns the days from 1970-01-01 to the first day of a year.
fn days_before_year(year: u64) -> u64 {
    let leap_days = |years: u64| years / 4 - years / 100 + years / 400;
    (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969)
}

const fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::{format, parse};

    #[test]
    fn instants_are_parsed_and_formatted() {
        let known = [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2026-11-26T12:00:00Z", 1_795_694_400),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ];
        for (text, seconds) in known {
            let instant = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(parse(text), Some(instant));
            assert_eq!(format(instant).as_deref(), Some(text));
        }
        // Every day of 130 years.
        for day in 0..47_482 {
            let instant = UNIX_EPOCH + Duration::from_secs(day * 86_400 + 3_661);
            assert_eq!(parse(&format(instant).unwrap()), Some(instant));
        }
        assert_eq!(format(UNIX_EPOCH + Duration::from_secs(253_402_300_800)), None);
        assert_eq!(format(UNIX_EPOCH - Duration::from_secs(1)), None);
    }

    #[test]
    fn fractions_count_and_longer_ones_are_truncated() {
        let second = parse("2026-11-26T12:00:00Z").unwrap();
        assert_eq!(parse("2026-11-26T12:00:00.5Z"), Some(second + Duration::from_millis(500)));
        assert_eq!(parse("2026-11-26T12:00:00.1234567891Z"), Some(second + Duration::from_nanos(123_456_789)));
    }

    #[test]
    fn other_forms_are_not_instants() {
        let invalid = [
            "",
            "Z",
            "2026-11-26T12:00:00",
            "2026-11-26T12:00:00+00:00",
            "2026-11-26 12:00:00Z",
            "2026-02-29T12:00:00Z",
            "2026-13-01T12:00:00Z",
            "2026-00-01T12:00:00Z",
            "2026-11-00T12:00:00Z",
            "2026-11-26T24:00:00Z",
            "2026-11-26T12:60:00Z",
            "2026-11-26T12:00:60Z",
            "2026-11-26T12:00:00.Z",
            "2026-11-26T12:00:00.1.2Z",
            "+026-11-26T12:00:00Z",
            "1969-12-31T23:59:59Z",
            "20266-11-26T12:00:00Z",
            "2026-11-26T12:00:0éZ",
            " 2026-11-26T12:00:00Z",
        ];
        for text in invalid {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
