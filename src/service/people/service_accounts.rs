//! Service accounts: creation, lists, and the rules for their fields.

use super::{ActorKind, People, UpdatePerson};
use crate::{
    domain::{
        ValidationError,
        authority::RequiredRole,
        id::{PersonId, WorkspaceId},
        person::{EmailKey, Person, TokenAccess},
        service_account::{Custodians, IDENTITY_PREFIX, ServiceName},
    },
    service::{Error, Result, error::name_taken, read_budget::ReadRequester},
    store::{AccountDetails, NewServiceAccount, PersonChange, ServiceAccountInsert},
};
use tokenward_guard::Principal;

/// The unvalidated fields of a new service account.
pub struct CreateServiceAccount<'a> {
    pub name: &'a str,
    /// The IDs of the custodians.
    pub custodians: &'a [i64],
    pub is_admin: bool,
}

impl People {
    /// Creates a service account in a workspace.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a field is not acceptable or a custodian is no enabled person of the
    /// workspace, [`Error::UnrestrictedOnlyField`] if the initiator's token has scopes,
    /// [`Error::ServiceNameTaken`], [`Error::WorkspaceNotFound`], [`Error::OlderNodes`].
    pub async fn add_service_account(
        &self,
        initiator: ActorKind<'_>,
        workspace_id: WorkspaceId,
        request: CreateServiceAccount<'_>,
    ) -> Result<Person> {
        initiator.ensure_may_set("custodians", true)?;
        let new = NewServiceAccount {
            name: ServiceName::parse(request.name)?,
            custodians: Custodians::parse(request.custodians)?,
            is_admin: request.is_admin,
        };
        let mutation = initiator.mutation(&self.mutations, RequiredRole::Administrator);
        match self.store.insert_service_account(workspace_id, &new, &mutation).await.map_err(name_taken)? {
            ServiceAccountInsert::Created(id) => {
                self.store.find_person(workspace_id, id).await?.ok_or(Error::PersonNotFound)
            }
            ServiceAccountInsert::WorkspaceNotFound => Err(Error::WorkspaceNotFound),
            ServiceAccountInsert::InvalidCustodian(id) => Err(invalid_custodian(id)),
            ServiceAccountInsert::OlderNodes => Err(Error::OlderNodes),
        }
    }

    /// Finds a person by e-mail address, or a service account by its identity such as `service:ci`, in
    /// any workspace. For the operator.
    ///
    /// # Errors
    /// [`Error::PersonNotFound`] if there is no such account.
    pub async fn find_by_identity(&self, identity: &str) -> Result<Person> {
        match identity.strip_prefix(IDENTITY_PREFIX).map(ServiceName::parse) {
            None => self.find_by_email(identity).await,
            Some(Err(_)) => Err(Error::PersonNotFound),
            Some(Ok(name)) => self.store.find_service_account(&name).await?.ok_or(Error::PersonNotFound),
        }
    }

    /// Finds a service account of the caller's workspace, for its custodians and for administrators.
    ///
    /// # Errors
    /// [`Error::PersonNotFound`] if there is no such service account, or the caller is neither.
    pub async fn find_service_account(&self, caller: &Principal, id: PersonId) -> Result<Person> {
        let account = self.store.find_person(WorkspaceId::of(caller), id).await?;
        let account = account.filter(Person::is_service_account).ok_or(Error::PersonNotFound)?;
        let is_visible = caller.is_admin || account.custodians.contains(&PersonId::of(caller));
        if is_visible { Ok(account) } else { Err(Error::PersonNotFound) }
    }

    /// Finds the enabled people of the caller's workspace with these e-mail addresses, and returns their
    /// IDs.
    ///
    /// # Errors
    /// [`Error::Invalid`] if an address is not that of such a person.
    pub async fn find_custodian_ids(&self, caller: &Principal, emails: &[&str]) -> Result<Vec<i64>> {
        let mut ids = Vec::with_capacity(emails.len());
        for email in emails {
            let found = self.store.find_person_by_email(&EmailKey::from_text(email)).await?;
            let found = found
                .map(|found| found.person)
                .filter(|person| person.workspace_id == WorkspaceId::of(caller) && !person.is_disabled);
            let unknown = || ValidationError::UnknownCustodian { email: (*email).to_owned() };
            ids.push(found.ok_or_else(unknown)?.id.get());
        }
        Ok(ids)
    }

    /// Returns the custodians and the numbers of active tokens of service accounts of the caller's
    /// workspace, which the caller has found before.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if the caller has too many reads in progress, [`Error::Unavailable`] if the
    /// database is unreachable or too slow.
    pub async fn account_details(&self, caller: &Principal, accounts: &[&Person]) -> Result<Vec<AccountDetails>> {
        let (store, workspace_id, now) = (self.store.clone(), WorkspaceId::of(caller), self.clock.now());
        let ids: Vec<PersonId> = accounts.iter().map(|account| account.id).collect();
        let query = async move { store.list_account_details(workspace_id, &ids, now).await };
        self.read_budget.run(ReadRequester::person(PersonId::of(caller)), query).await
    }

    /// Lists the first `limit` service accounts of which the caller is a custodian, by name.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if the caller has too many reads in progress, [`Error::Unavailable`] if the
    /// database is unreachable or too slow.
    pub async fn list_own_service_accounts(&self, caller: &Principal, limit: i64) -> Result<Vec<Person>> {
        let (store, workspace_id, caller) = (self.store.clone(), WorkspaceId::of(caller), PersonId::of(caller));
        let query = async move { store.list_accounts_of_custodian(workspace_id, caller, limit).await };
        self.read_budget.run(ReadRequester::person(caller), query).await
    }

    /// Returns whether the caller is a custodian of a service account.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn has_own_service_accounts(&self, caller: &Principal) -> Result<bool> {
        let (workspace_id, caller) = (WorkspaceId::of(caller), PersonId::of(caller));
        Ok(!self.store.list_accounts_of_custodian(workspace_id, caller, 1).await?.is_empty())
    }
}

/// Returns the error of a custodian who is not an enabled person of the workspace.
pub(super) fn invalid_custodian(id: PersonId) -> Error {
    ValidationError::InvalidCustodian { id: id.get() }.into()
}

/// Validates the changes of a service account.
pub(super) fn validate_service_update(change: &UpdatePerson<'_>) -> Result<PersonChange> {
    let fields = [
        ("email", change.email.is_some()),
        ("password", change.password.is_some()),
        ("forcePasswordChange", change.force_password_change.is_some()),
        ("notifyOnExpiry", change.notify_on_expiry.is_some()),
    ];
    if let Some((field, _)) = fields.into_iter().find(|(_, is_set)| *is_set) {
        return Err(ValidationError::NotForServiceAccounts { field }.into());
    }
    Ok(PersonChange {
        service_name: change.name.map(ServiceName::parse).transpose()?,
        custodians: change.custodians.map(Custodians::parse).transpose()?,
        is_admin: change.is_admin,
        is_disabled: change.is_disabled,
        token_access: change.token_access.map(TokenAccess::parse).transpose()?,
        ..PersonChange::default()
    })
}
