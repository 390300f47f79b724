//! Workspaces and their settings.

use crate::{
    cluster::Node,
    domain::{
        ValidationError,
        authority::RequiredRole,
        id::{PersonId, WorkspaceId},
        person::Person,
        setting::{SettingKey, SettingValue, Settings},
        time::Timestamp,
        workspace::{Workspace, WorkspaceName},
    },
    service::{
        Actor, Error, Mutations, People, ReadBudget, Result,
        error::email_taken,
        people::{ActorKind, CreatePerson},
        read_budget::ReadRequester,
    },
    store::{Store, WorkspaceWithCounts},
};

/// The operations on workspaces.
#[derive(Clone)]
pub struct Workspaces {
    store: Store,
    node: Node,
    people: People,
    defaults: Settings,
    read_budget: ReadBudget,
    mutations: Mutations,
}

/// A workspace with the numbers of its people and tokens.
#[derive(Clone, Debug)]
pub struct WorkspaceSummary {
    pub workspace: Workspace,
    pub person_count: i64,
    pub token_count: i64,
}

impl From<WorkspaceWithCounts> for WorkspaceSummary {
    fn from(counted: WorkspaceWithCounts) -> Self {
        let WorkspaceWithCounts { workspace, people, tokens } = counted;
        Self { workspace, person_count: people, token_count: tokens }
    }
}

impl Workspaces {
    /// Creates the service. `defaults` are the settings of a workspace that has set none.
    #[must_use]
    pub fn new(
        (store, node, read_budget): (Store, Node, ReadBudget),
        people: People,
        defaults: Settings,
        mutations: Mutations,
    ) -> Self {
        Self { store, node, people, defaults, read_budget, mutations }
    }

    /// Returns the settings of a workspace that has set none.
    #[must_use]
    pub fn defaults(&self) -> &Settings {
        &self.defaults
    }

    /// Finds a workspace and counts its people and tokens.
    ///
    /// # Errors
    /// [`Error::WorkspaceNotFound`], or [`Error::RateLimited`] if the caller has too many reads in
    /// progress.
    pub async fn find_summary(&self, reader: &Actor, id: WorkspaceId) -> Result<WorkspaceSummary> {
        let store = self.store.clone();
        let query = async move { store.find_workspace_with_counts(id).await };
        let found = self.read_budget.run(ReadRequester::person(PersonId::of(reader)), query).await?;
        found.map(WorkspaceSummary::from).ok_or(Error::WorkspaceNotFound)
    }

    /// Lists the workspaces by ID, with the total number if `count` is set.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if the caller has too many reads in progress, [`Error::Unavailable`]
    /// if the database is unreachable or too slow.
    pub async fn list(
        &self,
        initiator: ActorKind<'_>,
        limit: i64,
        offset: i64,
        count: bool,
    ) -> Result<(Vec<Workspace>, Option<i64>)> {
        let store = self.store.clone();
        let query = async move {
            let workspaces = store.list_workspaces(limit, offset).await?;
            let count = if count { Some(store.count_workspaces().await?) } else { None };
            Ok((workspaces, count))
        };
        self.read_budget.run(initiator.read_requester(), query).await
    }

    /// Lists the workspaces by ID with the numbers of their people and tokens, and counts all
    /// workspaces.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if the caller has too many reads in progress, [`Error::Unavailable`]
    /// if the database is unreachable or too slow.
    pub async fn list_summaries(
        &self,
        reader: &Actor,
        limit: i64,
        offset: i64,
    ) -> Result<(Vec<WorkspaceSummary>, i64)> {
        let store = self.store.clone();
        let query = async move {
            let workspaces = store.list_workspaces_with_counts(limit, offset).await?;
            Ok((workspaces, store.count_workspaces().await?))
        };
        let (workspaces, count) = self.read_budget.run(ReadRequester::person(PersonId::of(reader)), query).await?;
        Ok((workspaces.into_iter().map(WorkspaceSummary::from).collect(), count))
    }

