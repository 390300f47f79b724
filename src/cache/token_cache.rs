//! What this process knows of tokens, and how a change makes it forget.
//!
//! A hit takes no lock but its shard's. Taking in and forgetting share one lock, and so come one after the other: a read that
//! was under way while something it concerns was changed finds the change noted here and is not kept.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use uuid::Uuid;

use super::{
    entry::{CachedToken, CachedPerson, ByteAccount, CachedWorkspace},
    invalidation::{Change, Mark, Recent},
    sharded::Table,
};
use crate::last_used::LastUse;
use crate::{domain::time::Timestamp, store::Found};
use tokenward_guard::{Identity, token_format::TokenDigest};

/// What the parts of one person's facts take beside the texts, with what the allocator adds.
const PERSON_BYTES: usize = size_of::<CachedPerson>() + size_of::<Identity>() + 96;

/// What this process knows.
#[derive(Debug)]
pub(crate) struct TokenCache {
    table: Table,
    changing: Mutex<Changing>,
    last_use: LastUse,
}

#[derive(Debug, Default)]
struct Changing {
    recent: Recent,
    people: HashMap<i64, Weak<CachedPerson>>,
    workspaces: HashMap<i64, Weak<CachedWorkspace>>,
    /// At this many the maps are swept of what nobody points to any more.
    sweep_at: usize,
}

impl TokenCache {
    pub(crate) fn new(most_tokens: usize, most_bytes: usize, last_use: LastUse) -> Self {
        Self { table: Table::new(most_tokens, most_bytes), changing: Mutex::default(), last_use }
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// What is known of a token.
    pub(crate) fn find(&self, digest: &TokenDigest) -> Option<CachedToken> {
        self.table.find(digest)
    }

    /// To be taken before a read begins, and given back with what it found.
    pub(crate) fn mark(&self) -> Mark {
        self.changing().recent.mark()
    }

    /// Keeps what a read found, unless it may have changed since the mark. The facts are those that were read, either way:
    /// whoever waits for them began before they were.
    pub(crate) fn keep(&self, since: Mark, digest: &TokenDigest, found: &Found) -> CachedToken {
        let mut changing = self.changing();
        if changing.recent.concerns(since, digest, found.person_id, found.workspace_id) {
            return facts_of(found);
        }
        let person = changing.person(found, &self.table.people_bytes);
        let mut facts = facts(found, person);
        let put_out = self.table.insert(digest, &mut facts);
        changing.sweep();
        drop(changing);
        self.last_use.take_over(put_out);
        facts
    }

    /// Forgets whatever a change concerns. Once this returns no check finds the facts of before.
    pub(crate) fn forget(&self, change: Change) {
        let mut changing = self.changing();
        changing.recent.note(change);
        let unwritten = match change {
            Change::Token(digest) => self.table.remove(&digest).into_iter().collect(),
            Change::NamedToken(name) => self.table.remove_named(name).into_iter().collect(),
            Change::Person(id) => {
                changing.outdate_person(id);
                Vec::new()
            }
            Change::Workspace(id) => {
                changing.outdate_workspace(id);
                Vec::new()
            }
            Change::Everything => {
                changing.people.clear();
                changing.workspaces.clear();
                self.table.clear()
            }
        };
        drop(changing);
        self.last_use.take_over(unwritten);
    }

    /// Notes a use where the facts came from; answers whether they are still there.
    pub(crate) fn note_use(&self, facts: &CachedToken, at: Timestamp) -> bool {
        facts.place.is_some_and(|place| self.table.note_use(place, facts.token_id, at))
    }

    /// The uses that nobody has written yet.
    pub(crate) fn take_uses(&self) -> Vec<(Uuid, Timestamp)> {
        self.table.take_uses()
    }

    /// How many people and workspaces have a name here, whether or not anything is known of them any more.
    #[cfg(test)]
    pub(crate) fn names(&self) -> usize {
        let changing = self.changing();
        changing.people.len() + changing.workspaces.len()
    }

    fn changing(&self) -> MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changing {
    /// The person's facts as they were found, shared with those that are here where nothing differs. What differs is
    /// outdated, whoever is right: a check decides by what it has read itself.
    fn person(&mut self, found: &Found, bytes: &Arc<AtomicUsize>) -> Arc<CachedPerson> {
        let id = found.person_id;
        let known = self.people.get(&id).and_then(Weak::upgrade);
        if let Some(person) = known.filter(|person| person.is_current() && person.is_as_found(found)) {
            return person;
        }
        self.outdate_person(id);
        let workspace = self.workspace(found);
        let weight = PERSON_BYTES + found.email.len() + found.name.len();
        let person = Arc::new(CachedPerson::new(found, workspace, ByteAccount::new(weight, bytes)));
        self.people.insert(id, Arc::downgrade(&person));
        person
    }

    fn workspace(&mut self, found: &Found) -> Arc<CachedWorkspace> {
        let id = found.workspace_id;
        let known = self.workspaces.get(&id).and_then(Weak::upgrade);
        if let Some(workspace) = known.filter(|workspace| workspace.enabled == found.enabled) {
            return workspace;
        }
        self.outdate_workspace(id);
        let workspace = Arc::new(CachedWorkspace::new(found));
        self.workspaces.insert(id, Arc::downgrade(&workspace));
        workspace
    }

    fn outdate_person(&mut self, id: i64) {
        if let Some(person) = self.people.remove(&id).and_then(|person| person.upgrade()) {
            person.outdated.store(true, Ordering::Release);
        }
    }

    fn outdate_workspace(&mut self, id: i64) {
        if let Some(workspace) = self.workspaces.remove(&id).and_then(|workspace| workspace.upgrade()) {
            workspace.outdated.store(true, Ordering::Release);
        }
    }

    /// Drops the names of people and workspaces whose facts are gone, now and then.
    fn sweep(&mut self) {
        const LEAST: usize = 1_024;
        if self.people.len() + self.workspaces.len() < self.sweep_at.max(LEAST) {
            return;
        }
        self.people.retain(|_, person| person.strong_count() > 0);
        self.workspaces.retain(|_, workspace| workspace.strong_count() > 0);
        self.sweep_at = 2 * (self.people.len() + self.workspaces.len());
    }
}

/// Facts that belong to nobody's table: for one check.
pub(crate) fn facts_of(found: &Found) -> CachedToken {
    let workspace = Arc::new(CachedWorkspace::new(found));
    facts(found, Arc::new(CachedPerson::new(found, workspace, ByteAccount::new(0, &Arc::default()))))
}

fn facts(found: &Found, person: Arc<CachedPerson>) -> CachedToken {
    let Found { token_id, created_at, expires_at, .. } = *found;
    CachedToken { token_id, created_at, expires_at, person, place: None }
}
