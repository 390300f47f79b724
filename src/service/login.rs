//! The result of a login, the evidence that it may act.

use crate::domain::{authority::VerifiedCredential, time::Timestamp};
use tokenward_guard::Principal;

/// A successful login: with a password, which this service or a directory has verified, or through an
/// identity provider.
#[derive(Clone, Debug)]
pub struct Login {
    pub principal: Principal,
    /// The person must change the password before any other operation.
    pub must_change_password: bool,
    /// The stored hash that the password matched, or the external identity whose provider
    /// authenticated it. The login is valid until the hash changes or the identity is removed.
    pub(super) credential: VerifiedCredential,
    /// The session at the identity provider, if it has an identifier.
    pub(super) provider_session_id: Option<String>,
    /// When the person authenticated, which may be long ago at an identity provider; `None`: just now.
    pub(super) authenticated_at: Option<Timestamp>,
}
