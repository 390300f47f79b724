//! People: creating, listing, updating, removing.

mod operator;
mod protection;
mod service_accounts;
mod update;

use crate::{
    cluster::Node,
    domain::{
        ValidationError,
        authority::{Mutation, RequiredRole},
        id::{PersonId, WorkspaceId},
        password::{Password, PasswordPolicy},
        person::{Email, Person, PersonName},
        time::Clock,
    },
    service::{
        Actor, Error, Login, Mutations, ReadBudget, Result,
        error::email_taken,
        list_pages::PersonPages,
        password::{Hasher, HasherBusy},
        read_budget::ReadRequester,
    },
    store::{NewPerson, Store, UpdateOutcome},
};
use tokenward_guard::Principal;

pub(super) use protection::{ensure_not_protected, role_over};
pub use service_accounts::CreateServiceAccount;

pub use crate::store::{AccountDetails, PageStart, PersonFilter, PersonSearch, PersonWithTokenCount};

/// The operations on people.
#[derive(Clone)]
pub struct People {
    store: Store,
    node: Node,
    clock: Clock,
    hasher: Hasher,
    policy: PasswordPolicy,
    read_budget: ReadBudget,
    mutations: Mutations,
    /// An identity provider is configured, so people without a password can be linked to it.
    has_providers: bool,
}

/// The initiator of an operation: the operator or a person.
#[derive(Clone, Copy, Debug)]
pub enum ActorKind<'a> {
    /// The operator at the command line of the server.
    Operator,
    Person(&'a Actor),
}

/// The unvalidated fields of a new person.
pub struct CreatePerson<'a> {
    pub email: &'a str,
    pub name: &'a str,
    pub password: &'a str,
    pub is_admin: bool,
    pub is_platform_admin: bool,
    /// The person must change the password before any other operation.
    pub force_password_change: bool,
}

/// The unvalidated fields of an update. `None` leaves a field unchanged.
#[derive(Default)]
pub struct UpdatePerson<'a> {
    pub email: Option<&'a str>,
    pub name: Option<&'a str>,
    pub password: Option<&'a str>,
    pub is_admin: Option<bool>,
    pub is_disabled: Option<bool>,
    pub token_access: Option<&'a str>,
    pub force_password_change: Option<bool>,
    /// `true`: the person receives e-mail about tokens that expire soon.
    pub notify_on_expiry: Option<bool>,
    /// The IDs of the custodians of a service account.
    pub custodians: Option<&'a [i64]>,
    /// The login that verified the current password, if the person changes their own. The update
    /// fails if the password was changed since.
    pub proof: Option<&'a Login>,
}

impl ActorKind<'_> {
    /// Returns the mutation that the store authorizes: by the operator, or by a person who must
    /// have `role`.
    pub(super) fn mutation(self, mutations: &Mutations, role: RequiredRole) -> Mutation {
        match self {
            Self::Operator => mutations.by_operator(),
            Self::Person(actor) => mutations.by_actor(actor, role),
        }
    }

    /// Checks that no token with scopes sets a field: it would get rights that its scopes do not give.
    ///
    /// # Errors
    /// [`Error::UnrestrictedOnlyField`] if `is_set` and the initiator's token has scopes.
    pub(super) fn ensure_may_set(self, field: &'static str, is_set: bool) -> Result<()> {
        match self {
            Self::Person(actor) if is_set && !actor.is_unrestricted() => Err(Error::UnrestrictedOnlyField { field }),
            Self::Person(_) | Self::Operator => Ok(()),
        }
    }

    /// Returns the requester for the read budget.
    pub(super) fn read_requester(self) -> ReadRequester {
        match self {
            Self::Operator => ReadRequester::operator(),
            Self::Person(caller) => ReadRequester::person(PersonId::of(caller)),
        }
    }
}

