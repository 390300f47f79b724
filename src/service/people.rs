//! People: adding, listing, changing, removing.

use crate::{
    cache::invalidation::Change as Changed,
    cluster::Live,
    domain::{
        Invalid,
        authority::{Mutation, RequiredRole},
        password::{Password, Policy},
        person::{Email, Person, PersonName, TokenAccess},
        time::{Clock, Timestamp},
        workspace,
    },
    service::{
        Actor, Lists, Mutations, Refusal, Result,
        error::email_taken,
        list_pages::PersonPages,
        password::{Busy, Hasher},
        read_budget::Share,
        sign_in::SignedIn,
    },
    store::{NewPerson, PersonChange, Rank, Store},
};
use tokenward_guard::Principal;

pub use crate::store::{Member, MemberFilter, PersonFilter, Start};

/// The people of the service.
#[derive(Clone)]
pub struct People {
    store: Store,
    live: Live,
    clock: Clock,
    hasher: Hasher,
    policy: Policy,
    lists: Lists,
    mutations: Mutations,
}

/// Who asks for a change.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// Whoever has a shell on the server's machine.
    Operator,
    Person(&'a Actor),
}

/// Somebody to be added, as asked for.
pub struct Add<'a> {
    pub email: &'a str,
    pub name: &'a str,
    pub password: &'a str,
    pub is_admin: bool,
    pub is_platform_admin: bool,
    /// The password must be changed before anything else.
    pub force_password_change: bool,
}

/// What is to change, as asked for; `None` leaves it.
#[derive(Default)]
pub struct Change<'a> {
    pub email: Option<&'a str>,
    pub name: Option<&'a str>,
    pub password: Option<&'a str>,
    pub is_admin: Option<bool>,
    pub is_disabled: Option<bool>,
    pub token_access: Option<&'a str>,
    pub force_password_change: Option<bool>,
    /// The proof of the present password, where the own one is changed: a change that somebody else has made since is not
    /// overwritten.
    pub proof: Option<&'a SignedIn>,
}

impl By<'_> {
    /// The mutation that the store authorizes: by the operator, or by a person who must have `role`.
    pub(super) fn mutation(self, mutations: &Mutations, role: RequiredRole) -> Mutation {
        match self {
            Self::Operator => mutations.by_operator(),
            Self::Person(actor) => mutations.by(actor, role),
        }
    }

    /// The share in the budget of lists.
    pub(super) fn share(self) -> Share {
        match self {
            Self::Operator => Share::operator(),
            Self::Person(caller) => Share::of(caller.person_id),
        }
    }
}

