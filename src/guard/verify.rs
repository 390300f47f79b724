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
    fn verify(&self, presented: Presented) -> impl Future<Output = Result<Principal, Denied>> + Send;
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
}

/// Who is calling. Cheap to clone. Made by a [`Verify`], and by nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct Principal(Arc<Holder>);

/// What is known of a caller.
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
    /// The token presented; none where the person signed in by password.
    pub token: Option<TokenRef>,
}

/// Which token was presented. The id is safe to show and to log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRef {
    /// The token's id, a UUID in lower case.
    pub id: String,
    /// When it was made.
    pub issued_at: SystemTime,
    /// From when on it is refused; none means never.
    pub expires_at: Option<SystemTime>,
}

impl Principal {
    /// For verifiers: whoever calls this says that the holder has been proven.
    #[must_use]
    pub fn new(holder: Holder) -> Self {
        Self(Arc::new(holder))
    }

    /// A principal for the tests of a service that stands behind the layer: an ordinary person of workspace 1 with a token.
    #[must_use]
    pub fn for_tests(person_id: i64, email: &str) -> Self {
        Self(Arc::new(Holder {
            person_id,
            workspace_id: 1,
            email: email.to_owned(),
            name: String::new(),
            is_admin: false,
            is_platform_admin: false,
            token: Some(TokenRef {
                id: "00000000-0000-7000-8000-000000000000".to_owned(),
                issued_at: SystemTime::UNIX_EPOCH,
                expires_at: None,
            }),
        }))
    }
}

impl std::ops::Deref for Principal {
    type Target = Holder;

    fn deref(&self) -> &Holder {
        &self.0
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
