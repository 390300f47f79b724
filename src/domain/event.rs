//! What happened, and who did it.

use uuid::Uuid;

use super::time::Timestamp;

/// Who does something, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    pub at: Timestamp,
    /// None: whoever runs the service, or somebody unknown.
    pub person_id: Option<i64>,
    /// The person's e-mail, or another word.
    pub name: String,
    /// The token by which the person is known; none: a password, a page or the command line.
    pub token_id: Option<Uuid>,
}

impl Act {
    /// By whoever has a shell on the server's machine.
    #[must_use]
    pub fn of_operator(at: Timestamp) -> Self {
        Self { at, person_id: None, name: "operator".to_owned(), token_id: None }
    }

    /// By whoever holds a token and need not say more.
    #[must_use]
    pub fn of_holder(at: Timestamp) -> Self {
        Self { at, person_id: None, name: "whoever held the token".to_owned(), token_id: None }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    TokenCreated,
    TokenDeleted,
    /// All of a person at once.
    TokensDeleted,
    SettingChanged,
    PersonAdded,
    PersonChanged,
    PersonDisabled,
    PersonEnabled,
    PersonRemoved,
    PasswordChanged,
    /// On the pages.
    SignedIn,
    WorkspaceRenamed,
}

impl Action {
    const ALL: [Self; 12] = [
        Self::TokenCreated,
        Self::TokenDeleted,
        Self::TokensDeleted,
        Self::SettingChanged,
        Self::PersonAdded,
        Self::PersonChanged,
        Self::PersonDisabled,
        Self::PersonEnabled,
        Self::PersonRemoved,
        Self::PasswordChanged,
        Self::SignedIn,
        Self::WorkspaceRenamed,
    ];

    /// The name that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenCreated => "token.created",
            Self::TokenDeleted => "token.deleted",
            Self::TokensDeleted => "tokens.deleted",
            Self::SettingChanged => "setting.changed",
            Self::PersonAdded => "person.added",
            Self::PersonChanged => "person.changed",
            Self::PersonDisabled => "person.disabled",
            Self::PersonEnabled => "person.enabled",
            Self::PersonRemoved => "person.removed",
            Self::PasswordChanged => "password.changed",
            Self::SignedIn => "session.begun",
            Self::WorkspaceRenamed => "workspace.renamed",
        }
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub id: i64,
    pub act: Act,
    pub action: Action,
    /// Whom it is about; none: the whole workspace.
    pub person_id: Option<i64>,
    /// The id of what was changed: of a token or a person, or the key of a setting.
    pub target: String,
    /// What that was called at the time.
    pub label: String,
    /// More, for people to read.
    pub details: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for action in Action::ALL {
            assert_eq!(Action::parse(action.as_str()), Some(action));
        }
        assert_eq!(Action::parse("token.eaten"), None);
    }
}
