//! What happened, for those whom it concerns.

use crate::{
    domain::{event::Event, setting::Key},
    guard::Principal,
    service::{Refusal, Result},
    store::{EventFilter, Store},
};

pub use crate::store::EventStart;

/// Whose events a list is to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those about the caller, and about the caller's tokens.
    Own,
    /// Those of the workspace; for administrators.
    Workspace,
}

/// What happened.
#[derive(Clone)]
pub struct Events {
    store: Store,
}

impl Events {
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Lists events, newest first.
    ///
    /// # Errors
    /// [`Refusal::NotAdministrator`] where the scope is an administrator's and the caller is none.
    pub async fn list(&self, caller: &Principal, scope: Scope, start: EventStart, limit: i64) -> Result<Vec<Event>> {
        let person_id = match scope {
            Scope::Own => Some(caller.person_id),
            Scope::Workspace if caller.is_admin => None,
            Scope::Workspace => return Err(Refusal::NotAdministrator),
        };
        let filter = EventFilter { workspace_id: caller.workspace_id, person_id };
        Ok(self.store.list_events(filter, start, limit).await?)
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
}
