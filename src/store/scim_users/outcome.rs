//! The input and the results of changes of users by a provisioning client.

use uuid::Uuid;

use crate::domain::{
    event::{Action, Details},
    id::PersonId,
    person::{Email, PersonName},
    scim::{ScimAttributes, ScimCredential, ValidAttributes},
};

/// User to be created.
#[derive(Clone, Debug)]
pub struct NewScimUser {
    pub attributes: ValidAttributes,
    pub is_active: bool,
    /// ID of the external identity, if the credential has a provider.
    pub identity_id: Uuid,
}

/// Change of a user.
#[derive(Clone, Debug)]
pub struct ScimUserChange {
    pub attributes: ScimAttributes,
    /// Names of the attributes that change.
    pub changed: Vec<&'static str>,
    /// New e-mail address of the account; `None`: no change.
    pub email: Option<Email>,
    /// New name of the account; `None`: no change.
    pub name: Option<PersonName>,
    /// `None`: no change.
    pub is_active: Option<bool>,
    /// The client deletes the user.
    pub deletes: bool,
    /// Revision that the change was computed from.
    pub expected_revision: i64,
}

/// Result of a change by a provisioning client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScimUserOutcome {
    Changed(PersonId),
    /// Nothing changed: the client may see no such user.
    NotFound,
    /// Nothing changed: the user has another revision by now.
    Stale,
    /// Nothing changed: the user exists already.
    Taken,
    /// Nothing changed: a client cannot change the e-mail address of an administrator who signs in with
    /// a local password.
    AdministratorEmail,
    /// Nothing changed: the workspace would have no enabled administrator.
    LastAdministrator,
    /// Nothing changed: the service would have no enabled platform administrator.
    LastPlatformAdministrator,
    /// Nothing changed: no enabled administrator could sign in without the identity provider.
    LastLocalAdministrator,
}

/// State of a person before a change.
pub(super) struct Current {
    pub(super) email: String,
    pub(super) name: String,
    pub(super) is_admin: bool,
    pub(super) is_platform_admin: bool,
    pub(super) is_disabled: bool,
    pub(super) disabled_by_scim: bool,
    pub(super) has_local_password: bool,
    pub(super) is_local_administrator: bool,
    /// `None`: no client has changed the person yet.
    pub(super) scim_revision: Option<i64>,
    pub(super) scim_is_active: Option<bool>,
    /// The client deleted the user.
    pub(super) is_scim_deleted: bool,
}

crate::store::from_row!(Current {
    email,
    name,
    is_admin,
    is_platform_admin,
    is_disabled,
    disabled_by_scim,
    has_local_password,
    is_local_administrator,
    scim_revision,
    scim_is_active,
    is_scim_deleted
});

/// State of a person after a change.
pub(super) struct Changed {
    pub(super) email: String,
    pub(super) is_disabled: bool,
    pub(super) disabled_by_scim: bool,
}

crate::store::from_row!(Changed { email, is_disabled, disabled_by_scim });

impl ScimUserChange {
    /// Returns the new account of a new user, or of one who is taken over.
    pub(super) fn take_over(new: &NewScimUser, current: &Current) -> Self {
        let ValidAttributes { attributes, email, name } = new.attributes.clone();
        Self {
            changed: vec!["userName", "externalId", "displayName", "name", "emails"],
            email: Some(email).filter(|email| email.as_str() != current.email),
            name: Some(name).filter(|name| name.as_str() != current.name),
            is_active: Some(new.is_active),
            deletes: false,
            expected_revision: current.scim_revision.unwrap_or(0),
            attributes,
        }
    }

    /// Returns whether the change changes nothing.
    pub(super) fn is_noop(&self, current: &Current) -> bool {
        let keeps_state = self.is_active.is_none_or(|active| {
            // The operator may have lifted what the client disabled.
            active == current.scim_is_active.unwrap_or(true) && active != current.disabled_by_scim
        });
        self.changed.is_empty() && keeps_state && !self.deletes
    }

    /// Returns whether the person is disabled after the change, as far as the client decides.
    pub(super) fn disables(&self, current: &Current) -> bool {
        !self.is_active.or(current.scim_is_active).unwrap_or(true)
    }

    /// Returns the outcome if the change is not possible in this state.
    pub(super) fn rejection(&self, current: &Current) -> Option<ScimUserOutcome> {
        if current.scim_revision.unwrap_or(0) != self.expected_revision {
            return Some(ScimUserOutcome::Stale);
        }
        // A platform administrator who was demoted can become one again.
        let has_rights = current.is_admin || current.is_platform_admin;
        let is_protected = has_rights && current.has_local_password;
        (self.email.is_some() && is_protected).then_some(ScimUserOutcome::AdministratorEmail)
    }

    /// Returns the events of the change, in order.
    pub(super) fn events(
        &self,
        credential: &ScimCredential,
        before: &Current,
        after: &Changed,
    ) -> Vec<(Action, Details)> {
        let provider = credential.provider.as_ref().map(|provider| provider.name.as_str());
        let by = Details::default().with("by", "scim").with_some("provider", provider);
        let mut events = Vec::new();
        match (before.disabled_by_scim, after.disabled_by_scim) {
            (false, true) => events.push((Action::PersonDisabled, by.clone())),
            (true, false) => events.push((Action::PersonEnabled, by.clone())),
            _ => {}
        }
        let previous = self.email.as_ref().map(|_| before.email.as_str());
        if !self.changed.is_empty() {
            let details = by
                .clone()
                .with_some("email", self.email.as_ref().map(Email::as_str))
                .with_some("previousEmail", previous)
                .with_some("name", self.name.as_ref().map(PersonName::as_str))
                .with("attributes", self.changed.join(", "));
            events.push((Action::PersonChanged, details));
        }
        if self.deletes {
            events.push((Action::PersonDeprovisioned, by));
        }
        events
    }
}
