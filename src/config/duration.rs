//! Durations in the configuration, written with a unit.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration as text: a number and a unit, such as `500ms`, `3s`, `30m`, `12h` or `90d`. Printed
/// in the largest unit that divides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigDuration(Duration);

/// Units with their length in milliseconds, the largest first.
const UNITS: [(&str, u128); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl ConfigDuration {
    /// Creates a duration of this many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// Creates a duration of this many seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Returns the duration.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Returns whole seconds, rounded down.
    #[must_use]
    pub fn as_secs(self) -> i64 {
        i64::try_from(self.0.as_secs()).unwrap_or(i64::MAX)
    }
}

impl fmt::Display for ConfigDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let unit = UNITS.iter().find(|(_, length)| millis >= *length && millis.is_multiple_of(*length));
        let (name, length) = unit.unwrap_or(&("ms", 1));
        write!(f, "{}{name}", millis / length)
    }
}

impl Serialize for ConfigDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ConfigDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = ConfigDuration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with a unit, such as \"500ms\", \"3s\", \"30m\", \"12h\" or \"90d\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ConfigDuration, E> {
                let duration = humantime::parse_duration(text);
                duration.map(ConfigDuration).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_printed_in_the_largest_unit_that_divides_it() {
        for (millis, text) in [(500, "500ms"), (75_000, "75s"), (1_800_000, "30m"), (43_200_000, "12h"), (0, "0ms")] {
            assert_eq!(ConfigDuration::from_millis(millis).to_string(), text);
        }
        assert_eq!(ConfigDuration::from_secs(90 * 86_400).to_string(), "90d");
    }

    #[test]
    fn a_duration_without_a_unit_is_rejected() {
        let parse = |text: &str| toml::from_str::<std::collections::BTreeMap<String, ConfigDuration>>(text);
        assert_eq!(parse("a = \"1m 15s\"").unwrap()["a"], ConfigDuration::from_secs(75));
        for invalid in ["a = 3", "a = \"3\"", "a = \"s\"", "a = \"-1s\""] {
            assert!(parse(invalid).unwrap_err().to_string().contains("a duration with a unit"), "{invalid}");
        }
    }
}
