//! People: who may sign in, and what they may do with tokens.

use idna::uts46::{AsciiDenyList, Hyphens, Uts46};
use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization as _;

use super::{Invalid, text_rules, time::Timestamp};

/// Somebody with an account in one workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub id: i64,
    pub workspace_id: i64,
    pub email: String,
    pub name: String,
    pub is_admin: bool,
    /// Manages the service's workspaces; only in workspace 1, and only while also `is_admin`.
    pub is_platform_admin: bool,
    pub is_disabled: bool,
    pub token_access: TokenAccess,
    pub force_password_change: bool,
    pub last_login_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Person {
    /// Whether tokens of the person let anybody in, as far as that hangs on the person.
    #[must_use]
    pub fn may_use_tokens(&self) -> bool {
        !self.is_disabled && self.token_access.lets_use()
    }

    /// Whether the person manages the service's workspaces: a demoted administrator keeps the mark, but not the right.
    #[must_use]
    pub fn manages_workspaces(&self) -> bool {
        self.is_admin && self.is_platform_admin
    }
}

/// Whether a person may generate and use tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenAccess {
    /// Generating follows the workspace's `allowUsers`; using is allowed.
    #[default]
    Default,
    /// May generate although `allowUsers` is off.
    Enabled,
    /// May neither generate nor use.
    Disabled,
}

impl TokenAccess {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }

    /// Whether tokens may be used; who may generate hangs on more.
    #[must_use]
    pub const fn lets_use(self) -> bool {
        !matches!(self, Self::Disabled)
    }

    /// Reads `default`, `enabled` or `disabled`.
    ///
    /// # Errors
    /// [`Invalid::TokenAccess`] for any other word.
    pub fn parse(word: &str) -> Result<Self, Invalid> {
        match word {
            "default" => Ok(Self::Default),
            "enabled" => Ok(Self::Enabled),
            "disabled" => Ok(Self::Disabled),
            _ => Err(Invalid::TokenAccess),
        }
    }
}

/// An e-mail address as it is shown: trimmed, in NFC, an internationalized domain in Unicode (UTS #46), and otherwise as it was typed; at
/// most 254 bytes (RFC 5321, section 4.5.3.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// The longest address, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 254;

    /// Takes an address: one `@` with something on both sides, no spaces, no control characters, and no colon, because
    /// Basic authentication (RFC 7617, section 2) ends the name there.
    ///
    /// # Errors
    /// [`Invalid::Email`], [`Invalid::EmailInvisible`], [`Invalid::TooLong`] or [`Invalid::Control`].
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.len() > Self::MAX_BYTES * 4 {
            return Err(Invalid::TooLong { field: "email", max: Self::MAX_BYTES });
        }
        let text: String = text.trim().nfc().collect();
        text_rules::one_line("email", &text, Self::MAX_BYTES)?;
        if let Some(character) = text.chars().find(|c| text_rules::is_invisible(*c)) {
            return Err(Invalid::EmailInvisible { character });
        }
        let text = match text.split('@').collect::<Vec<_>>()[..] {
            [local, domain] if !local.is_empty() => {
                let typed = Some(domain).filter(|domain| is_plain(domain)).map(str::to_owned);
                let domain = typed.or_else(|| canonical_domain(domain)).filter(|domain| is_host_name(domain));
                let domain = domain.ok_or(Invalid::Email)?;
                format!("{local}@{domain}")
            }
            _ => return Err(Invalid::Email),
        };
        if text.chars().any(|c| c.is_whitespace() || ":,;<>\"()[]\\".contains(c)) {
            return Err(Invalid::Email);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(Invalid::TooLong { field: "email", max: Self::MAX_BYTES });
        }
        Ok(Self(text))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What two spellings of one address have in common: the form that is unique and looked up by.
    #[must_use]
    pub fn key(&self) -> EmailKey {
        EmailKey::of(&self.0)
    }
}

/// Labels with a dot between them, none of which is empty or begins or ends with a hyphen.
fn is_host_name(text: &str) -> bool {
    text.split('.').all(|label| !(label.is_empty() || label.starts_with('-') || label.ends_with('-')))
}

/// Returns whether a domain name has one form but for its case.
fn is_plain(domain: &str) -> bool {
    let is_encoded = |label: &str| label.as_bytes().get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"xn--"));
    domain.is_ascii() && !domain.split('.').any(is_encoded)
}

/// Returns the one form of a domain name: lower case, and Unicode where it is internationalized, so that `xn--mnchen-3ya.de` and
/// `münchen.de` are one name. Browsers turn either form into the other, and mail is delivered to both alike.
///
/// An `xn--` label that stands for nothing that could be shown stays as it is. None for Unicode that is no domain name.
fn canonical_domain(domain: &str) -> Option<String> {
    // Not `str::to_lowercase`, which writes a last sigma in another way.
    let lower: String = domain.chars().flat_map(char::to_lowercase).collect();
    if is_plain(&lower) {
        return Some(lower);
    }
    let (unicode, valid) = Uts46::new().to_unicode(lower.as_bytes(), AsciiDenyList::URL, Hyphens::Allow);
    // Whoever reads the name must see all of it.
    if valid.is_ok() && !unicode.chars().any(text_rules::is_invisible) {
        return Some(unicode.into_owned());
    }
    lower.is_ascii().then_some(lower)
}

/// The canonical form of an e-mail: no invisible characters, trimmed, NFC, lower case, the domain in Unicode.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EmailKey(String);

impl EmailKey {
    /// The key of whatever somebody typed, valid or not; a text that is no address matches nobody.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let visible: String = text.chars().filter(|c| !text_rules::is_invisible(*c)).collect();
        // Lower case can leave NFC (İ becomes i and a combining dot), so it is normalised again.
        let lower: String = visible.trim().nfc().map(without_nul).flat_map(char::to_lowercase).collect();
        let lower: String = lower.nfc().collect();
        let canonical = lower.rsplit_once('@').and_then(|(local, domain)| Some((local, canonical_domain(domain)?)));
        Self(canonical.map_or(lower.clone(), |(local, domain)| format!("{local}@{domain}")))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl EmailKey {
    /// What is kept of an e-mail that a stranger typed.
    #[must_use]
    pub fn digest(&self) -> EmailDigest {
        EmailDigest(Sha256::digest(self.0.as_bytes()).into())
    }
}

/// SHA-256 of an [`EmailKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EmailDigest([u8; 32]);

impl EmailDigest {
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Postgres takes no U+0000 in any text. No address has a comma, so this one goes on matching nobody, also when it is trimmed again.
fn without_nul(c: char) -> char {
    if c == '\0' { ',' } else { c }
}

/// A person's name: one line, at most 255 characters, may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonName(String);

impl PersonName {
    /// The most characters a name has.
    pub const MAX_CHARS: usize = 255;

    /// Takes a name, trimmed and in NFC.
    ///
    /// # Errors
    /// [`Invalid::TooLong`] or [`Invalid::Control`].
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text: String = text.trim().nfc().collect();
        text_rules::one_line("name", &text, Self::MAX_CHARS)?;
        Ok(Self(text))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests;