impl UpdatePerson<'_> {
    /// Returns the first field of `person` that only an administrator may set.
    fn admin_only_field(&self, person: &Person) -> Option<&'static str> {
        [
            ("name", self.name.is_some() && person.is_service_account()),
            ("custodians", self.custodians.is_some()),
            ("email", self.email.is_some()),
            ("isAdmin", self.is_admin.is_some()),
            ("isDisabled", self.is_disabled.is_some()),
            ("tokenAccess", self.token_access.is_some()),
            ("forcePasswordChange", self.force_password_change.is_some()),
        ]
        .into_iter()
        .find_map(|(field, is_set)| is_set.then_some(field))
    }
}

impl People {
    /// Creates the service.
    #[must_use]
    pub fn new(
        (store, node, clock, read_budget): (Store, Node, Clock, ReadBudget),
        hasher: Hasher,
        policy: PasswordPolicy,
        mutations: Mutations,
        has_providers: bool,
    ) -> Self {
        Self { store, node, clock, hasher, policy, read_budget, mutations, has_providers }
    }

    /// Adds a person to a workspace.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a field is not acceptable, [`Error::EmailTaken`],
    /// [`Error::WorkspaceNotFound`], [`Error::PlatformAdministratorOutsideFirstWorkspace`] for a
    /// platform administrator of another workspace than the first.
    pub async fn add(
        &self,
        initiator: ActorKind<'_>,
        workspace_id: WorkspaceId,
        request: CreatePerson<'_>,
    ) -> Result<Person> {
        initiator.ensure_may_set("password", true)?;
        ensure_first_workspace(request.is_platform_admin, workspace_id)?;
        let workspace = self.store.find_workspace(workspace_id).await?.ok_or(Error::WorkspaceNotFound)?;
        let new = self.validate_new(request, &workspace.name).await?;
        let mutation = initiator.mutation(&self.mutations, RequiredRole::Administrator);
        let person = self.store.insert_person(workspace_id, &new, &mutation).await.map_err(email_taken)?;
        person.ok_or(Error::WorkspaceNotFound)
    }

    /// Adds a person without a password, who can only be linked to an identity provider.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a field is not acceptable or no identity provider is configured,
    /// [`Error::UnrestrictedOnlyField`] if the initiator's token has scopes, [`Error::EmailTaken`],
    /// [`Error::WorkspaceNotFound`].
    pub async fn add_without_password(
        &self,
        initiator: ActorKind<'_>,
        workspace_id: WorkspaceId,
        email: &str,
        name: &str,
        is_admin: bool,
    ) -> Result<Person> {
        initiator.ensure_may_set("email", true)?;
        if !self.has_providers {
            return Err(ValidationError::PasswordOrInviteMissing.into());
        }
        let new = NewPerson {
            email: Email::parse(email)?,
            name: PersonName::parse(name)?,
            password_hash: None,
            invite: None,
            is_admin,
            is_platform_admin: false,
            force_password_change: false,
        };
        let mutation = initiator.mutation(&self.mutations, RequiredRole::Administrator);
        let person = self.store.insert_person(workspace_id, &new, &mutation).await.map_err(email_taken)?;
        person.ok_or(Error::WorkspaceNotFound)
    }

    /// Validates the fields of a new person and hashes the password.
    pub(super) async fn validate_new(&self, request: CreatePerson<'_>, workspace_name: &str) -> Result<NewPerson> {
        let email = Email::parse(request.email)?;
        let name = PersonName::parse(request.name)?;
        let words = [email.as_str(), name.as_str(), workspace_name];
        let password_hash = self.hash_new_password(request.password, &words).await?;
        Ok(NewPerson {
            email,
            name,
            password_hash: Some(password_hash),
            invite: None,
            is_admin: request.is_admin,
            is_platform_admin: request.is_platform_admin,
            force_password_change: request.force_password_change,
        })
    }

