//! Tokens: what one is, who may make one, when one is good.

use uuid::Uuid;

use super::{
    Invalid,
    person::TokenAccess,
    setting::{Settings, TokenMinted},
    text_rules,
    time::Timestamp,
};

/// A token as it is kept: everything but its value, which is gone once it was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub id: Uuid,
    pub workspace_id: i64,
    pub person_id: i64,
    /// The prefix and the first four random characters, for recognition.
    pub hint: String,
    pub description: String,
    pub created_at: Timestamp,
    /// None: never expires.
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    /// The token that made it; none: its owner did, by password or on a page.
    pub parent_id: Option<Uuid>,
}

impl Token {
    /// Whether the token is still within its lifetime. At equality it is expired.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Status {
        if is_expired(self.expires_at, now) { Status::Expired } else { Status::Active }
    }
}

fn is_expired(expires_at: Option<Timestamp>, now: Timestamp) -> bool {
    expires_at.is_some_and(|end| now >= end)
}

/// Where a token stands in its lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Active,
    Expired,
}

/// How long a token is to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    Forever,
    /// 1 to [`Lifetime::MAX_SECONDS`].
    Seconds(i64),
}

impl Lifetime {
    /// A hundred years of 365 days.
    pub const MAX_SECONDS: i64 = 3_153_600_000;

    /// Reads `lifetimeSeconds`: `-1` is forever.
    ///
    /// # Errors
    /// [`Invalid::Lifetime`] for anything but -1 and 1 to [`Lifetime::MAX_SECONDS`].
    pub fn from_seconds(seconds: i64) -> Result<Self, Invalid> {
        match seconds {
            -1 => Ok(Self::Forever),
            1..=Self::MAX_SECONDS => Ok(Self::Seconds(seconds)),
            _ => Err(Invalid::Lifetime),
        }
    }

    /// When a token made now with this lifetime expires.
    #[must_use]
    pub fn end(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Forever => None,
            Self::Seconds(seconds) => Some(now.plus_seconds(seconds)),
        }
    }

    fn within(self, max_days: Option<i64>) -> Result<(), Invalid> {
        let Some(max_days) = max_days else { return Ok(()) };
        match self {
            Self::Seconds(seconds) if seconds <= max_days * 86_400 => Ok(()),
            _ => Err(Invalid::LifetimeTooLong { max_days }),
        }
    }
}

/// What the owner noted about a token: one line of at most 255 characters, kept as sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description(String);

impl Description {
    /// The most characters (Unicode scalar values) a description has; pages count UTF-16, of which that is up to twice as many.
    pub const MAX_CHARS: usize = 255;

    /// Takes a description.
    ///
    /// # Errors
    /// [`Invalid::TooLong`] or [`Invalid::Control`].
    pub fn parse(text: String) -> Result<Self, Invalid> {
        text_rules::one_line("description", &text, Self::MAX_CHARS)?;
        Ok(Self(text))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// What decides whether a person may make a token, read in the same transaction that makes it.
#[derive(Clone, Copy, Debug)]
pub struct Grounds {
    pub is_admin: bool,
    pub is_disabled: bool,
    pub token_access: TokenAccess,
    pub settings: Settings,
}

/// Why a token is not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotIssued {
    FeatureOff,
    /// The person was disabled or removed while the request was under way.
    PersonGone,
    /// The person's `tokenAccess` is `disabled`.
    AccessDisabled,
    /// The workspace lets only administrators generate.
    AdministratorsOnly,
    Lifetime(Invalid),
    /// The form has made its token already, or its session is over.
    FormSpent,
    /// The workspace lets no token make another.
    TokensMakeNone,
    /// The token that asked for it ends before, and the workspace lets none outlive the one that made it.
    OutlivesMaker {
        end: Timestamp,
    },
    /// The person has as many live tokens as the operator allows.
    TooMany {
        most: u32,
    },
    /// The `Idempotency-Key` came with another body before.
    OtherBody,
    /// The token that the same request made is deleted.
    Deleted,
}

/// Who makes a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// Its owner, by password or on a page.
    Person,
    /// Another token of its owner's, which ends then.
    Token { expires_at: Option<Timestamp> },
}

impl Grounds {
    /// Whether a token of this lifetime may be made.
    ///
    /// # Errors
    /// The first rule that forbids it.
    pub fn permit(&self, lifetime: Lifetime) -> Result<(), NotIssued> {
        if self.is_disabled {
            return Err(NotIssued::PersonGone);
        }
        if !self.settings.enabled {
            return Err(NotIssued::FeatureOff);
        }
        match self.token_access {
            TokenAccess::Disabled => return Err(NotIssued::AccessDisabled),
            TokenAccess::Default if !(self.is_admin || self.settings.allow_users) => {
                return Err(NotIssued::AdministratorsOnly);
            }
            TokenAccess::Default | TokenAccess::Enabled => {}
        }
        lifetime.within(self.settings.max_lifetime_days).map_err(NotIssued::Lifetime)
    }

    /// Whether this maker may make a token that ends then.
    ///
    /// # Errors
    /// [`NotIssued::TokensMakeNone`], [`NotIssued::OutlivesMaker`].
    pub fn permit_maker(&self, maker: Maker, expires_at: Option<Timestamp>) -> Result<(), NotIssued> {
        let Maker::Token { expires_at: end } = maker else { return Ok(()) };
        match (self.settings.token_minted, end) {
            (TokenMinted::Forbidden, _) => Err(NotIssued::TokensMakeNone),
            (TokenMinted::Bounded, Some(end)) if expires_at.is_none_or(|expires_at| expires_at > end) => {
                Err(NotIssued::OutlivesMaker { end })
            }
            (TokenMinted::Bounded | TokenMinted::Allowed, _) => Ok(()),
        }
    }
}

/// What decides whether a presented token opens anything: the facts of one look-up.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    pub expires_at: Option<Timestamp>,
    pub is_disabled: bool,
    pub token_access: TokenAccess,
    pub feature_enabled: bool,
}

/// Why a token that exists opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Expired,
    PersonDisabled,
    AccessDisabled,
    /// Last in the order: said only of a token that is good but for the workspace's switch.
    FeatureOff,
}

impl Standing {
    /// Whether the token is good at this moment.
    ///
    /// # Errors
    /// The first rule that refuses it.
    pub fn check(&self, now: Timestamp) -> Result<(), Refused> {
        if is_expired(self.expires_at, now) {
            return Err(Refused::Expired);
        }
        if self.is_disabled {
            return Err(Refused::PersonDisabled);
        }
        if !self.token_access.lets_use() {
            return Err(Refused::AccessDisabled);
        }
        if !self.feature_enabled {
            return Err(Refused::FeatureOff);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
