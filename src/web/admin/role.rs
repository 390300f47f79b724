//! The roles in the form of a person.

use crate::{
    domain::person::{Person, Role},
    web::{form_error::FormError, session_user::AdminUser},
};

/// The roles in the order of the form.
const ROLES: [Role; 3] = [Role::Member, Role::Administrator, Role::PlatformAdministrator];

/// A choice of the field `role`.
pub(super) struct RoleChoice {
    pub(super) value: &'static str,
    pub(super) label: &'static str,
    pub(super) is_available: bool,
}

impl RoleChoice {
    /// Returns the roles that `user` may see for a person. Only platform administrators see a role
    /// that the person cannot take.
    pub(super) fn list(user: &AdminUser, person: &Person) -> Vec<Self> {
        let choice = |role| RoleChoice {
            value: role_value(role),
            label: role_label(role),
            is_available: person.may_have_role(role),
        };
        let sees_all = user.person.can_manage_workspaces();
        ROLES.into_iter().map(choice).filter(|choice| choice.is_available || sees_all).collect()
    }
}

/// Returns the value of the field `role`.
pub(super) fn role_value(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Administrator => "administrator",
        Role::PlatformAdministrator => "platform-administrator",
    }
}

/// Returns the label of a role.
pub(super) fn role_label(role: Role) -> &'static str {
    match role {
        Role::Member => "Member",
        Role::Administrator => "Administrator",
        Role::PlatformAdministrator => "Platform administrator",
    }
}

/// Reads the field `role` of the form of a person.
pub(super) fn parse_role(value: &str, person: &Person) -> Result<Role, FormError> {
    match ROLES.into_iter().find(|role| role_value(*role) == value) {
        Some(role) if person.may_have_role(role) => Ok(role),
        Some(role) => Err(FormError::of_field("role", unavailable_role_message(role))),
        None => Err(FormError::of_field("role", "Choose one of the roles.")),
    }
}

/// Returns the reason why a person cannot take a role.
fn unavailable_role_message(role: Role) -> &'static str {
    match role {
        Role::PlatformAdministrator => "Only the operator of the service adds platform administrators.",
        Role::Member | Role::Administrator => {
            "A platform administrator cannot become an administrator of the workspace only. Choose Member instead."
        }
    }
}
