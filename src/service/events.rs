//! What happened, for those whom it concerns; and whether what is written of it was left alone.

use crate::{
    domain::{
        event::{Act, Action, Event},
        setting::Key,
        time::{Clock, Timestamp},
    },
    service::{Lists, Refusal, Result, list_pages::EventPages, read_budget::Share},
    store::{EventFilter, Store},
};
use tokenward_guard::Principal;

pub use crate::store::EventStart;

/// How many events are removed at once.
const AT_ONCE: i64 = 1_000;

/// Whose events a list is to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those about the caller, and about the caller's tokens.
    Own,
    /// Those of the workspace, or about one person there; for administrators.
    Workspace { person_id: Option<i64> },
}

/// Which of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Which {
    pub action: Option<Action>,
    /// Done by this person.
    pub actor_id: Option<i64>,
    /// Not before this moment.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
}

/// What happened.
#[derive(Clone)]
pub struct Events {
    store: Store,
    clock: Clock,
    lists: Lists,
}

impl Events {
    #[must_use]
    pub fn new(store: Store, clock: Clock, lists: Lists) -> Self {
        Self { store, clock, lists }
    }

    /// Lists events, newest first.
    ///
    /// # Errors
    /// [`Refusal::NotAdministrator`] where the scope is an administrator's and the caller is none.
    pub async fn list(
        &self,
        caller: &Principal,
        scope: Scope,
        which: Which,
        start: EventStart,
        limit: i64,
    ) -> Result<Vec<Event>> {
        let (store, filter) = (self.store.clone(), filter(caller, scope, which)?);
        let read = async move { store.list_events(&filter, start, limit).await };
        self.lists.read(Share::of(caller.person_id), read).await
    }

    /// Lists events page by page, newest first: those older than an event.
    ///
    /// # Errors
    /// [`Refusal::NotAdministrator`] where the scope is an administrator's and the caller is none.
    pub fn pages(&self, caller: &Principal, scope: Scope, which: Which, after: i64, limit: i64) -> Result<EventPages> {
        let filter = filter(caller, scope, which)?;
        Ok(EventPages::new(self.lists.clone(), self.store.clone(), caller.person_id, (filter, after, limit)))
    }

    /// Who changed a setting of the administrator's workspace last, and when.
    ///
    /// # Errors
    /// [`Refusal::NotAdministrator`].
    pub async fn last_change(&self, administrator: &Principal, key: Key) -> Result<Option<Event>> {
        if !administrator.is_admin {
            return Err(Refusal::NotAdministrator);
        }
        Ok(self.store.find_setting_change(administrator.workspace_id, key).await?)
    }

    /// Removes the events of all workspaces that happened more than so many days ago; answers how many. What is left can be verified
    /// all the same.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`].
    pub async fn prune(&self, days: u32) -> Result<u64> {
        let now = self.clock.now();
        let before = now.plus_seconds(-86_400 * i64::from(days));
        let mut removed = 0;
        for chain in self.store.list_chains().await? {
            loop {
                match self.store.prune_events(chain.workspace_id, before, AT_ONCE, &Act::of_service(now)).await? {
                    0 => break,
                    now => removed += now,
                }
            }
        }
        Ok(removed)
    }
}

fn filter(caller: &Principal, scope: Scope, which: Which) -> Result<EventFilter> {
    let person_id = match scope {
        Scope::Own => Some(caller.person_id),
        Scope::Workspace { person_id } if caller.is_admin => person_id,
        Scope::Workspace { .. } => return Err(Refusal::NotAdministrator),
    };
    let Which { action, actor_id, since, until } = which;
    Ok(EventFilter { workspace_id: caller.workspace_id, person_id, action, actor_id, since, until })
}
