//! The protection of platform administrators from other administrators.

use super::People;
use crate::{
    domain::{authority::RequiredRole, id::PersonId, person::Person},
    service::{Error, Result},
};
use tokenward_guard::Principal;

impl People {
    /// Checks that the caller may administer a person of the own workspace.
    ///
    /// # Errors
    /// [`Error::NotAdministrator`] if the caller is not an administrator, [`Error::ProtectedPerson`]
    /// for a platform administrator unless the caller is one or that person.
    pub fn ensure_administrable(caller: &Principal, person: &Person) -> Result<()> {
        if !caller.is_admin {
            return Err(Error::NotAdministrator);
        }
        ensure_not_protected(caller, person)
    }
}

/// Returns the role required to administer `person`, see [`ensure_not_protected`].
pub(in crate::service) fn role_over(caller: &Principal, person: &Person) -> RequiredRole {
    let is_protected = person.is_platform_admin && PersonId::of(caller) != person.id;
    if is_protected { RequiredRole::PlatformAdministrator } else { RequiredRole::Administrator }
}

/// Checks that the caller may administer `person`. Only a platform administrator may administer
/// another one: otherwise an administrator of workspace 1 could take over the account of a platform
/// administrator.
pub(in crate::service) fn ensure_not_protected(caller: &Principal, person: &Person) -> Result<()> {
    let is_own = PersonId::of(caller) == person.id;
    if person.is_platform_admin && !is_own && !caller.is_platform_admin { Err(Error::ProtectedPerson) } else { Ok(()) }
}
