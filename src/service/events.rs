//! Listing and pruning the events of the audit log.

use std::time::Duration;

use uuid::Uuid;

use crate::{
    domain::{
        event::{Action, AuditContext, Event},
        id::{PersonId, WorkspaceId},
        setting::SettingKey,
        time::{Clock, Timestamp},
    },
    service::{Error, ReadBudget, Result, list_pages::EventPages, read_budget::ReadRequester},
    store::{EventFilter, Store},
};
use tokenward_guard::Principal;

pub use crate::store::EventPageStart;

/// The number of events deleted per statement.
const PRUNE_BATCH_SIZE: i64 = 1_000;

/// The scope of an event list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventScope {
    /// Events about the caller and the tokens of the caller.
    Own,
    /// Events of the workspace, or those about one person. For administrators.
    Workspace { person_id: Option<PersonId> },
}

/// The criteria of an event list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCriteria {
    pub action: Option<Action>,
    /// Caused by this person.
    pub actor_id: Option<PersonId>,
    /// About this token, or performed with it.
    pub token_id: Option<Uuid>,
    /// At or after this time.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

/// The operations on events.
#[derive(Clone)]
pub struct Events {
    store: Store,
    clock: Clock,
    read_budget: ReadBudget,
}

impl Events {
    /// Creates the service.
    #[must_use]
    pub fn new(store: Store, clock: Clock, read_budget: ReadBudget) -> Self {
        Self { store, clock, read_budget }
    }

    /// Lists events, newest first.
    ///
    /// # Errors
    /// [`Error::NotAdministrator`] if the scope requires an administrator, [`Error::RateLimited`]
    /// if the caller has too many reads in progress.
    pub async fn list(
        &self,
        caller: &Principal,
        scope: EventScope,
        criteria: EventCriteria,
        start: EventPageStart,
        limit: i64,
    ) -> Result<Vec<Event>> {
        let (store, filter) = (self.store.clone(), build_filter(caller, scope, criteria)?);
        let query = async move { store.list_events(&filter, start, limit).await };
        self.read_budget.run(ReadRequester::person(PersonId::of(caller)), query).await
    }

    /// Lists the events before the event `after`, page by page, newest first.
    ///
    /// # Errors
    /// [`Error::NotAdministrator`] if the scope requires an administrator.
    pub fn pages(
        &self,
        caller: &Principal,
        scope: EventScope,
        criteria: EventCriteria,
        after: i64,
        limit: i64,
    ) -> Result<EventPages> {
        let filter = build_filter(caller, scope, criteria)?;
        Ok(EventPages::new(self.read_budget.clone(), self.store.clone(), PersonId::of(caller), (filter, after, limit)))
    }

    /// Finds the last change of a setting of the administrator's workspace.
    ///
    /// # Errors
    /// [`Error::NotAdministrator`] if the caller is not an administrator.
    pub async fn last_setting_change(&self, administrator: &Principal, key: SettingKey) -> Result<Option<Event>> {
        if !administrator.is_admin {
            return Err(Error::NotAdministrator);
        }
        Ok(self.store.find_last_setting_change(WorkspaceId::of(administrator), key).await?)
    }

    /// Deletes events of all workspaces that are older than `retention`. Returns their number. The
    /// remaining hash chains stay verifiable.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn prune(&self, retention: Duration) -> Result<u64> {
        let now = self.clock.now();
        let before = now.before(retention);
        let mut pruned = 0;
        for chain in self.store.list_chains().await? {
            loop {
                match self
                    .store
                    .prune_events(chain.workspace_id, before, PRUNE_BATCH_SIZE, &AuditContext::for_system(now))
                    .await?
                {
                    0 => break,
                    now => pruned += now,
                }
            }
        }
        Ok(pruned)
    }
}

/// Builds the filter of a list, and checks that the caller may use its scope.
fn build_filter(caller: &Principal, scope: EventScope, criteria: EventCriteria) -> Result<EventFilter> {
    let person_id = match scope {
        EventScope::Own => Some(PersonId::of(caller)),
        EventScope::Workspace { person_id } if caller.is_admin => person_id,
        EventScope::Workspace { .. } => return Err(Error::NotAdministrator),
    };
    let EventCriteria { action, actor_id, token_id, since, until } = criteria;
    Ok(EventFilter { workspace_id: WorkspaceId::of(caller), person_id, action, actor_id, token_id, since, until })
}
