//! The days before the expiry of a token at which events announce it.

use std::fmt;

/// The greatest number of days.
pub const MAX_WARNING_DAYS: i64 = 3_650;
/// The maximum number of warnings of a token.
pub const MAX_WARNINGS: usize = 8;
/// The text of an empty list.
const NONE: &str = "none";

/// Numbers of days before the expiry, in descending order without repetition; at most
/// [`MAX_WARNINGS`], each from 1 to [`MAX_WARNING_DAYS`]. Empty: no warnings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiryWarningDays {
    days: [u16; MAX_WARNINGS],
    count: usize,
}

impl ExpiryWarningDays {
    /// 30, 7 and 1 days.
    pub const DEFAULT: Self = Self { days: [30, 7, 1, 0, 0, 0, 0, 0], count: 3 };

    /// Creates a list. Returns `None` if it is too long or a number is out of range.
    #[must_use]
    pub fn new(days: &[i64]) -> Option<Self> {
        if days.len() > MAX_WARNINGS {
            return None;
        }
        let in_range = |days: &i64| (1..=MAX_WARNING_DAYS).contains(days);
        let mut sorted: Vec<u16> =
            days.iter().filter(|days| in_range(days)).filter_map(|days| (*days).try_into().ok()).collect();
        if sorted.len() != days.len() {
            return None;
        }
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        sorted.dedup();
        let mut list = Self { days: [0; MAX_WARNINGS], count: sorted.len() };
        list.days.iter_mut().zip(sorted).for_each(|(place, days)| *place = days);
        Some(list)
    }

    /// Parses numbers separated by commas, or `none`. Returns `None` if the text has anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.trim().is_empty() || text.trim() == NONE {
            return Self::new(&[]);
        }
        let days: Option<Vec<i64>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
        Self::new(&days?)
    }

    /// Returns the days in descending order.
    #[must_use]
    pub fn to_vec(self) -> Vec<i64> {
        self.days.iter().take(self.count).map(|days| i64::from(*days)).collect()
    }

    /// Returns the ranges of the remaining time in which each warning is due, in days: more than the
    /// first number, and at most the second, which is that of the warning.
    #[must_use]
    pub fn ranges(self) -> Vec<(i64, i64)> {
        let days = self.to_vec();
        let next = days.iter().skip(1).copied().chain([0]);
        next.zip(days.iter().copied()).collect()
    }
}

impl fmt::Display for ExpiryWarningDays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 0 {
            return f.write_str(NONE);
        }
        let days: Vec<String> = self.to_vec().iter().map(ToString::to_string).collect();
        f.write_str(&days.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_sorted_and_its_text_parses_to_the_same_list() {
        for (text, expected) in
            [("30, 7, 1", "30, 7, 1"), ("1,30 , 7,7", "30, 7, 1"), ("", "none"), ("none", "none"), ("3650", "3650")]
        {
            let list = ExpiryWarningDays::parse(text).unwrap();
            assert_eq!(list.to_string(), expected, "{text}");
            assert_eq!(ExpiryWarningDays::parse(expected), Some(list));
        }
        assert_eq!(ExpiryWarningDays::new(&[1, 7, 30]), Some(ExpiryWarningDays::DEFAULT));
        for invalid in ["0", "3651", "-1", "7;1", "7,", "seven", "1,2,3,4,5,6,7,8,9", "99999999999999999999"] {
            assert_eq!(ExpiryWarningDays::parse(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn each_warning_has_a_range_of_its_own() {
        assert_eq!(ExpiryWarningDays::DEFAULT.ranges(), [(7, 30), (1, 7), (0, 1)]);
        assert!(ExpiryWarningDays::new(&[]).unwrap().ranges().is_empty());
    }
}
