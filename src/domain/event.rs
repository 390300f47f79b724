//! What happened, and who did it from where.

use std::net::IpAddr;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{session::UserAgent, time::Timestamp};

/// Whence something is asked for. Empty where nobody asked by a request: commands, and what the service does by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The client's address, as far as the connection or a trusted proxy tells it.
    pub address: Option<IpAddr>,
    /// The address is that of a proxy which `listen.trusted_proxies` does not name, so it stands for many clients. Not stored.
    pub is_shared: bool,
    pub user_agent: UserAgent,
    /// The id of the request, at most 128 visible ASCII characters; may be empty.
    pub request_id: String,
}

impl Origin {
    /// The address where it stands for one client. None where it is unknown or shared.
    #[must_use]
    pub fn own_address(&self) -> Option<IpAddr> {
        self.address.filter(|_| !self.is_shared)
    }
}

/// Who does something, when and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    pub at: Timestamp,
    /// None: whoever runs the service, or somebody unknown.
    pub person_id: Option<i64>,
    /// The person's e-mail, or another word.
    pub name: String,
    /// The token by which the person is known; none: a password, a page or the command line.
    pub token_id: Option<Uuid>,
    pub origin: Origin,
}

impl Act {
    /// By whoever has a shell on the server's machine.
    #[must_use]
    pub fn of_operator(at: Timestamp) -> Self {
        Self::by("operator", at, Origin::default())
    }

    /// By the service itself, which was told to.
    #[must_use]
    pub fn of_service(at: Timestamp) -> Self {
        Self::by("the service", at, Origin::default())
    }

    /// By whoever holds a token and need not say more.
    #[must_use]
    pub fn of_holder(at: Timestamp, origin: Origin) -> Self {
        Self::by("whoever held the token", at, origin)
    }

    /// By somebody of whom nothing is known but a word.
    #[must_use]
    pub fn by(name: &str, at: Timestamp, origin: Origin) -> Self {
        Self { at, person_id: None, name: name.to_owned(), token_id: None, origin }
    }
}

/// Whether it came to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Somebody was not let in.
    Refused,
}

/// Declares the actions, each with the name that is stored.
macro_rules! actions {
    ($($(#[$doc:meta])* $action:ident = $name:literal, $outcome:ident;)*) => {
        /// What was done, or refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $action,)*
        }

        impl Action {
            /// Every action there is.
            pub const ALL: &[Self] = &[$(Self::$action),*];

            /// The name that is stored.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$action => $name),* }
            }

            /// Whether that is something done, or somebody refused.
            #[must_use]
            pub const fn outcome(self) -> Outcome {
                match self { $(Self::$action => Outcome::$outcome),* }
            }
        }
    };
}

actions! {
    TokenCreated = "token.created", Done;
    TokenDeleted = "token.deleted", Done;
    /// All of a person at once.
    TokensDeleted = "tokens.deleted", Done;
    /// Its value was reported as known to others, so it was deleted.
    TokenLeaked = "token.leaked", Done;
    /// A token was presented after it had expired or been deleted.
    TokenUsedAfterDeath = "token.used_after_death", Refused;
    SettingChanged = "setting.changed", Done;
    PersonAdded = "person.added", Done;
    PersonChanged = "person.changed", Done;
    PersonDisabled = "person.disabled", Done;
    PersonEnabled = "person.enabled", Done;
    PersonRemoved = "person.removed", Done;
    PasswordChanged = "password.changed", Done;
    /// On the pages.
    SignedIn = "session.begun", Done;
    /// By e-mail and password with a request; told once a minute.
    PasswordAccepted = "password.accepted", Done;
    PasswordRefused = "password.refused", Refused;
    /// Not even looked at: too many wrong ones came before.
    PasswordThrottled = "password.throttled", Refused;
    /// Delegated checks and bearers that let nobody in, told together.
    ChecksRefused = "checks.refused", Refused;
    WorkspaceCreated = "workspace.created", Done;
    WorkspaceRenamed = "workspace.renamed", Done;
    WorkspaceRemoved = "workspace.removed", Done;
    /// Old events were removed; what is left goes on from the last of them.
    EventsPruned = "events.pruned", Done;
}

impl Action {
    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.as_str() == name)
    }
}

impl Outcome {
    /// The name that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

/// More about an event: an object, never with a secret in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details(pub Map<String, Value>);

impl Details {
    /// With one more field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// With one more field, where there is something to say.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// As it is stored.
    #[must_use]
    pub fn to_text(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    /// Reads what is stored; nothing where it is no object.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_default())
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub id: i64,
    /// Its place in the workspace's chain; none: from before there was one.
    pub seq: Option<i64>,
    pub act: Act,
    pub action: Action,
    /// Whom it is about; none: the whole workspace.
    pub person_id: Option<i64>,
    /// The id of what was changed: of a token or a person, or the key of a setting.
    pub target: String,
    /// What that was called at the time.
    pub label: String,
    pub details: Details,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_none_stands_for_two() {
        for action in Action::ALL {
            assert_eq!(Action::parse(action.as_str()), Some(*action));
        }
        assert_eq!(Action::parse("token.eaten"), None);
    }

    #[test]
    fn details_are_read_back() {
        let details = Details::default().with("from", "a").with("count", 3).with_some("none", None::<&str>);
        assert_eq!(details.to_text(), r#"{"count":3,"from":"a"}"#);
        assert_eq!(Details::parse(&details.to_text()), details);
        assert_eq!(Details::parse("free text"), Details::default());
    }
}
