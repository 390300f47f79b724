//! Counters of sign-ins by entry point and result.

use prometheus_client::metrics::{counter::Counter, family::Family};

/// The labels of a counter: `entry_point` and `result`.
pub type SignInLabels = [(&'static str, &'static str); 2];

const ENTRY_POINTS: [&str; 4] = ["api", "oauth2", "page", "provider"];
const RESULTS: [&str; 13] = [
    "success",
    "unknown_email",
    "domain_not_accepted",
    "no_account",
    "not_in_group",
    "wrong_password",
    "password_expired",
    "account_expired",
    "disabled",
    "locked",
    "malformed",
    "throttled",
    "unavailable",
];

/// Counts sign-ins. Clones share their counters.
#[derive(Clone, Debug)]
pub struct SignInCounters(Family<SignInLabels, Counter>);

impl Default for SignInCounters {
    fn default() -> Self {
        let family = Family::<SignInLabels, Counter>::default();
        // All counters start at 0, so that the first failure is an increase.
        for entry_point in ENTRY_POINTS {
            for result in RESULTS {
                drop(family.get_or_create(&[("entry_point", entry_point), ("result", result)]));
            }
        }
        Self(family)
    }
}

impl SignInCounters {
    /// Counts a sign-in.
    pub(super) fn record(&self, entry_point: &'static str, result: &'static str) {
        self.0.get_or_create(&[("entry_point", entry_point), ("result", result)]).inc();
    }

    /// Returns the family for the registry.
    #[must_use]
    pub fn family(&self) -> Family<SignInLabels, Counter> {
        self.0.clone()
    }
}
