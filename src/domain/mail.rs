//! E-mail: the kinds of messages, the outcomes of attempts, and the limits.

use super::time::Timestamp;

/// The time during which a message about an event is retried, in seconds. Nothing is sent about older
/// events.
pub const RETRY_SECONDS: i64 = 3 * 86_400;
/// The time during which a requested reset link is retried, in seconds.
pub const RESET_RETRY_SECONDS: i64 = 3_600;
/// The maximum number of reset links that are requested for one e-mail address per hour, by all clients
/// of all nodes.
pub const MAX_RESETS_PER_EMAIL: i64 = 3;
/// The time after which a sign-in from the same address counts as one from a new address, in seconds.
pub const ADDRESS_RETENTION_SECONDS: i64 = 90 * 86_400;

/// The reason of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MailKind {
    /// A token expires soon. The owner can switch it off.
    TokenExpiring,
    /// A token was deleted because its value was reported as leaked.
    TokenLeaked,
    /// A sign-in on the pages came from an address that the person did not use within 90 days.
    NewAddress,
    /// The e-mail address was changed. Sent to the previous one.
    EmailChanged,
    PasswordChanged,
    /// A client requested a link that resets the password.
    PasswordReset,
}

impl MailKind {
    pub const ALL: [Self; 6] = [
        Self::TokenExpiring,
        Self::TokenLeaked,
        Self::NewAddress,
        Self::EmailChanged,
        Self::PasswordChanged,
        Self::PasswordReset,
    ];

    /// Returns the name in the database, in events and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenExpiring => "token_expiring",
            Self::TokenLeaked => "token_leaked",
            Self::NewAddress => "new_address",
            Self::EmailChanged => "email_changed",
            Self::PasswordChanged => "password_changed",
            Self::PasswordReset => "password_reset",
        }
    }

    /// Finds a kind by its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Returns the end of the retries of a message that was queued at `created_at`.
    #[must_use]
    pub const fn retry_until(self, created_at: Timestamp) -> Timestamp {
        created_at.plus_seconds(match self {
            Self::PasswordReset => RESET_RETRY_SECONDS,
            _ => RETRY_SECONDS,
        })
    }
}

/// The outcome of one attempt to send a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MailOutcome {
    /// The server accepted the message.
    Sent,
    /// Nothing was sent: there is no such person any more, the account is disabled, or the person does
    /// not want the message.
    Skipped,
    /// The server did not accept the message now.
    Deferred,
    /// The server will not accept the message.
    Rejected,
    /// The server could not be reached or did not let the service sign in.
    ServerFailed,
    /// Nothing was sent: the time of the retries has passed.
    Expired,
}

impl MailOutcome {
    pub const ALL: [Self; 6] =
        [Self::Sent, Self::Skipped, Self::Deferred, Self::Rejected, Self::ServerFailed, Self::Expired];

    /// Returns the name in the database, in events and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Skipped => "skipped",
            Self::Deferred => "deferred",
            Self::Rejected => "rejected",
            Self::ServerFailed => "server_failed",
            Self::Expired => "expired",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stored_name_parses_to_its_own_kind() {
        for kind in MailKind::ALL {
            assert_eq!(MailKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(MailKind::parse("postcard"), None);
    }

    #[test]
    fn a_requested_link_is_retried_for_an_hour_and_other_messages_for_three_days() {
        let end = |kind: MailKind| kind.retry_until(Timestamp::from_millis(0)).as_millis() / 3_600_000;
        assert_eq!((end(MailKind::PasswordReset), end(MailKind::TokenLeaked)), (1, 72));
    }
}
