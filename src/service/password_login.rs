//! The result of a password login, the evidence that it may act.

use crate::domain::authority::PasswordHash;
use tokenward_guard::Principal;

/// A successful password login.
#[derive(Clone, Debug)]
pub struct PasswordLogin {
    pub principal: Principal,
    /// The person must change the password before any other operation.
    pub must_change_password: bool,
    /// The stored hash that the password matched. The login is valid until the hash changes.
    pub(super) password_hash: PasswordHash,
}
