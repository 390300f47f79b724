//! Display formats of times, token states and rows of token tables.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::display_limits::DisplayLimits;
use crate::{
    domain::{
        id::PersonId,
        time::Timestamp,
        token::{Token, TokenStatus},
    },
    service::invites::InviteState,
};

/// The maximum time before its expiry at which a token is shown as expiring soon.
const EXPIRES_SOON_SECONDS: i64 = 7 * 86_400;

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

    pub(super) fn time(self) -> String {
        self.format("%H:%M:%S")
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
    /// Works until a scheduled time, because a newer token replaces it.
    Replaced,
    /// Not expired, but unusable: the owner may not use tokens, or the workspace has the feature
    /// switched off.
    Blocked,
}

impl TokenState {
    pub(super) fn for_token(token: &Token, status: TokenStatus, is_blocked: bool, now: Timestamp) -> Self {
        match status {
            TokenStatus::Active if is_blocked => Self::Blocked,
            TokenStatus::Expired => Self::Expired,
            TokenStatus::Active if token.replacement.is_some() => Self::Replaced,
            TokenStatus::Active if token.expires_at.is_some_and(|end| now >= soon_from(token.created_at, end)) => {
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
            Self::Replaced => "Replaced",
            Self::Blocked => "Blocked",
        }
    }

    /// Returns the CSS class of the status label in a list. Most tokens are active, so their label has none.
    pub(super) fn row_class(self) -> Option<&'static str> {
        Some(self.css_class()).filter(|class| *class != "on")
    }

    /// Returns the CSS class of the status label.
    pub(super) fn css_class(self) -> &'static str {
        match self {
            Self::Active => "on",
            Self::ExpiresSoon | Self::Replaced => "soon",
            Self::Expired | Self::Blocked => "off",
        }
    }
}

/// Returns the time from which a token expires soon: in the last fifth of its lifetime, and at most a
/// week before its end.
fn soon_from(created_at: Timestamp, expires_at: Timestamp) -> Timestamp {
    let fifth = expires_at.as_millis().saturating_sub(created_at.as_millis()) / 5;
    Timestamp::from_millis(expires_at.as_millis() - fifth.min(EXPIRES_SOON_SECONDS * 1_000))
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
    /// The client address of the last use; empty: unknown.
    pub last_used_from: String,
    pub limits: DisplayLimits,
    pub replacement: Option<RowReplacement>,
    /// Set if the table shows tokens of several people.
    pub owner: Option<TokenOwner>,
    /// The path of the token's page.
    pub path: String,
}

/// The replacement of a token by a newer one.
pub(super) struct RowReplacement {
    /// When the older token is deleted.
    pub deletes_at: DisplayTime,
    /// The path of the newer token's page.
    pub path: String,
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
        let replacement = token.replacement.map(|replacement| RowReplacement {
            deletes_at: DisplayTime(replacement.deletes_at),
            path: format!("{list_path}/{}", replacement.replaced_by),
        });
        Self {
            id: token.id,
            display_prefix: token.display_prefix,
            description: token.description,
            state,
            created: DisplayTime(token.created_at),
            expires: token.expires_at.map(DisplayTime),
            last_used: token.last_used_at.map(DisplayTime),
            last_used_from: token.last_used_from.map(|address| address.to_string()).unwrap_or_default(),
            limits: (&token.limits).into(),
            replacement,
            owner,
            path: format!("{list_path}/{}", token.id),
        }
    }
}

impl TokenRow {
    /// Returns the path of the token's page relative to its list. A list has fifty rows.
    pub(super) fn relative_path(&self) -> &str {
        relative(&self.path)
    }

    /// Returns whether the owner can replace the token.
    pub(super) fn is_replaceable(&self) -> bool {
        matches!(self.state, TokenState::Active | TokenState::ExpiresSoon)
    }

    /// Returns the description, or the display prefix if it is empty.
    pub(super) fn name(&self) -> String {
        match self.description.as_str() {
            "" => format!("{}…", self.display_prefix),
            description => description.to_owned(),
        }
    }
}

impl RowReplacement {
    /// Returns the path of the newer token's page relative to the list.
    pub(super) fn relative_path(&self) -> &str {
        relative(&self.path)
    }
}

/// Returns a path without its first segment.
fn relative(path: &str) -> &str {
    path.split_once('/').and_then(|(_, path)| path.split_once('/')).map_or(path, |(_, path)| path)
}

/// Formats a number of seconds in the greatest unit in which it is whole.
pub(super) fn duration(seconds: i64) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let (count, unit) = units
        .into_iter()
        .find(|(length, _)| seconds % length == 0)
        .map_or((seconds, "second"), |(length, unit)| (seconds / length, unit));
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// The state of a person's invite link as shown on pages.
#[derive(Clone, Copy, Debug)]
pub(super) enum InviteStatus {
    None,
    Valid(DisplayTime),
    Expired,
}

impl From<InviteState> for InviteStatus {
    fn from(state: InviteState) -> Self {
        match state {
            InviteState::None => Self::None,
            InviteState::Valid(end) => Self::Valid(DisplayTime(end)),
            InviteState::Expired => Self::Expired,
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
    fn a_token_expires_soon_in_the_last_fifth_of_its_life_and_at_most_a_week_before_its_end() {
        const DAY: i64 = 86_400_000;
        let soon = |days: i64| soon_from(Timestamp::from_millis(0), Timestamp::from_millis(days * DAY)).as_millis();
        assert_eq!(soon(5), 4 * DAY);
        assert_eq!(soon(35), 28 * DAY);
        assert_eq!(soon(365), 358 * DAY);
    }

    #[test]
    fn durations_have_the_greatest_whole_unit() {
        let texts = [86_400, 2_592_000, 3_600, 90_000, 120, 61].map(duration);
        assert_eq!(texts, ["1 day", "30 days", "1 hour", "25 hours", "2 minutes", "61 seconds"]);
    }

    #[test]
    fn times_are_formatted_in_utc() {
        let time = DisplayTime(Timestamp::from_millis(1_547_597_101_743));
        assert_eq!((time.datetime(), time.date()), ("2019-01-16 00:05:01Z".into(), "16 January 2019".into()));
    }
}
