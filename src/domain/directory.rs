//! Company directories: the identity provider's name, the kinds of directories, and what a
//! directory says about a person.

use std::fmt;

use super::person::{Email, PersonName};

/// The name of an identity provider: NAME of `[sso.NAME]`. From 1 to 32 characters of `a-z`, `0-9`
/// and hyphen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderName(String);

/// A text that is not the name of an identity provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of an identity provider must have from 1 to 32 characters of a-z, 0-9 and hyphen")]
pub struct InvalidProviderName;

impl ProviderName {
    /// The maximum length, in characters.
    pub const MAX_CHARS: usize = 32;

    /// Parses a name.
    ///
    /// # Errors
    /// [`InvalidProviderName`] for an empty or too long text and for any other character.
    pub fn parse(text: &str) -> Result<Self, InvalidProviderName> {
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_valid = (1..=Self::MAX_CHARS).contains(&text.len()) && text.bytes().all(is_allowed);
        if is_valid { Ok(Self(text.to_owned())) } else { Err(InvalidProviderName) }
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kind of a directory. Filters, attributes and the search for groups follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryKind {
    /// Microsoft Active Directory, or Samba as a domain controller.
    ActiveDirectory,
    /// `OpenLDAP`, with `inetOrgPerson` entries.
    OpenLdap,
    /// `FreeIPA`, or 389 Directory Server.
    FreeIpa,
}

/// A text that is not the name of a [`DirectoryKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kind of a directory must be active-directory, openldap or freeipa")]
pub struct InvalidDirectoryKind;

impl DirectoryKind {
    /// Returns the name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ActiveDirectory => "active-directory",
            Self::OpenLdap => "openldap",
            Self::FreeIpa => "freeipa",
        }
    }

    /// Parses `active-directory`, `openldap` or `freeipa`.
    ///
    /// # Errors
    /// [`InvalidDirectoryKind`] for any other word.
    pub fn parse(word: &str) -> Result<Self, InvalidDirectoryKind> {
        let kinds = [Self::ActiveDirectory, Self::OpenLdap, Self::FreeIpa];
        kinds.into_iter().find(|kind| kind.as_str() == word).ok_or(InvalidDirectoryKind)
    }
}

impl fmt::Display for DirectoryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The entry of a person in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryPerson {
    /// The distinguished name, as the directory spells it. It changes when the entry is moved.
    pub dn: String,
    /// The identifier that the entry keeps for its lifetime, in lower case: `objectGUID` in the
    /// text form of a GUID, with the first three fields in little-endian order, `entryUUID`,
    /// `ipaUniqueID` or `nsUniqueId`.
    pub subject: String,
    /// `sAMAccountName` or `uid`. The e-mail address, or else the DN, if the entry has none.
    pub login: String,
    /// `mail`, or else a `userPrincipalName` that has the form of an address.
    pub email: Option<Email>,
    /// `displayName`, or else `cn`. Empty if neither is a valid name.
    pub name: PersonName,
    /// The state of the account in the directory.
    pub state: EntryState,
}

impl DirectoryPerson {
    /// The maximum length of a label, in characters.
    const MAX_LABEL_CHARS: usize = 255;

    /// Returns the login for display, at most 255 characters.
    #[must_use]
    pub fn label(&self) -> String {
        self.login.chars().take(Self::MAX_LABEL_CHARS).collect()
    }
}

/// The state of an account in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryState {
    /// The account may sign in.
    Active,
    /// An administrator of the directory disabled or locked the account.
    Disabled,
    /// The account's expiry date is in the past.
    Expired,
}

/// The reason why a directory rejected a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryDenial {
    /// The password is wrong or empty.
    WrongPassword,
    /// The entry no longer exists.
    Unknown,
    /// The account is disabled.
    Disabled,
    /// The password has expired or must be changed before it is used.
    PasswordExpired,
    /// The account has expired.
    AccountExpired,
    /// The directory locked the account after wrong passwords.
    LockedOut,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_providers_have_1_to_32_plain_characters() {
        for name in ["a", "company-2", &"x".repeat(32)] {
            assert_eq!(ProviderName::parse(name).unwrap().to_string(), name);
        }
        for name in ["", "Company", "a b", "a.b", "ä", &"x".repeat(33)] {
            assert_eq!(ProviderName::parse(name), Err(InvalidProviderName), "{name}");
        }
    }

    #[test]
    fn kinds_of_directories_are_parsed_by_name() {
        for kind in [DirectoryKind::ActiveDirectory, DirectoryKind::OpenLdap, DirectoryKind::FreeIpa] {
            assert_eq!(DirectoryKind::parse(&kind.to_string()), Ok(kind));
        }
        assert_eq!(DirectoryKind::parse("ldap"), Err(InvalidDirectoryKind));
    }
}