impl Change<'_> {
    /// The first field that only an administrator may set.
    fn administrators_field(&self) -> Option<&'static str> {
        [
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
    #[must_use]
    pub fn new(
        (store, live, clock, lists): (Store, Live, Clock, Lists),
        hasher: Hasher,
        policy: Policy,
        mutations: Mutations,
    ) -> Self {
        Self { store, live, clock, hasher, policy, lists, mutations }
    }

    /// Adds somebody to a workspace.
    ///
    /// # Errors
    /// [`Refusal::Invalid`], [`Refusal::EmailTaken`], [`Refusal::WorkspaceNotFound`].
    pub async fn add(&self, by: By<'_>, workspace_id: i64, add: Add<'_>) -> Result<Person> {
        if add.is_platform_admin && workspace_id != workspace::FIRST {
            return Err(Refusal::PlatformAdministratorElsewhere);
        }
        let workspace = self.store.find_workspace(workspace_id).await?.ok_or(Refusal::WorkspaceNotFound)?;
        let new = self.prepare(add, &workspace.name).await?;
        let mutation = by.mutation(&self.mutations, RequiredRole::Administrator);
        let person = self.store.insert_person(workspace_id, &new, &mutation).await.map_err(email_taken)?;
        person.ok_or(Refusal::WorkspaceNotFound)
    }

    /// Checks somebody to be added, and hashes the password.
    pub(super) async fn prepare(&self, add: Add<'_>, workspace_name: &str) -> Result<NewPerson> {
        let email = Email::parse(add.email)?;
        let name = PersonName::parse(add.name)?;
        let password = self.policy.accept(add.password, &[email.as_str(), name.as_str(), workspace_name])?;
        Ok(NewPerson {
            email,
            name,
            password_hash: self.hash(&password).await?,
            is_admin: add.is_admin,
            is_platform_admin: add.is_platform_admin,
            force_password_change: add.force_password_change,
        })
    }

    async fn hash(&self, password: &Password) -> Result<String> {
        self.hasher.hash(password).await.map_err(|Busy| Refusal::Busy)
    }

    /// Gives up the memory that hashing passwords takes.
    pub(super) fn release_memory(&self) {
        self.hasher.release();
    }

    /// Lists the people of a workspace by ID, for the operator.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`].
    pub async fn list(&self, workspace_id: i64, after: i64, limit: i64) -> Result<Vec<Person>> {
        let store = self.store.clone();
        let read =
            async move { store.list_people_after(workspace_id, &PersonFilter::default(), after, (limit, 0)).await };
        self.lists.read(Share::operator(), read).await
    }

    /// Lists people of the administrator's workspace by ID page by page; with their number, where that is asked for.
    ///
    /// # Errors
    /// [`Refusal::NotAdministrator`].
    pub async fn pages(
        &self,
        administrator: &Principal,
        filter: PersonFilter,
        part: (i64, i64),
        count: bool,
    ) -> Result<(PersonPages, Option<i64>)> {
        if !administrator.is_admin {
            return Err(Refusal::NotAdministrator);
        }
        let count = if count {
            let (store, workspace_id, filter) = (self.store.clone(), administrator.workspace_id, filter.clone());
            let count = async move { store.count_people(workspace_id, &filter).await };
            Some(self.lists.read(Share::of(administrator.person_id), count).await?)
        } else {
            None
        };
        let pages = PersonPages::new(self.lists.clone(), self.store.clone(), administrator, filter, part);
        Ok((pages, count))
    }

    /// Lists people of the administrator's workspace by e-mail, each with the number of active tokens.
    ///
    /// # Errors
    /// [`Refusal::NotAdministrator`].
    pub async fn members(
        &self,
        administrator: &Principal,
        filter: &MemberFilter,
        start: &Start,
        limit: i64,
    ) -> Result<Vec<Member>> {
        if !administrator.is_admin {
            return Err(Refusal::NotAdministrator);
        }
        let (store, workspace_id, now) = (self.store.clone(), administrator.workspace_id, self.clock.now());
        let (filter, start) = (filter.clone(), start.clone());
        let read = async move { store.list_members(workspace_id, &filter, &start, now, limit).await };
        self.lists.read(Share::of(administrator.person_id), read).await
    }

    /// Some administrators' addresses, for whoever needs one.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`].
    pub async fn whom_to_ask(&self, workspace_id: i64) -> Result<Vec<String>> {
        const A_FEW: i64 = 3;
        Ok(self.store.find_administrators(workspace_id, A_FEW).await?)
    }

    /// Finds somebody by e-mail in any workspace; for the operator.
    ///
    /// # Errors
    /// [`Refusal::PersonNotFound`].
    pub async fn find_by_email(&self, email: &str) -> Result<Person> {
        let key = crate::domain::person::EmailKey::of(email);
        self.store.find_person_by_email(&key).await?.map(|found| found.person).ok_or(Refusal::PersonNotFound)
    }

    /// Reads somebody of the caller's workspace: oneself, or for an administrator anybody.
    ///
    /// # Errors
    /// [`Refusal::PersonNotFound`], [`Refusal::NotAdministrator`].
    pub async fn find(&self, caller: &Principal, id: i64) -> Result<Person> {
        let person = self.store.find_person(caller.workspace_id, id).await?.ok_or(Refusal::PersonNotFound)?;
        if caller.is_admin || caller.person_id == id { Ok(person) } else { Err(Refusal::NotAdministrator) }
    }

    /// Changes somebody of a workspace, everything asked for or nothing; answers when.
    ///
    /// # Errors
    /// What the asker may not set is refused, never passed over.
    pub async fn change(&self, by: By<'_>, workspace_id: i64, id: i64, change: &Change<'_>) -> Result<Timestamp> {
        let person = self.store.find_person(workspace_id, id).await?.ok_or(Refusal::PersonNotFound)?;
        permit(by, &person, change)?;
        let checked = self.check(by, &person, change).await?;
        let mutation = by.mutation(&self.mutations, required_role(by, &person, change));
        let update = self.store.update_person(workspace_id, id, &checked, &mutation);
        rank(self.live.take_away(update, |rank| changed(*rank, id)).await.map_err(email_taken)?)?;
        Ok(mutation.act.at)
    }

    async fn check(&self, by: By<'_>, person: &Person, change: &Change<'_>) -> Result<PersonChange> {
        let mut checked = PersonChange {
            email: change.email.map(Email::parse).transpose()?,
            name: change.name.map(PersonName::parse).transpose()?,
            password_hash: None,
            is_admin: change.is_admin,
            is_disabled: change.is_disabled,
            token_access: change.token_access.map(TokenAccess::parse).transpose()?,
            force_password_change: change.force_password_change,
            proven_hash: change.proof.map(|who| who.password_hash.0.clone()),
        };
        if let Some(text) = change.password {
            let email = checked.email.as_ref().map_or(person.email.as_str(), Email::as_str);
            let name = checked.name.as_ref().map_or(person.name.as_str(), PersonName::as_str);
            let workspace = self.store.find_workspace(person.workspace_id).await?.ok_or(Refusal::PersonNotFound)?;
            let password = self.policy.accept(text, &[email, name, &workspace.name])?;
            if is_oneself(by, person) {
                if person.force_password_change {
                    self.refuse_unchanged(person, &password).await?;
                }
                checked.force_password_change = change.force_password_change.or(Some(false));
            }
            checked.password_hash = Some(self.hash(&password).await?);
        }
        Ok(checked)
    }

    /// Whoever must change the password has not done so by setting it again.
    async fn refuse_unchanged(&self, person: &Person, password: &Password) -> Result<()> {
        let key = crate::domain::person::EmailKey::of(&person.email);
        let present = self.store.find_person_by_email(&key).await?.map(|found| found.password_hash);
        let place = self.hasher.place().map_err(|Busy| Refusal::Busy)?;
        let same = self.hasher.verify(password, present.as_deref(), place).await.map_err(|Busy| Refusal::Busy)?;
        if same { Err(Invalid::PasswordUnchanged.into()) } else { Ok(()) }
    }

    /// Removes somebody of the administrator's workspace, with tokens and all.
    ///
    /// # Errors
    /// [`Refusal::PersonNotFound`], [`Refusal::OwnAccount`], [`Refusal::LastAdministrator`], [`Refusal::ProtectedPerson`].
    pub async fn remove(&self, administrator: &Actor, id: i64) -> Result<()> {
        let workspace_id = administrator.workspace_id;
        let person = self.store.find_person(workspace_id, id).await?.ok_or(Refusal::PersonNotFound)?;
        protect(administrator, &person)?;
        if administrator.person_id == id {
            let (administrators, _) = self.store.count_in_charge(workspace_id).await?;
            return Err(if administrators <= 1 { Refusal::LastAdministrator } else { Refusal::OwnAccount });
        }
        let mutation = self.mutations.by(administrator, role_over(administrator, &person));
        let delete = self.store.delete_person(workspace_id, id, &mutation);
        let removed = self.live.take_away(delete, |rank| changed(*rank, id)).await?;
        self.mutations.remove_remains();
        rank(removed)
    }
}

