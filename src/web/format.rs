//! Display formats of times, token states and rows of token tables.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::{
    id::PersonId,
    time::Timestamp,
    token::{Token, TokenStatus},
};

/// Seconds before its expiry from which a token is shown as expiring soon.
pub(super) const EXPIRES_SOON_SECONDS: i64 = 7 * 86_400;

/// A time, rendered in UTC. A script converts it to the browser's time zone.
#[derive(Clone, Copy, Debug)]
pub(super) struct DisplayTime(pub Timestamp);

impl DisplayTime {
    fn format(self, pattern: &str) -> String {
        DateTime::<Utc>::from(self.0).format(pattern).to_string()
    }

    /// Formats the time to the second, as a valid HTML `datetime`.
    pub(super) fn datetime(self) -> String {
        self.format("%Y-%m-%d %H:%M:%SZ")
    }

    pub(super) fn date(self) -> String {
        self.format("%-d %B %Y")
    }
}

/// The state of a token as shown on pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenState {
    Active,
    ExpiresSoon,
    Expired,
    /// Not expired, but unusable: the owner may not use tokens, or the workspace has the feature
    /// switched off.
    Blocked,
}

impl TokenState {
    pub(super) fn for_token(token: &Token, status: TokenStatus, is_blocked: bool, now: Timestamp) -> Self {
        match status {
            TokenStatus::Active if is_blocked => Self::Blocked,
            TokenStatus::Expired => Self::Expired,
            TokenStatus::Active
                if token.expires_at.is_some_and(|expires_at| expires_at <= now.plus_seconds(EXPIRES_SOON_SECONDS)) =>
            {
                Self::ExpiresSoon
            }
            TokenStatus::Active => Self::Active,
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::ExpiresSoon => "Expires soon",
            Self::Expired => "Expired",
            Self::Blocked => "Blocked",
        }
    }

    /// Returns the CSS class of the status label.
    pub(super) fn css_class(self) -> &'static str {
        match self {
            Self::Active => "on",
            Self::ExpiresSoon => "soon",
            Self::Expired | Self::Blocked => "off",
        }
    }
}

/// A row of a token table.
pub(super) struct TokenRow {
    pub id: Uuid,
    pub display_prefix: String,
    pub description: String,
    pub state: TokenState,
    pub created: DisplayTime,
    pub expires: Option<DisplayTime>,
    pub last_used: Option<DisplayTime>,
    /// Set if the table shows tokens of several people.
    pub owner: Option<TokenOwner>,
    pub delete_path: String,
}

/// The owner of a token in a table.
#[derive(Clone)]
pub(super) struct TokenOwner {
    pub id: PersonId,
    pub email: String,
}

impl TokenRow {
    /// Creates the row of a token in the list at `list_path`.
    pub(super) fn new(token: Token, state: TokenState, owner: Option<TokenOwner>, list_path: &str) -> Self {
        Self {
            id: token.id,
            display_prefix: token.display_prefix,
            description: token.description,
            state,
            created: DisplayTime(token.created_at),
            expires: token.expires_at.map(DisplayTime),
            last_used: token.last_used_at.map(DisplayTime),
            owner,
            delete_path: format!("{list_path}/{}/delete", token.id),
        }
    }
}

/// Returns a person's name, or the e-mail address if the name is empty.
pub(super) fn display_name<'a>(name: &'a str, email: &'a str) -> &'a str {
    if name.is_empty() { email } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_formatted_in_utc() {
        let time = DisplayTime(Timestamp::from_millis(1_547_597_101_743));
        assert_eq!((time.datetime(), time.date()), ("2019-01-16 00:05:01Z".into(), "16 January 2019".into()));
    }
}
