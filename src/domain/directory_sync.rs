//! The sync with a directory: its last state, and the limit on what one sync may disable.

use super::time::Timestamp;

/// The result of a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncOutcome {
    Success,
    /// The directory did not answer completely. Nothing was changed.
    Failed,
    /// The sync would have disabled too many people. Nothing was changed.
    Held,
}

impl SyncOutcome {
    /// Returns the stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Held => "held",
        }
    }

    /// Finds an outcome by its stored name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Success, Self::Failed, Self::Held].into_iter().find(|outcome| outcome.as_str() == name)
    }
}

/// The numbers of a sync.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncReport {
    /// The reason of a failure, or what to do about a held sync. Empty after a success.
    pub message: String,
    /// Entries that the directory returned.
    pub entries: i64,
    /// People who were disabled.
    pub disabled: i64,
    /// People who were enabled again.
    pub enabled: i64,
    /// People whom a held sync would have disabled.
    pub held: i64,
}

/// The last sync with a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncState {
    /// The name of the provider.
    pub provider: String,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub succeeded_at: Option<Timestamp>,
    /// The end of the claim of the node that runs a sync now.
    pub claimed_until: Option<Timestamp>,
    /// `None`: no sync has finished yet.
    pub outcome: Option<SyncOutcome>,
    pub report: SyncReport,
}

/// Returns how many of `linked` people one sync may disable without confirmation: 5, or a tenth if
/// that is more.
#[must_use]
pub fn max_disabled(linked: usize) -> usize {
    (linked / 10).max(5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_disables_at_most_five_people_or_a_tenth() {
        for (linked, expected) in [(0, 5), (59, 5), (60, 6), (1_000, 100)] {
            assert_eq!(max_disabled(linked), expected, "{linked}");
        }
    }

    #[test]
    fn every_stored_outcome_parses_to_itself() {
        for outcome in [SyncOutcome::Success, SyncOutcome::Failed, SyncOutcome::Held] {
            assert_eq!(SyncOutcome::parse(outcome.as_str()), Some(outcome));
        }
        assert_eq!(SyncOutcome::parse("done"), None);
    }
}