fn is_oneself(by: By<'_>, person: &Person) -> bool {
    matches!(by, By::Person(principal) if principal.person_id == person.id)
}

fn permit(by: By<'_>, person: &Person, change: &Change<'_>) -> Result<()> {
    let By::Person(caller) = by else { return Ok(()) };
    let own = caller.person_id == person.id;
    if !own && !caller.is_admin {
        return Err(Refusal::NotAdministrator);
    }
    if let Some(field) = change.administrators_field()
        && !caller.is_admin
    {
        return Err(Refusal::FieldForAdministrators { field });
    }
    if own && change.password.is_some() && caller.token().is_some() {
        return Err(Refusal::OwnPasswordNeedsPassword);
    }
    protect(caller, person)
}

/// The role that a change of `person` demands of its caller.
fn required_role(by: By<'_>, person: &Person, change: &Change<'_>) -> RequiredRole {
    let By::Person(caller) = by else { return RequiredRole::Administrator };
    if caller.person_id != person.id || change.administrators_field().is_some() {
        return role_over(caller, person);
    }
    let is_password_alone = change.password.is_some() && change.name.is_none();
    if is_password_alone { RequiredRole::PasswordChanger } else { RequiredRole::Member }
}

/// The role that administering `person` demands: see [`protect`].
pub(super) fn role_over(caller: &Principal, person: &Person) -> RequiredRole {
    let is_protected = person.is_platform_admin && caller.person_id != person.id;
    if is_protected { RequiredRole::PlatformAdministrator } else { RequiredRole::Administrator }
}

/// An administrator of workspace 1 must not become a platform administrator by way of a platform administrator's account.
pub(super) fn protect(caller: &Principal, person: &Person) -> Result<()> {
    let own = caller.person_id == person.id;
    if person.is_platform_admin && !own && !caller.is_platform_admin { Err(Refusal::ProtectedPerson) } else { Ok(()) }
}

/// What a change of a person, of which this came, makes every node forget.
fn changed(rank: Rank, id: i64) -> Vec<Changed> {
    if rank == Rank::Changed { vec![Changed::Person(id)] } else { Vec::new() }
}

fn rank(rank: Rank) -> Result<()> {
    match rank {
        Rank::Changed => Ok(()),
        Rank::Absent => Err(Refusal::PersonNotFound),
        Rank::ProofOver => Err(Refusal::CallerGone),
        Rank::LastAdministrator => Err(Refusal::LastAdministrator),
        Rank::LastPlatformAdministrator => Err(Refusal::LastPlatformAdministrator),
    }
}
