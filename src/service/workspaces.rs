//! Workspaces and their settings.

use crate::{
    cache::invalidation::Change,
    cluster::Live,
    domain::{
        Invalid,
        authority::RequiredRole,
        person::Person,
        setting::{Key, Settings, Value},
        time::Timestamp,
        workspace::{self, Workspace, WorkspaceName},
    },
    service::{
        Actor, Lists, Mutations, People, Refusal, Result,
        error::email_taken,
        people::{Add, By},
        read_budget::Share,
    },
    store::{Store, WorkspaceCount},
};

/// The workspaces of the service.
#[derive(Clone)]
pub struct Workspaces {
    store: Store,
    live: Live,
    people: People,
    defaults: Settings,
    lists: Lists,
    mutations: Mutations,
}

/// A workspace and how much is in it.
#[derive(Clone, Debug)]
pub struct Overview {
    pub workspace: Workspace,
    pub person_count: i64,
    pub token_count: i64,
}

impl From<WorkspaceCount> for Overview {
    fn from(counted: WorkspaceCount) -> Self {
        let WorkspaceCount { workspace, people, tokens } = counted;
        Self { workspace, person_count: people, token_count: tokens }
    }
}

impl Workspaces {
    #[must_use]
    pub fn new(
        (store, live, lists): (Store, Live, Lists),
        people: People,
        defaults: Settings,
        mutations: Mutations,
    ) -> Self {
        Self { store, live, people, defaults, lists, mutations }
    }

    /// What holds where a workspace has set nothing.
    #[must_use]
    pub fn defaults(&self) -> Settings {
        self.defaults
    }

    /// Reads a workspace and counts what is in it.
    ///
    /// # Errors
    /// [`Refusal::WorkspaceNotFound`].
    pub async fn overview(&self, reader: &Actor, id: i64) -> Result<Overview> {
        let store = self.store.clone();
        let read = async move { store.find_workspace_count(id).await };
        let found = self.lists.read(Share::of(reader.person_id), read).await?;
        found.map(Overview::from).ok_or(Refusal::WorkspaceNotFound)
    }

    /// Lists the workspaces by ID; with their number, where that is asked for.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`].
    pub async fn list(
        &self,
        by: By<'_>,
        limit: i64,
        offset: i64,
        count: bool,
    ) -> Result<(Vec<Workspace>, Option<i64>)> {
        let store = self.store.clone();
        let read = async move {
            let workspaces = store.list_workspaces(limit, offset).await?;
            let count = if count { Some(store.count_workspaces().await?) } else { None };
            Ok((workspaces, count))
        };
        self.lists.read(by.share(), read).await
    }

    /// Lists the workspaces by id with how much is in them, and counts all of them.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`].
    pub async fn overviews(&self, reader: &Actor, limit: i64, offset: i64) -> Result<(Vec<Overview>, i64)> {
        let store = self.store.clone();
        let read = async move {
            let workspaces = store.list_workspace_counts(limit, offset).await?;
            Ok((workspaces, store.count_workspaces().await?))
        };
        let (workspaces, count) = self.lists.read(Share::of(reader.person_id), read).await?;
        Ok((workspaces.into_iter().map(Overview::from).collect(), count))
    }

    /// Makes a workspace together with its first administrator.
    ///
    /// # Errors
    /// [`Refusal::Invalid`], [`Refusal::EmailTaken`].
    pub async fn create(&self, by: By<'_>, name: &str, admin: Add<'_>) -> Result<(Workspace, Person)> {
        let name = WorkspaceName::parse(name)?;
        let admin =
            self.people.prepare(Add { is_admin: true, is_platform_admin: false, ..admin }, name.as_str()).await?;
        let mutation = by.mutation(&self.mutations, RequiredRole::PlatformAdministrator);
        self.store.insert_workspace(&name, &admin, &mutation).await.map_err(email_taken)
    }

    /// Renames a workspace; answers when.
    ///
    /// # Errors
    /// [`Refusal::Invalid`], [`Refusal::WorkspaceNotFound`].
    pub async fn rename(&self, by: By<'_>, id: i64, name: &str) -> Result<Timestamp> {
        let name = WorkspaceName::parse(name)?;
        let mutation = by.mutation(&self.mutations, RequiredRole::PlatformAdministrator);
        let done = self.store.rename_workspace(id, &name, &mutation).await?;
        if done { Ok(mutation.act.at) } else { Err(Refusal::WorkspaceNotFound) }
    }

    /// Removes a workspace with its people, tokens and settings.
    ///
    /// # Errors
    /// [`Refusal::FirstWorkspace`], [`Refusal::WorkspaceNotFound`].
    pub async fn remove(&self, by: By<'_>, id: i64) -> Result<()> {
        if id == workspace::FIRST {
            return Err(Refusal::FirstWorkspace);
        }
        let mutation = by.mutation(&self.mutations, RequiredRole::PlatformAdministrator);
        let delete = self.store.delete_workspace(id, &mutation);
        let done = self.live.take_away(delete, |done| changed(*done, id)).await?;
        self.mutations.remove_remains();
        if done { Ok(()) } else { Err(Refusal::WorkspaceNotFound) }
    }

    /// What a workspace has set, for one key or for each; `None` is a default in force.
    ///
    /// # Errors
    /// [`Invalid::UnknownSetting`].
    pub async fn settings(&self, id: i64, key: Option<&str>) -> Result<Vec<(Key, Option<Value>)>> {
        let only = key.map(Key::parse).transpose()?;
        let set = self.store.find_settings(id).await?;
        let value = |key| set.iter().find(|(k, _)| *k == key).map(|(_, value)| *value);
        let wanted = Key::ALL.into_iter().filter(|key| only.is_none_or(|only| only == *key));
        Ok(wanted.map(|key| (key, value(key))).collect())
    }

    /// Sets all of the given settings or none; in force everywhere when it answers. Answers when.
    ///
    /// # Errors
    /// [`Invalid::SettingTwice`], [`Refusal::WorkspaceNotFound`].
    pub async fn set(&self, by: &Actor, id: i64, settings: &[(Key, Value)]) -> Result<Timestamp> {
        let twice = settings.iter().enumerate().find(|(n, (key, _))| settings[..*n].iter().any(|(k, _)| k == key));
        if let Some((_, (key, _))) = twice {
            return Err(Invalid::SettingTwice { key: key.as_str() }.into());
        }
        let mutation = self.mutations.by(by, RequiredRole::Administrator);
        let set = self.store.set_settings(id, settings, &mutation);
        let done = self.live.take_away(set, |done| changed(*done, id)).await?;
        if done { Ok(mutation.act.at) } else { Err(Refusal::WorkspaceNotFound) }
    }

    /// Puts settings back to their defaults; answers how many had been set.
    ///
    /// # Errors
    /// [`Invalid::UnknownSetting`], [`Refusal::WorkspaceNotFound`].
    pub async fn reset(&self, by: &Actor, id: i64, keys: &[String]) -> Result<u64> {
        let keys = keys.iter().map(|key| Key::parse(key)).collect::<std::result::Result<Vec<_>, _>>()?;
        let mutation = self.mutations.by(by, RequiredRole::Administrator);
        let reset = self.store.reset_settings(id, &keys, &mutation);
        let deleted = self.live.take_away(reset, |deleted| changed(deleted.is_some(), id)).await?;
        deleted.ok_or(Refusal::WorkspaceNotFound)
    }
}

/// What a change of a workspace, if it was done, makes every node forget.
fn changed(done: bool, id: i64) -> Vec<Change> {
    if done { vec![Change::Workspace(id)] } else { Vec::new() }
}
