//! The result of a password login, the evidence that it may act.

use crate::domain::authority::VerifiedCredential;
use tokenward_guard::Principal;

/// A successful login with a password, which this service or a directory has verified.
#[derive(Clone, Debug)]
pub struct PasswordLogin {
    pub principal: Principal,
    /// The person must change the password before any other operation.
    pub must_change_password: bool,
    /// The stored hash that the password matched, or the external identity whose directory accepted
    /// it. The login is valid until the hash changes or the identity is removed.
    pub(super) credential: VerifiedCredential,
}
