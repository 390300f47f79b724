//! People: accounts, their names and e-mail addresses, and their access to tokens.

use idna::uts46::{AsciiDenyList, Hyphens, Uts46};
use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization as _;

use super::{
    ValidationError,
    external_identity::DisabledBy,
    id::{PersonId, WorkspaceId},
    service_account::{self, PersonKind},
    text_rules,
    time::Timestamp,
};

/// An account in one workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub id: PersonId,
    pub workspace_id: WorkspaceId,
    pub kind: PersonKind,
    /// The identity: the e-mail of a person, `service:` and the name of a service account.
    /// [`Person::email`] is `None` for the latter.
    pub email: String,
    pub name: String,
    pub is_admin: bool,
    /// Manages the service's workspaces. Only in workspace 1, and effective only while `is_admin`
    /// is set.
    pub is_platform_admin: bool,
    pub is_disabled: bool,
    /// The parties that disabled the account; none of them while `is_disabled` is not set.
    pub disabled_by: DisabledBy,
    /// A directory made the person an administrator, and takes the role back.
    pub admin_by_directory: bool,
    pub token_access: TokenAccess,
    pub force_password_change: bool,
    /// The person receives e-mail about tokens that expire soon.
    pub notify_on_expiry: bool,
    /// If not, the person cannot sign in until a password is set.
    pub has_password: bool,
    /// The identity provider through which the person signs in; `None`: by password only.
    pub provider: Option<String>,
    /// The login at the identity provider.
    pub sso_principal: Option<String>,
    /// When the password was last used, on a page or by the API, with a precision of one minute.
    pub last_login_at: Option<Timestamp>,
    /// When the person last signed in on a page.
    pub last_sign_in_at: Option<Timestamp>,
    /// The custodians of a service account, enabled or not, by ID.
    pub custodians: Vec<PersonId>,
    /// A custodian of the service account is enabled.
    pub has_enabled_custodian: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Person {
    /// Returns whether the person's tokens may authenticate, as far as this depends on the person.
    #[must_use]
    pub fn can_use_tokens(&self) -> bool {
        !self.is_disabled && self.token_access.allows_use()
    }

    /// Returns the e-mail; `None` for a service account.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        service_account::email_of(&self.email)
    }

    /// Returns whether the account is a service account.
    #[must_use]
    pub fn is_service_account(&self) -> bool {
        self.kind == PersonKind::Service
    }

    /// Returns whether the account is a service account without an enabled custodian.
    #[must_use]
    pub fn is_unowned(&self) -> bool {
        self.is_service_account() && !self.has_enabled_custodian
    }

    /// Returns the person's role.
    #[must_use]
    pub fn role(&self) -> Role {
        match (self.is_admin, self.is_platform_admin) {
            (false, _) => Role::Member,
            (true, false) => Role::Administrator,
            (true, true) => Role::PlatformAdministrator,
        }
    }

    /// Returns whether the person may take a role. The flag `is_platform_admin` decides which role
    /// an administrator has. Only the operator sets it.
    #[must_use]
    pub fn may_have_role(&self, role: Role) -> bool {
        match role {
            Role::Member => true,
            Role::Administrator => !self.is_platform_admin,
            Role::PlatformAdministrator => self.is_platform_admin,
        }
    }

    /// Returns whether the person may manage the service's workspaces. A demoted administrator
    /// keeps the `is_platform_admin` flag, but not the right.
    #[must_use]
    pub fn can_manage_workspaces(&self) -> bool {
        self.is_admin && self.is_platform_admin
    }
}

/// The role of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A person without administrator rights.
    Member,
    /// An administrator of the workspace.
    Administrator,
    /// An administrator of workspace 1 who also manages the service's workspaces.
    PlatformAdministrator,
}

/// A person's permission to generate and use tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenAccess {
    /// Generating follows the workspace's `allowUsers` setting; using is allowed.
    #[default]
    Default,
    /// Generating and using are allowed, even if `allowUsers` is off.
    Enabled,
    /// Neither generating nor using is allowed.
    Disabled,
}

impl TokenAccess {
    /// Returns the name in the API and the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }

    /// Returns whether tokens may be used. Generating depends on further conditions.
    #[must_use]
    pub const fn allows_use(self) -> bool {
        !matches!(self, Self::Disabled)
    }

    /// Parses `default`, `enabled` or `disabled`.
    ///
    /// # Errors
    /// [`ValidationError::TokenAccess`] for any other word.
    pub fn parse(word: &str) -> Result<Self, ValidationError> {
        match word {
            "default" => Ok(Self::Default),
            "enabled" => Ok(Self::Enabled),
            "disabled" => Ok(Self::Disabled),
            _ => Err(ValidationError::TokenAccess),
        }
    }
}

