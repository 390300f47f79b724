//! Who is calling, or why nobody is let in.

use std::{fmt, future::Future, sync::Arc, time::SystemTime};

use crate::value::Presented;

/// Says who holds a presented token.
///
/// There are two: in the service itself against its store, and, with the feature `remote`, over HTTP for services elsewhere.
pub trait Verify: Clone + Send + Sync + 'static {
    /// Resolves a bearer to its holder.
    ///
    /// # Errors
    /// [`Denied::Invalid`] where the token opens nothing, [`Denied::Unavailable`] where that could not be found out.
    fn verify(&self, presented: Presented<'_>) -> impl Future<Output = Result<Principal, Denied>> + Send;
}

/// Why a request is refused before it reaches the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// There is no credential.
    #[error("no credential was presented")]
    Missing,
    /// There is a credential that no reading of RFC 6750 or 9110 allows, such as two `Authorization` fields.
    #[error("the Authorization header is malformed")]
    Malformed,
    /// The credential opens nothing. The cause is for logs and metrics; the caller is told the same whatever it is.
    #[error("the credential was refused: {0}")]
    Invalid(Cause),
    /// The caller is somebody, but not whom the layer asks for: another workspace, or no administrator.
    #[error("the caller is not permitted")]
    Forbidden,
    /// Whether the credential is good could not be found out. This is never a "no".
    #[error("the credential could not be checked")]
    Unavailable,
}

/// What was wrong with a credential. Never shown to whoever presented it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// It is not of a shape that any credential has.
    #[error("not a credential")]
    Shape,
    /// There is no such token: never made, or deleted.
    #[error("unknown token")]
    UnknownToken,
    /// The token's lifetime is over.
    #[error("expired")]
    Expired,
    /// The person's account is disabled.
    #[error("person disabled")]
    PersonDisabled,
    /// The person may not use tokens.
    #[error("token access disabled")]
    AccessDisabled,
    /// The token is good, but the workspace has switched tokens off.
    #[error("feature off")]
    FeatureOff,
    /// A Tokenward elsewhere says that it opens nothing, and not why.
    #[error("inactive")]
    Inactive,
    /// No account has this e-mail.
    #[error("unknown e-mail")]
    UnknownEmail,
    /// The password is another.
    #[error("wrong password")]
    WrongPassword,
    /// Too many wrong passwords came before, so this one was not looked at.
    #[error("too many wrong passwords")]
    Throttled,
}

/// Who is calling: somebody, and the token that proved it. Cheap to clone. Made by a [`Verify`], and by nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct Principal {
    holder: Arc<Holder>,
    token: Option<TokenRef>,
}

/// What is known of a caller, whichever of the person's tokens is presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The person's number; never reused.
    pub person_id: i64,
    /// The person's workspace.
    pub workspace_id: i64,
    /// The e-mail the person signs in with.
    pub email: String,
    /// The person's name; may be empty.
    pub name: String,
    /// Whether the person administers the workspace.
    pub is_admin: bool,
    /// Whether the person manages the workspaces of the service.
    pub is_platform_admin: bool,
}

/// Which token was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRef {
    /// The token's id.
    pub id: TokenId,
    /// When it was made.
    pub issued_at: SystemTime,
    /// From when on it is refused; none means never.
    pub expires_at: Option<SystemTime>,
}

/// A token's id: a UUID in its hyphenated form. It is safe to show and to log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenId([u8; 36]);

impl TokenId {
    /// Takes 36 characters of the digits, letters and hyphens that a UUID is written with (RFC 9562, section 4).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id: [u8; 36] = text.as_bytes().try_into().ok()?;
        id.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-').then_some(Self(id))
    }

    /// Writes a UUID's 16 bytes as RFC 9562, section 4, says.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (n, byte) in bytes.into_iter().enumerate() {
            // Hyphens stand before the fifth, seventh, ninth and eleventh byte.
            at += usize::from(matches!(n, 4 | 6 | 8 | 10));
            text[at] = DIGITS[usize::from(byte >> 4)];
            text[at + 1] = DIGITS[usize::from(byte & 15)];
            at += 2;
        }
        Self(text)
    }

    /// The id as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // ASCII by its one constructor.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Principal {
    /// For verifiers: whoever calls this says that the holder has been proven, by this token or, without one, by password.
    #[must_use]
    pub fn new(holder: impl Into<Arc<Holder>>, token: Option<TokenRef>) -> Self {
        Self { holder: holder.into(), token }
    }

    /// The token presented; none where the person signed in by password.
    #[must_use]
    pub fn token(&self) -> Option<&TokenRef> {
        self.token.as_ref()
    }

    /// A principal for the tests of a service that stands behind the layer: an ordinary person of workspace 1 with a token.
    #[must_use]
    pub fn for_tests(person_id: i64, email: &str) -> Self {
        let holder = Holder {
            person_id,
            workspace_id: 1,
            email: email.to_owned(),
            name: String::new(),
            is_admin: false,
            is_platform_admin: false,
        };
        let id = TokenId(*b"00000000-0000-7000-8000-000000000000");
        Self::new(holder, Some(TokenRef { id, issued_at: SystemTime::UNIX_EPOCH, expires_at: None }))
    }
}

impl std::ops::Deref for Principal {
    type Target = Holder;

    fn deref(&self) -> &Holder {
        &self.holder
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal").field("holder", &self.holder).field("token", &self.token).finish()
    }
}