    /// Validates a new password and hashes it. `account_words` are words that an attacker knows about
    /// the account.
    pub(super) async fn hash_new_password(&self, text: &str, account_words: &[&str]) -> Result<String> {
        self.hash(&self.policy.validate(text, account_words)?).await
    }

    async fn hash(&self, password: &Password) -> Result<String> {
        self.hasher.hash(password).await.map_err(|HasherBusy| Error::HasherBusy)
    }

    /// Frees the unused memory of the password hasher.
    pub(super) fn release_hashing_buffers(&self) {
        self.hasher.release_buffers();
    }

    /// Lists the people and service accounts of a workspace by ID. For the operator.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn list(&self, workspace_id: WorkspaceId, after: Option<PersonId>, limit: i64) -> Result<Vec<Person>> {
        let store = self.store.clone();
        let query =
            async move { store.list_people_after(workspace_id, &PersonFilter::default(), after, (limit, 0)).await };
        self.read_budget.run(ReadRequester::operator(), query).await
    }

    /// Lists people of the administrator's workspace by ID, page by page, with the total number if
    /// `count` is set. `part` is limit and offset.
    ///
    /// # Errors
    /// [`Error::NotAdministrator`] if the caller is not an administrator, [`Error::RateLimited`] if
    /// the caller has too many reads in progress.
    pub async fn pages(
        &self,
        administrator: &Principal,
        filter: PersonFilter,
        part: (i64, i64),
        count: bool,
    ) -> Result<(PersonPages, Option<i64>)> {
        if !administrator.is_admin {
            return Err(Error::NotAdministrator);
        }
        let count = if count {
            let (store, workspace_id, filter) = (self.store.clone(), WorkspaceId::of(administrator), filter.clone());
            let query = async move { store.count_people(workspace_id, &filter).await };
            Some(self.read_budget.run(ReadRequester::person(PersonId::of(administrator)), query).await?)
        } else {
            None
        };
        let pages = PersonPages::new(self.read_budget.clone(), self.store.clone(), administrator, filter, part);
        Ok((pages, count))
    }

    /// Lists people of the administrator's workspace by e-mail address, each with the number of
    /// active tokens.
    ///
    /// # Errors
    /// [`Error::NotAdministrator`] if the caller is not an administrator, [`Error::RateLimited`] if
    /// the caller has too many reads in progress.
    pub async fn list_with_token_counts(
        &self,
        administrator: &Principal,
        filter: &PersonSearch,
        start: &PageStart,
        limit: i64,
    ) -> Result<Vec<PersonWithTokenCount>> {
        if !administrator.is_admin {
            return Err(Error::NotAdministrator);
        }
        let (store, workspace_id, now) = (self.store.clone(), WorkspaceId::of(administrator), self.clock.now());
        let (filter, start) = (filter.clone(), start.clone());
        let query = async move { store.list_people_with_token_counts(workspace_id, &filter, &start, now, limit).await };
        self.read_budget.run(ReadRequester::person(PersonId::of(administrator)), query).await
    }

    /// Counts the people of the administrator's workspace that match the filter.
    ///
    /// # Errors
    /// [`Error::NotAdministrator`] if the caller is not an administrator, [`Error::RateLimited`] if
    /// the caller has too many reads in progress.
    pub async fn count(&self, administrator: &Principal, filter: &PersonSearch) -> Result<i64> {
        if !administrator.is_admin {
            return Err(Error::NotAdministrator);
        }
        let (store, workspace_id, filter) = (self.store.clone(), WorkspaceId::of(administrator), filter.clone());
        let query = async move { store.count_found_people(workspace_id, &filter).await };
        self.read_budget.run(ReadRequester::person(PersonId::of(administrator)), query).await
    }

    /// Returns the e-mail addresses of up to three administrators of a workspace.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn admin_contacts(&self, workspace_id: WorkspaceId) -> Result<Vec<String>> {
        const MAX_CONTACTS: i64 = 3;
        Ok(self.store.list_administrator_emails(workspace_id, MAX_CONTACTS).await?)
    }

    /// Finds a person by e-mail address in any workspace. For the operator.
    ///
    /// # Errors
    /// [`Error::PersonNotFound`] if no account has this address.
    pub async fn find_by_email(&self, email: &str) -> Result<Person> {
        let key = crate::domain::person::EmailKey::from_text(email);
        self.store.find_person_by_email(&key).await?.map(|found| found.person).ok_or(Error::PersonNotFound)
    }

    /// Finds a person of the caller's workspace. Members find themselves only; administrators find
    /// everyone.
    ///
    /// # Errors
    /// [`Error::PersonNotFound`] if the workspace has no such person, [`Error::NotAdministrator`]
    /// if a member asks for another person.
    pub async fn find(&self, caller: &Principal, id: PersonId) -> Result<Person> {
        let person = self.store.find_person(WorkspaceId::of(caller), id).await?.ok_or(Error::PersonNotFound)?;
        if caller.is_admin || PersonId::of(caller) == id { Ok(person) } else { Err(Error::NotAdministrator) }
    }

    /// Removes a person of the administrator's workspace with all tokens and sessions.
    ///
    /// # Errors
    /// [`Error::PersonNotFound`], [`Error::ProtectedPerson`] for a platform administrator unless
    /// the caller is one, [`Error::CannotRemoveSelf`], or [`Error::LastAdministrator`] if none
    /// would be left.
    pub async fn remove(&self, administrator: &Actor, id: PersonId) -> Result<()> {
        let workspace_id = WorkspaceId::of(administrator);
        let person = self.store.find_person(workspace_id, id).await?.ok_or(Error::PersonNotFound)?;
        ensure_not_protected(administrator, &person)?;
        if PersonId::of(administrator) == id {
            let (administrators, _) = self.store.count_administrators(workspace_id).await?;
            return Err(if administrators <= 1 { Error::LastAdministrator } else { Error::CannotRemoveSelf });
        }
        let mutation = self.mutations.by_actor(administrator, role_over(administrator, &person));
        let delete = self.store.delete_person(workspace_id, id, &mutation).await;
        let outcome = self.node.revoke_and_wait(&mutation.context.request, delete).await?;
        self.mutations.schedule_purge();
        check_outcome(outcome)
    }
}

