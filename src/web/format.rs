//! How things are shown: times, states, browsers.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::{
    time::Timestamp,
    token::{Status, Token},
};

/// How long before its end a token is said to expire soon.
pub(super) const SOON_SECONDS: i64 = 7 * 86_400;

/// A moment, in UTC until a script puts it into the reader's zone.
#[derive(Clone, Copy, Debug)]
pub(super) struct When(pub Timestamp);

impl When {
    fn formatted(self, pattern: &str) -> String {
        DateTime::<Utc>::from(self.0).format(pattern).to_string()
    }

    /// To the second, as HTML writes a moment.
    pub(super) fn text(self) -> String {
        self.formatted("%Y-%m-%d %H:%M:%SZ")
    }

    pub(super) fn date(self) -> String {
        self.formatted("%-d %B %Y")
    }
}

/// What a token's status is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Active,
    Soon,
    Expired,
    /// Within its lifetime, but nobody gets in by it: its owner may not use tokens, or the workspace has them switched off.
    Blocked,
}

impl State {
    pub(super) fn of(token: &Token, status: Status, is_blocked: bool, now: Timestamp) -> Self {
        match status {
            Status::Active if is_blocked => Self::Blocked,
            Status::Expired => Self::Expired,
            Status::Active if token.expires_at.is_some_and(|end| end <= now.plus_seconds(SOON_SECONDS)) => Self::Soon,
            Status::Active => Self::Active,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Soon => "Expires soon",
            Self::Expired => "Expired",
            Self::Blocked => "Blocked",
        }
    }

    /// The style of its sign.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Active => "on",
            Self::Soon => "soon",
            Self::Expired | Self::Blocked => "off",
        }
    }
}

/// A token in a table.
pub(super) struct TokenRow {
    pub id: Uuid,
    pub hint: String,
    pub description: String,
    pub state: State,
    pub created: When,
    pub expires: Option<When>,
    pub used: Option<When>,
    /// Where tokens of many people are shown.
    pub owner: Option<Owner>,
    pub delete_path: String,
}

/// Whose token it is.
#[derive(Clone)]
pub(super) struct Owner {
    pub id: i64,
    pub email: String,
}

impl TokenRow {
    /// A token in the list that lies at `place`.
    pub(super) fn new(token: Token, state: State, owner: Option<Owner>, place: &str) -> Self {
        Self {
            id: token.id,
            hint: token.hint,
            description: token.description,
            state,
            created: When(token.created_at),
            expires: token.expires_at.map(When),
            used: token.last_used_at.map(When),
            owner,
            delete_path: format!("{place}/{}/delete", token.id),
        }
    }
}

/// What a person is called: the name, or where there is none the e-mail.
pub(super) fn shown<'a>(name: &'a str, email: &'a str) -> &'a str {
    if name.is_empty() { email } else { name }
}

/// A browser in two words, as far as it can be told from what it calls itself.
pub(super) fn browser(user_agent: &str) -> String {
    let first = |words: &[(&str, &'static str)]| {
        words.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    // Each names those it descends from, so the youngest comes first.
    let program = first(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("CriOS/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("Windows", "Windows"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("CrOS", "ChromeOS"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (program, system) {
        (Some(program), Some(system)) => format!("{program} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => "Unknown browser".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_in_utc() {
        let when = When(Timestamp::from_millis(1_547_597_101_743));
        assert_eq!((when.text(), when.date()), ("2019-01-16 00:05:01Z".into(), "16 January 2019".into()));
    }

    #[test]
    fn browsers_are_named() {
        let chrome =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";
        assert_eq!(browser(chrome), "Chrome on Linux");
        assert_eq!(browser(&format!("{chrome} Edg/156")), "Edge on Linux");
        assert_eq!(
            browser("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1"),
            "Safari on iPhone"
        );
        assert_eq!(browser("curl/8"), "Unknown browser");
    }
}
