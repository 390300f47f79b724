//! External identities of people: listing them, and linking by the operator.

use crate::{
    cluster::Node,
    domain::{
        authority::{Mutation, RequiredRole},
        directory::DirectoryPerson,
        external_identity::{DIRECTORY_ISSUER, ExternalIdentity},
        person::Person,
        random::Random,
        time::Clock,
    },
    service::{Actor, Error, Mutations, Result, tokens::generate_id},
    store::{FoundIdentity, LinkOutcome, NewExternalIdentity, Store},
};

/// The operations on external identities.
#[derive(Clone)]
pub struct Identities {
    store: Store,
    node: Node,
    clock: Clock,
    random: Random,
    mutations: Mutations,
}

impl Identities {
    /// Creates the service.
    #[must_use]
    pub fn new((store, node, clock, random): (Store, Node, Clock, Random), mutations: Mutations) -> Self {
        Self { store, node, clock, random, mutations }
    }

    /// Lists the external identities of a person, the oldest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn list(&self, person: &Person) -> Result<Vec<ExternalIdentity>> {
        Ok(self.store.list_identities_of(person.id).await?)
    }

    /// Removes the link of a person, by the operator. All sessions of the person end. What the directory
    /// disabled stays disabled, as if the operator had done it. Returns whether there was a link.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn unlink(&self, person: &Person) -> Result<bool> {
        Ok(self.store.unlink_identities(person, &self.mutations.by_operator()).await?)
    }

    /// Links a person to an entry of a directory, by the operator. The local password and all sessions
    /// of the person end.
    ///
    /// # Errors
    /// [`Error::IdentityTaken`] if the entry or the person is linked already,
    /// [`Error::LastLocalAdministrator`] if no administrator could sign in without the directory,
    /// [`Error::PersonNotFound`].
    pub async fn link(&self, person: &Person, provider: &str, entry: &DirectoryPerson) -> Result<()> {
        self.link_subject(person, (provider, DIRECTORY_ISSUER), &entry.subject, entry.label()).await
    }

    /// Lists the accounts at a provider that are linked to people, by the e-mail address of the person.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn list_of_provider(&self, provider: &str) -> Result<Vec<FoundIdentity>> {
        let mut identities = self.store.list_identities(provider).await?;
        identities.sort_by(|a, b| a.person.email.cmp(&b.person.email));
        Ok(identities)
    }

    /// Finds the person who is linked to an account at a provider.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn find_linked(&self, (provider, issuer): (&str, &str), subject: &str) -> Result<Option<Person>> {
        Ok(self.store.find_identity(provider, issuer, subject).await?.map(|found| found.person))
    }

    /// Moves the link of a person to an account at another provider, by the operator. All sessions of the
    /// person end.
    ///
    /// # Errors
    /// [`Error::IdentityTaken`] if the new account is linked already, [`Error::PersonNotFound`] if the old
    /// link was removed meanwhile.
    pub async fn move_to(
        &self,
        found: &FoundIdentity,
        account: (&str, &str),
        subject: &str,
        label: String,
    ) -> Result<()> {
        let new = self.new_identity(account, subject, label);
        let mutation = self.mutations.by_operator();
        let moved = self.store.move_identity(found, &new, &mutation).await;
        match self.node.revoke_and_wait(&mutation.context.request, moved).await? {
            LinkOutcome::Linked => Ok(()),
            LinkOutcome::AlreadyLinked => Err(Error::IdentityTaken),
            LinkOutcome::PersonNotFound | LinkOutcome::LastLocalAdministrator => Err(Error::PersonNotFound),
        }
    }

    fn new_identity(&self, (provider, issuer): (&str, &str), subject: &str, label: String) -> NewExternalIdentity {
        NewExternalIdentity {
            id: generate_id(self.clock.now(), &self.random),
            provider: provider.to_owned(),
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            label,
        }
    }

    /// Links a person to an account at a provider, given by its name and its issuer, as [`Self::link`] does.
    ///
    /// # Errors
    /// The same as [`Self::link`].
    pub async fn link_subject(
        &self,
        person: &Person,
        account: (&str, &str),
        subject: &str,
        label: String,
    ) -> Result<()> {
        self.link_by(person, &self.new_identity(account, subject, label), &self.mutations.by_operator()).await
    }

    /// Links a person to an account at a provider, by the person, who has authenticated at both. The local
    /// password and all sessions of the person end.
    ///
    /// # Errors
    /// The same as [`Self::link`], and [`Error::CallerRevoked`] if the session ended meanwhile.
    pub async fn link_own(
        &self,
        actor: &Actor,
        person: &Person,
        account: (&str, &str),
        subject: &str,
        label: String,
    ) -> Result<()> {
        let mutation = self.mutations.by_actor(actor, RequiredRole::Member);
        self.link_by(person, &self.new_identity(account, subject, label), &mutation).await
    }

    async fn link_by(&self, person: &Person, new: &NewExternalIdentity, mutation: &Mutation) -> Result<()> {
        let linked = self.store.link_identity(person, new, mutation).await;
        match self.node.revoke_and_wait(&mutation.context.request, linked).await? {
            LinkOutcome::Linked => Ok(()),
            LinkOutcome::PersonNotFound => Err(Error::PersonNotFound),
            LinkOutcome::AlreadyLinked => Err(Error::IdentityTaken),
            LinkOutcome::LastLocalAdministrator => Err(Error::LastLocalAdministrator),
        }
    }
}