    /// Creates a workspace with its first administrator.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a field is not acceptable, [`Error::EmailTaken`].
    pub async fn create(
        &self,
        initiator: ActorKind<'_>,
        name: &str,
        admin: CreatePerson<'_>,
    ) -> Result<(Workspace, Person)> {
        let name = WorkspaceName::parse(name)?;
        let admin = self
            .people
            .validate_new(CreatePerson { is_admin: true, is_platform_admin: false, ..admin }, name.as_str())
            .await?;
        let mutation = initiator.mutation(&self.mutations, RequiredRole::PlatformAdministrator);
        self.store.insert_workspace(&name, &admin, &mutation).await.map_err(email_taken)
    }

    /// Renames a workspace. Returns the time of the change.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the name is not acceptable, [`Error::WorkspaceNotFound`].
    pub async fn rename(&self, initiator: ActorKind<'_>, id: WorkspaceId, name: &str) -> Result<Timestamp> {
        let name = WorkspaceName::parse(name)?;
        let mutation = initiator.mutation(&self.mutations, RequiredRole::PlatformAdministrator);
        let exists = self.store.rename_workspace(id, &name, &mutation).await?;
        if exists { Ok(mutation.context.at) } else { Err(Error::WorkspaceNotFound) }
    }

    /// Removes a workspace with its people, tokens, settings and events.
    ///
    /// # Errors
    /// [`Error::CannotRemoveFirstWorkspace`], [`Error::WorkspaceNotFound`].
    pub async fn remove(&self, initiator: ActorKind<'_>, id: WorkspaceId) -> Result<()> {
        if id == WorkspaceId::FIRST {
            return Err(Error::CannotRemoveFirstWorkspace);
        }
        let mutation = initiator.mutation(&self.mutations, RequiredRole::PlatformAdministrator);
        let delete = self.store.delete_workspace(id, &mutation).await;
        let is_removed = self.node.revoke_and_wait(&mutation.context.request, delete).await?;
        self.mutations.schedule_purge();
        if is_removed { Ok(()) } else { Err(Error::WorkspaceNotFound) }
    }

    /// Returns the settings of a workspace, or one of them. `None` means that the default applies.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no setting `key`.
    pub async fn list_settings(
        &self,
        id: WorkspaceId,
        key: Option<&str>,
    ) -> Result<Vec<(SettingKey, Option<SettingValue>)>> {
        let only = key.map(SettingKey::parse).transpose()?;
        let overrides = self.store.find_settings(id).await?;
        let value = |key| overrides.iter().find(|(k, _)| *k == key).map(|(_, value)| value.clone());
        let keys = SettingKey::ALL.into_iter().filter(|key| only.is_none_or(|only| only == *key));
        Ok(keys.map(|key| (key, value(key))).collect())
    }

    /// Updates all given settings or none. `None` resets a setting to its default. When it returns,
    /// the new values are in force on every node. Returns the time of the change.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a key occurs twice, [`Error::WorkspaceNotFound`].
    pub async fn update_settings<V: Into<Option<SettingValue>> + Clone + Sync>(
        &self,
        actor: &Actor,
        id: WorkspaceId,
        settings: &[(SettingKey, V)],
    ) -> Result<Timestamp> {
        let duplicate = settings.iter().enumerate().find(|(n, (key, _))| settings[..*n].iter().any(|(k, _)| k == key));
        if let Some((_, (key, _))) = duplicate {
            return Err(ValidationError::DuplicateSetting { key: key.as_str() }.into());
        }
        let mutation = self.mutations.by_actor(actor, RequiredRole::Administrator);
        let update = self.store.set_settings(id, settings, &mutation).await;
        let exists = self.node.revoke_and_wait(&mutation.context.request, update).await?;
        if exists { Ok(mutation.context.at) } else { Err(Error::WorkspaceNotFound) }
    }

    /// Resets settings to their defaults. Returns the number of settings that had a value.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such setting, [`Error::WorkspaceNotFound`].
    pub async fn reset_settings(&self, actor: &Actor, id: WorkspaceId, keys: &[String]) -> Result<u64> {
        let keys = keys.iter().map(|key| SettingKey::parse(key)).collect::<std::result::Result<Vec<_>, _>>()?;
        let mutation = self.mutations.by_actor(actor, RequiredRole::Administrator);
        let reset = self.store.reset_settings(id, &keys, &mutation).await;
        let deleted = self.node.revoke_and_wait(&mutation.context.request, reset).await?;
        deleted.ok_or(Error::WorkspaceNotFound)
    }
}
