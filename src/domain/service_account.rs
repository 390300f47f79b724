//! Service accounts: accounts of programs. They have a name instead of an e-mail, tokens but no
//! password, and custodians who manage the tokens.

use super::{ValidationError, id::PersonId};

/// The prefix of the identity of a service account. An e-mail contains no colon.
pub const IDENTITY_PREFIX: &str = "service:";

/// The kind of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PersonKind {
    /// A person, who signs in.
    #[default]
    Person,
    /// A service account, which has tokens only.
    Service,
}

impl PersonKind {
    /// Returns the name in the API and the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Service => "service",
        }
    }

    /// Parses `person` or `service`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Person, Self::Service].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Returns the e-mail of an account with this identity; `None` for a service account, which has no
/// e-mail.
#[must_use]
pub fn email_of(identity: &str) -> Option<&str> {
    (!identity.starts_with(IDENTITY_PREFIX)).then_some(identity)
}

/// The name of a service account, unique in the service: 1 to 63 of the characters a-z, 0-9, period,
/// underscore and hyphen, beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceName(String);

impl ServiceName {
    /// The maximum length, in characters.
    pub const MAX_CHARS: usize = 63;

    /// Validates a name.
    ///
    /// # Errors
    /// [`ValidationError::ServiceName`] for any other text.
    pub fn parse(text: &str) -> Result<Self, ValidationError> {
        let is_alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_valid = text.len() <= Self::MAX_CHARS
            && text.as_bytes().first().is_some_and(is_alphanumeric)
            && text.bytes().all(|byte| is_alphanumeric(&byte) || b"._-".contains(&byte));
        if is_valid { Ok(Self(text.to_owned())) } else { Err(ValidationError::ServiceName) }
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the identity, which takes the place of an e-mail in identity headers, at introspection
    /// and in the audit log: `service:` and the name.
    #[must_use]
    pub fn identity(&self) -> String {
        format!("{IDENTITY_PREFIX}{}", self.0)
    }
}

/// The custodians of a service account: 1 to [`Custodians::MAX`] people, in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Custodians(Vec<PersonId>);

impl Custodians {
    /// The maximum number of custodians.
    pub const MAX: usize = 32;

    /// Validates a list of people.
    ///
    /// # Errors
    /// [`ValidationError::NoCustodians`] if it is empty, [`ValidationError::TooManyEntries`] over
    /// [`Custodians::MAX`], [`ValidationError::DuplicateCustodian`] if a person appears twice.
    pub fn parse(ids: &[i64]) -> Result<Self, ValidationError> {
        if ids.is_empty() {
            return Err(ValidationError::NoCustodians);
        }
        if ids.len() > Self::MAX {
            return Err(ValidationError::TooManyEntries { field: "custodians", count: ids.len(), max: Self::MAX });
        }
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        if let Some(pair) = ids.windows(2).find(|pair| pair.first() == pair.last()) {
            return Err(ValidationError::DuplicateCustodian { id: pair.iter().copied().next().unwrap_or_default() });
        }
        Ok(Self(ids.into_iter().map(PersonId::new).collect()))
    }

    /// Returns the IDs of the people.
    #[must_use]
    pub fn as_slice(&self) -> &[PersonId] {
        &self.0
    }

    /// Returns the IDs as a text with commas, for the audit log.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::person::{Email, EmailKey};

    #[test]
    fn names_are_short_and_plain() {
        for name in ["a", "0", "ci", "nightly-job.eu_1", &"x".repeat(63)] {
            assert_eq!(ServiceName::parse(name).unwrap().identity(), format!("service:{name}"));
        }
        for name in ["", "CI", "-ci", ".ci", "_ci", "c i", "ci@x", "ci:x", "é", " ci", "ci\n", &"x".repeat(64)] {
            assert_eq!(ServiceName::parse(name), Err(ValidationError::ServiceName), "{name:?}");
        }
    }

    #[test]
    fn an_identity_is_no_email_and_its_own_key() {
        let identity = ServiceName::parse("ci").unwrap().identity();
        assert!(Email::parse(&identity).is_err() && Email::parse(&format!("{identity}@example.com")).is_err());
        assert_eq!(EmailKey::from_text(&identity).as_str(), identity);
        assert_eq!((email_of(&identity), email_of("ada@example.com")), (None, Some("ada@example.com")));
    }

    #[test]
    fn custodians_are_distinct() {
        assert_eq!(Custodians::parse(&[7, 3]).unwrap().to_text(), "3, 7");
        assert_eq!(Custodians::parse(&[]), Err(ValidationError::NoCustodians));
        assert_eq!(Custodians::parse(&[7, 3, 7]), Err(ValidationError::DuplicateCustodian { id: 7 }));
        assert!(Custodians::parse(&(1..=32).collect::<Vec<_>>()).is_ok());
        assert!(Custodians::parse(&(1..=33).collect::<Vec<_>>()).is_err());
    }

    #[test]
    fn each_kind_is_parsed_from_its_name() {
        for kind in [PersonKind::Person, PersonKind::Service] {
            assert_eq!(PersonKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(PersonKind::parse("Service"), None);
    }
}