/// Checks that a platform administrator is added to workspace 1.
pub(super) fn ensure_first_workspace(is_platform_admin: bool, workspace_id: WorkspaceId) -> Result<()> {
    if is_platform_admin && workspace_id != WorkspaceId::FIRST {
        return Err(Error::PlatformAdministratorOutsideFirstWorkspace);
    }
    Ok(())
}

/// Maps the outcome of a mutation to an error.
pub(super) fn check_outcome(outcome: UpdateOutcome) -> Result<()> {
    match outcome {
        UpdateOutcome::Changed => Ok(()),
        UpdateOutcome::NotFound => Err(Error::PersonNotFound),
        UpdateOutcome::StaleCredential => Err(Error::CallerRevoked),
        UpdateOutcome::LastAdministrator => Err(Error::LastAdministrator),
        UpdateOutcome::LastPlatformAdministrator => Err(Error::LastPlatformAdministrator),
        UpdateOutcome::LastLocalAdministrator => Err(Error::LastLocalAdministrator),
        UpdateOutcome::PasswordOfProvider => {
            Err(Error::PasswordOfProvider { provider: "an identity provider".to_owned() })
        }
        UpdateOutcome::InvalidCustodian(id) => Err(service_accounts::invalid_custodian(id)),
        UpdateOutcome::DisabledByDirectory => Err(Error::DisabledByDirectory),
        UpdateOutcome::DisabledByScim => Err(Error::DisabledByScim),
        UpdateOutcome::AdministratorByDirectory => Err(Error::AdministratorByDirectory),
    }
}
