//! The RFC 3339 writer for timestamps. Every auth check response contains a timestamp, and the
//! general formatter of `chrono` costs many times as much.

use super::Timestamp;

/// Formats a timestamp such as `2019-01-16T00:05:01.743Z`. Returns `None` outside the years 1970 to
/// 9999.
pub(super) fn format_rfc3339(timestamp: Timestamp) -> Option<[u8; 24]> {
    let millis = u64::try_from(timestamp.as_millis()).ok().filter(|_| timestamp <= Timestamp::MAX)?;
    let days = millis / 86_400_000;
    let millis_of_day = millis % 86_400_000;
    let (year, month, day) = civil_from_days(days);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let fields = [
        (0, 4, year),
        (5, 2, month),
        (8, 2, day),
        (11, 2, millis_of_day / 3_600_000),
        (14, 2, millis_of_day / 60_000 % 60),
        (17, 2, millis_of_day / 1_000 % 60),
        (20, 3, millis_of_day % 1_000),
    ];
    for (offset, width, mut value) in fields {
        for digit in text[offset..offset + width].iter_mut().rev() {
            *digit += (value % 10) as u8;
            value /= 10;
        }
    }
    Some(text)
}

/// Returns the year, month and day of a number of days since 1970-01-01 in the Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last day of its year and every five
/// months have 153 days.
const fn civil_from_days(days: u64) -> (u64, u64, u64) {
    // There are 719,468 days from 0000-03-01 to 1970-01-01, and 146,097 days in an era of 400
    // years.
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let (month, carry) = if month_from_march < 10 { (month_from_march + 3, 0) } else { (month_from_march - 9, 1) };
    (400 * era + year_of_era + carry, month, day)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, SecondsFormat, Utc};

    use super::*;

    #[test]
    fn a_timestamp_is_formatted_with_three_decimals_and_z() {
        assert_eq!(Timestamp::from_millis(1_547_597_101_743).to_string(), "2019-01-16T00:05:01.743Z");
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn the_output_equals_that_of_the_general_formatter() {
        let edges = [0, 951_782_399_999, 951_782_400_000, 951_868_800_000, 253_402_300_799_999, 253_402_300_800_000];
        for millis in (-70_000_000_000_000..300_000_000_000_000).step_by(9_999_999_967).chain(edges) {
            let timestamp = Timestamp::from_millis(millis);
            let expected = DateTime::<Utc>::from(timestamp).to_rfc3339_opts(SecondsFormat::Millis, true);
            assert_eq!(timestamp.to_string(), expected);
        }
    }
}
