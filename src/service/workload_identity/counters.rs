//! Counters of exchanges by result.

use prometheus_client::metrics::{counter::Counter, family::Family};

/// The label of a counter: `result`.
pub type ExchangeLabels = [(&'static str, &'static str); 1];

/// The result of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeResult {
    Issued,
    /// No trust rule verifies the JWT.
    NotAccepted,
    /// The JWT is verified, and a condition or another rule forbids the token.
    Denied,
    /// The JWT was exchanged before.
    AlreadyUsed,
    /// The address sent too many rejected requests.
    Throttled,
    /// The issuer or the database is unreachable or too slow.
    Unavailable,
}

impl ExchangeResult {
    /// All results.
    pub const ALL: [Self; 6] =
        [Self::Issued, Self::NotAccepted, Self::Denied, Self::AlreadyUsed, Self::Throttled, Self::Unavailable];

    /// Returns the value of the label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::NotAccepted => "not_accepted",
            Self::Denied => "denied",
            Self::AlreadyUsed => "already_used",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Counts exchanges. Clones share their counters.
#[derive(Clone, Debug)]
pub struct ExchangeCounters(Family<ExchangeLabels, Counter>);

impl Default for ExchangeCounters {
    fn default() -> Self {
        let family = Family::<ExchangeLabels, Counter>::default();
        // All counters start at 0, so that the first failure is an increase.
        for result in ExchangeResult::ALL {
            drop(family.get_or_create(&[("result", result.as_str())]));
        }
        Self(family)
    }
}

impl ExchangeCounters {
    /// Counts an exchange.
    pub(super) fn record(&self, result: ExchangeResult) {
        self.0.get_or_create(&[("result", result.as_str())]).inc();
    }

    /// Returns the family for the registry.
    #[must_use]
    pub fn family(&self) -> Family<ExchangeLabels, Counter> {
        self.0.clone()
    }
}