/// An e-mail address in its displayed form: trimmed, in NFC, with an internationalized domain in
/// Unicode (UTS #46), and otherwise as typed. At most 254 bytes (RFC 5321, section 4.5.3.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// The maximum length, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 254;

    /// Parses an address: one `@` with text on both sides, no spaces, no control characters, and no
    /// colon, because a colon ends the user name in Basic authentication (RFC 7617, section 2).
    ///
    /// # Errors
    /// [`ValidationError::TooLong`] over [`Email::MAX_BYTES`],
    /// [`ValidationError::ForbiddenCharacter`] and [`ValidationError::EmailInvisibleCharacter`] for
    /// control and invisible characters, [`ValidationError::Email`] for any other malformed
    /// address.
    pub fn parse(text: &str) -> Result<Self, ValidationError> {
        if text.len() > Self::MAX_BYTES * 4 {
            return Err(ValidationError::TooLong { field: "email", max: Self::MAX_BYTES });
        }
        let text: String = text.trim().nfc().collect();
        text_rules::validate_single_line("email", &text, Self::MAX_BYTES)?;
        if let Some(character) = text.chars().find(|c| text_rules::is_invisible(*c)) {
            return Err(ValidationError::EmailInvisibleCharacter { character });
        }
        let text = match text.split('@').collect::<Vec<_>>()[..] {
            [local, domain] if !local.is_empty() => {
                let plain = Some(domain).filter(|domain| is_plain_ascii(domain)).map(str::to_owned);
                let domain = plain.or_else(|| canonical_domain(domain)).filter(|domain| is_host_name(domain));
                let domain = domain.ok_or(ValidationError::Email)?;
                format!("{local}@{domain}")
            }
            _ => return Err(ValidationError::Email),
        };
        if text.chars().any(|c| c.is_whitespace() || ":,;<>\"()[]\\".contains(c)) {
            return Err(ValidationError::Email);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(ValidationError::TooLong { field: "email", max: Self::MAX_BYTES });
        }
        Ok(Self(text))
    }

    /// Returns the address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the key that all spellings of the address share. Keys are unique among accounts and
    /// used for look-ups.
    #[must_use]
    pub fn key(&self) -> EmailKey {
        EmailKey::from_text(&self.0)
    }
}

/// Returns whether a text consists of labels with dots between them, none of which is empty or
/// begins or ends with a hyphen.
fn is_host_name(text: &str) -> bool {
    text.split('.').all(|label| !(label.is_empty() || label.starts_with('-') || label.ends_with('-')))
}

/// Returns whether a domain name is ASCII without `xn--` labels, so that its spellings differ in
/// case only.
fn is_plain_ascii(domain: &str) -> bool {
    let is_encoded = |label: &str| label.as_bytes().get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"xn--"));
    domain.is_ascii() && !domain.split('.').any(is_encoded)
}

/// Returns the canonical form of a domain name: lower case, and Unicode if it is internationalized,
/// so that `xn--mnchen-3ya.de` and `münchen.de` are the same name. Browsers convert between the two
/// forms, and mail is delivered to both.
///
/// An `xn--` label whose Unicode form cannot be displayed stays encoded. Returns `None` for Unicode
/// that is not a domain name.
fn canonical_domain(domain: &str) -> Option<String> {
    // `str::to_lowercase` would convert a final sigma differently.
    let lower: String = domain.chars().flat_map(char::to_lowercase).collect();
    if is_plain_ascii(&lower) {
        return Some(lower);
    }
    let (unicode, result) = Uts46::new().to_unicode(lower.as_bytes(), AsciiDenyList::URL, Hyphens::Allow);
    // A reader of the name must see all of its characters.
    if result.is_ok() && !unicode.chars().any(text_rules::is_invisible) {
        return Some(unicode.into_owned());
    }
    lower.is_ascii().then_some(lower)
}

/// The canonical form of an e-mail address: no invisible characters, trimmed, NFC, lower case, the
/// domain in Unicode.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EmailKey(String);

impl EmailKey {
    /// Returns the key of any text, valid or not. The key of a text that is not an address matches
    /// no account.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let visible: String = text.chars().filter(|c| !text_rules::is_invisible(*c)).collect();
        // Lower case can leave NFC (İ becomes i and a combining dot), so the text is normalized
        // again.
        let lower: String = visible.trim().nfc().map(replace_nul).flat_map(char::to_lowercase).collect();
        let lower: String = lower.nfc().collect();
        let canonical = lower.rsplit_once('@').and_then(|(local, domain)| Some((local, canonical_domain(domain)?)));
        Self(canonical.map_or(lower.clone(), |(local, domain)| format!("{local}@{domain}")))
    }

    /// Returns the key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl EmailKey {
    /// Returns the digest that is stored instead of an e-mail that has no account.
    #[must_use]
    pub fn digest(&self) -> EmailDigest {
        EmailDigest(Sha256::digest(self.0.as_bytes()).into())
    }
}

/// The SHA-256 of an [`EmailKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EmailDigest([u8; 32]);

impl EmailDigest {
    /// Returns the 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Replaces U+0000, which PostgreSQL rejects in text, by a comma. No address contains a comma, so
/// the key still matches no account, also after it is trimmed again.
fn replace_nul(c: char) -> char {
    if c == '\0' { ',' } else { c }
}

/// A person's name: one line, at most 255 characters, may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonName(String);

impl PersonName {
    /// The maximum length, in Unicode scalar values.
    pub const MAX_CHARS: usize = 255;

    /// Parses a name. Trims it and converts it to NFC.
    ///
    /// # Errors
    /// [`ValidationError::TooLong`] over [`PersonName::MAX_CHARS`],
    /// [`ValidationError::ForbiddenCharacter`] for control characters, line breaks and overrides of
    /// the writing direction.
    pub fn parse(text: &str) -> Result<Self, ValidationError> {
        let text: String = text.trim().nfc().collect();
        text_rules::validate_single_line("name", &text, Self::MAX_CHARS)?;
        Ok(Self(text))
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests;
