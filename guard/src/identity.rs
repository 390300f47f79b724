//! The authenticated caller of a request.

use std::{fmt, future::Future, net::IpAddr, ops::Deref, sync::Arc, time::SystemTime};

use uuid::Uuid;

use crate::{AuthError, Scopes, token_format::BearerToken};

/// Resolves bearer tokens to their owners.
pub trait Verify: Clone + Send + Sync + 'static {
    /// Returns the owner of a token that a client presented. `client` is the client's address; `None` if it is not known, and tokens with
    /// allowed networks then do not authenticate.
    ///
    /// # Errors
    /// [`AuthError::Denied`] if the token does not authenticate, [`AuthError::Unavailable`] if the check could not be performed.
    fn verify(
        &self,
        token: BearerToken<'_>,
        client: Option<IpAddr>,
    ) -> impl Future<Output = Result<Principal, AuthError>> + Send;
}

/// The authenticated caller of a request: the owner, and the presented token if there was one. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Principal {
    identity: Arc<Identity>,
    token: Option<TokenInfo>,
}

/// A person, independent of the credential that was presented.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The person's ID; never reused.
    pub person_id: i64,
    /// The ID of the person's workspace.
    pub workspace_id: i64,
    /// The e-mail that the person signs in with; `service:` and the name for a service account.
    pub email: String,
    /// The person's name; may be empty.
    pub name: String,
    /// The person administers the workspace. Always `false` for the caller of a token with scopes.
    pub is_admin: bool,
    /// The person manages all workspaces of the service.
    pub is_platform_admin: bool,
}

/// Metadata of the presented token. Contains no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenInfo {
    /// The token ID, a UUID.
    pub id: Uuid,
    /// When the token was issued.
    pub issued_at: SystemTime,
    /// When the token stops authenticating: its expiry, or its deletion if that is scheduled earlier; `None`: never.
    pub expires_at: Option<SystemTime>,
    /// The token was replaced, and is deleted at `expires_at`.
    pub is_replaced: bool,
    /// The scopes of the token.
    pub scopes: Scopes,
}

impl Identity {
    /// Creates an identity without a name and without administrator rights. Set the remaining fields on the returned value.
    #[must_use]
    pub fn new(person_id: i64, workspace_id: i64, email: impl Into<String>) -> Self {
        Self {
            person_id,
            workspace_id,
            email: email.into(),
            name: String::new(),
            is_admin: false,
            is_platform_admin: false,
        }
    }
}

impl Identity {
    /// Returns `true` for a service account. Its [`email`](Self::email) is `service:` and its name, which no person's e-mail begins with.
    #[must_use]
    pub fn is_service_account(&self) -> bool {
        self.email.starts_with("service:")
    }
}

impl TokenInfo {
    /// Creates the facts of a token.
    #[must_use]
    pub const fn new(id: Uuid, issued_at: SystemTime, expires_at: Option<SystemTime>, scopes: Scopes) -> Self {
        Self { id, issued_at, expires_at, is_replaced: false, scopes }
    }
}

impl Principal {
    /// Creates a principal. Only verifiers call this: a principal asserts that the identity was proven, by `token` or, if it is `None`,
    /// by a password.
    #[must_use]
    pub fn new(identity: impl Into<Arc<Identity>>, token: Option<TokenInfo>) -> Self {
        Self { identity: identity.into(), token }
    }

    /// The presented token; `None` if the caller authenticated by password.
    #[must_use]
    pub fn token(&self) -> Option<&TokenInfo> {
        self.token.as_ref()
    }

    /// Returns `true` if the caller's token has this scope or is unrestricted, or if the caller authenticated by password.
    #[must_use]
    pub fn has_scope(&self, word: &str) -> bool {
        self.token.as_ref().is_none_or(|token| token.scopes.contains(word))
    }

    /// Returns `true` if no scopes restrict the caller: the token has none, or the caller authenticated by password.
    #[must_use]
    pub fn is_unrestricted(&self) -> bool {
        self.token.as_ref().is_none_or(|token| token.scopes.is_unrestricted())
    }

    /// Creates a principal for the tests of a service behind the layer: an ordinary person of workspace 1, with an unrestricted token.
    #[cfg(feature = "test-util")]
    #[must_use]
    pub fn for_tests(person_id: i64, email: &str) -> Self {
        let token = TokenInfo::new(Uuid::nil(), SystemTime::UNIX_EPOCH, None, Scopes::unrestricted());
        Self::new(Identity::new(person_id, 1, email), Some(token))
    }
}

impl Deref for Principal {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.identity
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal").field("identity", &self.identity).field("token", &self.token).finish()
    }
}
