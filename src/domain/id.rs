//! IDs of people and workspaces, and the text of UUIDs.

use std::{fmt, num::ParseIntError, str::FromStr};

use serde::{Deserialize, Serialize};
use tokenward_guard::Identity;
use uuid::Uuid;

/// Identifies a person. Positive, unique in the service, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonId(i64);

/// Identifies a workspace. Positive, unique in the service, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkspaceId(i64);

impl PersonId {
    /// Returns the ID of an authenticated person.
    #[must_use]
    pub fn of(identity: &Identity) -> Self {
        Self(identity.person_id)
    }
}

impl WorkspaceId {
    /// The workspace that is created on first start. Its platform administrators manage the other
    /// workspaces.
    pub const FIRST: Self = Self(1);

    /// Returns the workspace of an authenticated person.
    #[must_use]
    pub fn of(identity: &Identity) -> Self {
        Self(identity.workspace_id)
    }
}

/// Parses the ID of a token, session or webhook: a UUID in hyphenated form, with letters in either case
/// (RFC 9562, section 4). Returns `None` for the other forms that [`Uuid`] accepts.
#[must_use]
pub fn parse_uuid(text: &str) -> Option<Uuid> {
    if text.len() == uuid::fmt::Hyphenated::LENGTH { Uuid::try_parse(text).ok() } else { None }
}

macro_rules! impl_id {
    ($id:ident) => {
        impl $id {
            /// Creates an ID from its number, without a check.
            #[must_use]
            pub const fn new(id: i64) -> Self {
                Self(id)
            }

            /// Returns the ID as a number.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl From<i64> for $id {
            fn from(id: i64) -> Self {
                Self(id)
            }
        }

        impl FromStr for $id {
            type Err = ParseIntError;

            fn from_str(text: &str) -> Result<Self, ParseIntError> {
                text.parse().map(Self)
            }
        }
    };
}

impl_id!(PersonId);
impl_id!(WorkspaceId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_its_number_in_json_and_as_text() {
        let id = PersonId::new(7);
        assert_eq!(serde_json::to_value(id).unwrap(), 7);
        assert_eq!(serde_json::from_str::<PersonId>("7").unwrap(), id);
        assert_eq!(id.to_string(), "7");
        assert_eq!("7".parse(), Ok(id));
    }
}
