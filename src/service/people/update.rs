//! Updates of people: who may change which field.

use super::{
    ActorKind, People, UpdatePerson, check_outcome, ensure_not_protected, role_over,
    service_accounts::validate_service_update,
};
use crate::{
    domain::{
        ValidationError,
        authority::{RequiredRole, VerifiedCredential},
        directory_attempts::{AttemptDigest, AttemptPlace},
        id::{PersonId, WorkspaceId},
        password::Password,
        person::{Email, EmailKey, Person, PersonName, TokenAccess},
        time::Timestamp,
    },
    service::{
        Error, Login, Result,
        error::{email_taken, name_taken},
        password::HasherBusy,
    },
    store::PersonChange,
};

impl People {
    /// Updates a person of a workspace. Either all fields are updated or none. Returns the time of
    /// the update.
    ///
    /// # Errors
    /// [`Error::AdminOnlyField`] if the caller may not set a field; fields are never ignored.
    /// [`Error::UnrestrictedOnlyField`] if the caller's token has scopes and no such token sets a field.
    /// [`Error::PasswordCredentialRequired`] if a token changes the password of its owner.
    /// [`Error::CallerRevoked`] if the password was changed since the caller verified it.
    /// [`Error::LastAdministrator`] and [`Error::LastPlatformAdministrator`] if none would be left.
    pub async fn update(
        &self,
        initiator: ActorKind<'_>,
        workspace_id: WorkspaceId,
        id: PersonId,
        change: &UpdatePerson<'_>,
    ) -> Result<Timestamp> {
        let person = self.store.find_person(workspace_id, id).await?.ok_or(Error::PersonNotFound)?;
        initiator.ensure_may_set("password", change.password.is_some())?;
        initiator.ensure_may_set("email", change.email.is_some())?;
        initiator.ensure_may_set("isAdmin", change.is_admin.is_some())?;
        initiator.ensure_may_set("custodians", change.custodians.is_some())?;
        // The name of a service account is its identity, as the e-mail is that of a person.
        initiator.ensure_may_set("name", change.name.is_some() && person.is_service_account())?;
        authorize_update(initiator, &person, change)?;
        let validated = self.validate_update(initiator, &person, change).await?;
        let mutation = initiator.mutation(&self.mutations, required_role(initiator, &person, change));
        let taken = if person.is_service_account() { name_taken } else { email_taken };
        let update = self.store.update_person(workspace_id, id, &validated, &mutation).await;
        check_outcome(self.node.revoke_and_wait(&mutation.context.request, update).await.map_err(taken)?)?;
        if change.is_disabled == Some(false) {
            self.reset_directory_attempts(&person).await?;
        }
        Ok(mutation.context.at)
    }

    /// Forgets the wrong passwords of a person of a directory, so that the next one is asked about.
    async fn reset_directory_attempts(&self, person: &Person) -> Result<()> {
        for identity in self.store.list_identities_of(person.id).await? {
            for place in AttemptPlace::ALL {
                let account = AttemptDigest::of_entry(&identity.provider, &identity.subject, place);
                self.store.reset_directory_attempts(&account).await?;
            }
        }
        Ok(())
    }

    async fn validate_update(
        &self,
        initiator: ActorKind<'_>,
        person: &Person,
        change: &UpdatePerson<'_>,
    ) -> Result<PersonChange> {
        if person.is_service_account() {
            return validate_service_update(change);
        }
        if change.custodians.is_some() {
            return Err(ValidationError::ForServiceAccountsOnly { field: "custodians" }.into());
        }
        let mut validated = PersonChange {
            email: change.email.map(Email::parse).transpose()?,
            name: change.name.map(PersonName::parse).transpose()?,
            password_hash: None,
            is_admin: change.is_admin,
            is_disabled: change.is_disabled,
            token_access: change.token_access.map(TokenAccess::parse).transpose()?,
            force_password_change: change.force_password_change,
            notify_on_expiry: change.notify_on_expiry,
            expected_password_hash: change.proof.and_then(expected_hash),
            ..PersonChange::default()
        };
        let is_forced = change.force_password_change == Some(true);
        if let (true, Some(provider), false) = (is_forced, &person.provider, person.has_password) {
            return Err(Error::PasswordOfProvider { provider: provider.clone() });
        }
        if let Some(new_password) = change.password {
            // The operator may give a local password to a person of a directory that is gone.
            if let (ActorKind::Person(_), Some(provider), false) = (initiator, &person.provider, person.has_password) {
                return Err(Error::PasswordOfProvider { provider: provider.clone() });
            }
            let email = validated.email.as_ref().map_or(person.email.as_str(), Email::as_str);
            let name = validated.name.as_ref().map_or(person.name.as_str(), PersonName::as_str);
            let workspace = self.store.find_workspace(person.workspace_id).await?.ok_or(Error::PersonNotFound)?;
            let password = self.policy.validate(new_password, &[email, name, &workspace.name])?;
            if is_self(initiator, person) {
                if person.force_password_change {
                    self.ensure_password_changed(person, &password).await?;
                }
                validated.force_password_change = change.force_password_change.or(Some(false));
            }
            validated.password_hash = Some(self.hash(&password).await?);
        }
        Ok(validated)
    }

    /// Checks that a person who must change the password does not set the same password again.
    async fn ensure_password_changed(&self, person: &Person, password: &Password) -> Result<()> {
        let key = EmailKey::from_text(&person.email);
        let current = self.store.find_person_by_email(&key).await?.and_then(|found| found.password_hash);
        let permit = self.hasher.reserve().map_err(|HasherBusy| Error::HasherBusy)?;
        let is_same =
            self.hasher.verify(password, current.as_deref(), permit).await.map_err(|HasherBusy| Error::HasherBusy)?;
        if is_same { Err(ValidationError::PasswordUnchanged.into()) } else { Ok(()) }
    }
}

/// Returns the hash that the person must still have; `None` if a directory verified the password.
fn expected_hash(login: &Login) -> Option<String> {
    if let VerifiedCredential::Password(hash) = &login.credential { Some(hash.0.clone()) } else { None }
}

fn is_self(initiator: ActorKind<'_>, person: &Person) -> bool {
    matches!(initiator, ActorKind::Person(actor) if PersonId::of(actor) == person.id)
}

/// Checks that the initiator may set these fields of `person`.
fn authorize_update(initiator: ActorKind<'_>, person: &Person, change: &UpdatePerson<'_>) -> Result<()> {
    let ActorKind::Person(caller) = initiator else { return Ok(()) };
    let is_own = PersonId::of(caller) == person.id;
    if !is_own && !caller.is_admin {
        return Err(Error::NotAdministrator);
    }
    if let Some(field) = change.admin_only_field(person)
        && !caller.is_admin
    {
        return Err(Error::AdminOnlyField { field });
    }
    if is_own && change.password.is_some() && caller.token().is_some() {
        return Err(Error::PasswordCredentialRequired);
    }
    ensure_not_protected(caller, person)
}

/// Returns the role that an update of `person` requires.
fn required_role(initiator: ActorKind<'_>, person: &Person, change: &UpdatePerson<'_>) -> RequiredRole {
    let ActorKind::Person(caller) = initiator else { return RequiredRole::Administrator };
    if PersonId::of(caller) != person.id || change.admin_only_field(person).is_some() {
        return role_over(caller, person);
    }
    let is_password_only = change.password.is_some() && change.name.is_none() && change.notify_on_expiry.is_none();
    if is_password_only { RequiredRole::PasswordChanger } else { RequiredRole::Member }
}
