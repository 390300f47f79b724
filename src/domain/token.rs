//! Access tokens: their stored form, the rules for issuing them, and the rules for using them.

mod issue_policy;
mod lifetime;
mod usability;

use std::net::IpAddr;

use uuid::Uuid;

pub use issue_policy::{IssueError, IssuePolicy, IssuedBy, MakerFacts, OwnerFacts};
pub use lifetime::{GracePeriod, Lifetime};
pub use usability::{TokenFacts, UnusableReason};

use super::{
    ValidationError,
    id::{PersonId, WorkspaceId},
    text_rules,
    time::Timestamp,
    token_limits::TokenLimits,
};

/// A stored access token: all of it except the value, which exists only in the response that
/// created it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub id: Uuid,
    pub workspace_id: WorkspaceId,
    pub person_id: PersonId,
    /// The prefix and the first four random characters of the value, for recognition.
    pub display_prefix: String,
    pub description: String,
    pub created_at: Timestamp,
    /// `None`: never expires.
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    /// The client address of the last use. `None`: unknown, or the workspace does not record it.
    pub last_used_from: Option<IpAddr>,
    /// The token that created this one; `None`: a person did, by password or on a page.
    pub parent_id: Option<Uuid>,
    /// The trust rule by which the token was issued in exchange for a JWT; `None`: issued otherwise.
    pub trust_rule_id: Option<Uuid>,
    pub limits: TokenLimits,
    pub replacement: Option<Replacement>,
}

/// The replacement of a token by a newer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// The token that replaces this one.
    pub replaced_by: Uuid,
    /// When this token is deleted; never later than its expiry. It does not authenticate from then on.
    pub deletes_at: Timestamp,
}

impl Token {
    /// Returns when the token stops authenticating: its scheduled deletion or its expiry. `None`: never.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.replacement.map(|replacement| replacement.deletes_at).or(self.expires_at)
    }

    /// Returns the status at a time. A token is expired from `ends_at` on.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> TokenStatus {
        if usability::is_expired(self.ends_at(), now) { TokenStatus::Expired } else { TokenStatus::Active }
    }
}

/// The position of a token in its lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStatus {
    Active,
    Expired,
}

impl TokenStatus {
    /// Returns the name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
        }
    }
}

/// The owner's note about a token: one line of at most 255 characters, stored as sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description(String);

impl Description {
    /// The maximum length, in Unicode scalar values. The pages count UTF-16 code units, of which a
    /// description has up to twice as many.
    pub const MAX_CHARS: usize = 255;

    /// Validates a description.
    ///
    /// # Errors
    /// [`ValidationError::TooLong`] over [`Description::MAX_CHARS`],
    /// [`ValidationError::ForbiddenCharacter`] for control characters, line breaks and overrides of
    /// the writing direction.
    pub fn parse(text: String) -> Result<Self, ValidationError> {
        text_rules::validate_single_line("description", &text, Self::MAX_CHARS)?;
        Ok(Self(text))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text without a copy.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests;
