//! Who was not let in, written down together: the first time soon, and then at most once in a while with how often. A flood of
//! wrong credentials must not become a flood of rows.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    domain::{
        event::{Act, Action, Details, Origin},
        ip_network::counted_by,
        time::{Clock, Timestamp},
        workspace,
    },
    store::{self, Store, TokenLabel, Told},
};
use tokenward_guard::token_format::TokenDigest;

/// The most refusals that are told apart; past it those of one kind are one. Half of the room is for those that concern somebody.
const MOST: usize = 10_000;
/// From how many addresses refusals of one kind that concern one person are told apart.
const MOST_ADDRESSES: u32 = 50;
/// The most rows that are written at once.
const MOST_ROWS: usize = 500;
/// How often the same is told again.
const AGAIN_AFTER_SECONDS: i64 = 60;
/// How often it is told that a dead token is still in use.
const DEAD_AGAIN_AFTER_SECONDS: i64 = 3_600;

/// What is the same refusal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Refused {
    pub workspace_id: i64,
    pub action: Action,
    pub person_id: Option<i64>,
    pub target: String,
    pub label: String,
    /// Why, in a few words.
    pub cause: String,
    /// By which it is told apart: one of IPv6 by its first 64 bits.
    pub address: Option<IpAddr>,
}

/// How often it was since it was told last.
#[derive(Clone, Debug)]
struct Seen {
    count: u64,
    first_at: Timestamp,
    last_at: Timestamp,
    origin: Origin,
    told_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Pending {
    refused: HashMap<Refused, Seen>,
    /// Values that have the form of a token and are none, or none any more.
    unknown: HashMap<TokenDigest, Seen>,
    /// From how many addresses a kind of refusal of one person has come.
    addresses: HashMap<(Action, i64, Option<i64>), u32>,
}

/// The refusals of this process. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Refusals {
    store: Store,
    clock: Clock,
    pending: Arc<Mutex<Pending>>,
}

impl Seen {
    fn new(at: Timestamp, origin: Origin) -> Self {
        Self { count: 0, first_at: at, last_at: at, origin, told_at: None }
    }

    fn once_more(&mut self, at: Timestamp, origin: Origin) {
        if self.count == 0 {
            self.first_at = at;
        }
        self.count += 1;
        self.last_at = at;
        self.origin = origin;
    }

    fn is_due(&self, now: Timestamp, again_after: i64) -> bool {
        self.told_at.is_none_or(|told_at| now >= told_at.plus_seconds(again_after))
    }

    /// What there is to tell now, if anything; from then on it is counted anew.
    fn take(&mut self, now: Timestamp, again_after: i64, of_all: bool) -> Option<Self> {
        if self.count == 0 || !(of_all || self.is_due(now, again_after)) {
            return None;
        }
        let taken = self.clone();
        (self.count, self.told_at) = (0, Some(now));
        Some(taken)
    }

    /// Adds what was seen elsewhere.
    fn add(&mut self, other: &Self) {
        if self.count == 0 || other.first_at < self.first_at {
            self.first_at = other.first_at;
        }
        if self.count == 0 || other.last_at > self.last_at {
            (self.last_at, self.origin) = (other.last_at, other.origin.clone());
        }
        self.count += other.count;
    }

    fn told(self, refused: &Refused) -> Told {
        let details = Details::default()
            .with("cause", refused.cause.as_str())
            .with("count", self.count)
            .with("firstAt", self.first_at.to_string())
            .with("lastAt", self.last_at.to_string());
        Told {
            act: Act::by("somebody", self.last_at, self.origin),
            action: refused.action,
            person_id: refused.person_id,
            target: refused.target.clone(),
            label: refused.label.clone(),
            details,
        }
    }
}

impl Pending {
    /// Where a refusal is counted: by itself, or where there is no room with the others of its kind.
    fn seen(&mut self, mut refused: Refused, at: Timestamp) -> &mut Seen {
        refused.address = refused.address.map(counted_by);
        let concerned = (refused.action, refused.workspace_id, refused.person_id);
        if !self.refused.contains_key(&refused) {
            let addresses = self.addresses.entry(concerned).or_default();
            *addresses += 1;
            if *addresses > MOST_ADDRESSES {
                refused.address = None;
            }
            let room = if refused.person_id.is_some() { MOST } else { MOST / 2 };
            if self.refused.len() >= room {
                let (person_id, target, label) = (None, String::new(), "others".to_owned());
                refused = Refused { person_id, target, label, address: None, ..refused };
            }
        }
        self.refused.entry(refused).or_insert_with(|| Seen::new(at, Origin::default()))
    }

    /// What there is to tell now. What was told and has not happened again for long enough is forgotten.
    fn take_due(&mut self, now: Timestamp, of_all: bool) -> Vec<(Refused, Seen)> {
        self.refused.retain(|refused, seen| seen.count > 0 || !seen.is_due(now, again_after(refused.action)));
        self.addresses.clear();
        for refused in self.refused.keys().filter(|refused| refused.address.is_some()) {
            *self.addresses.entry((refused.action, refused.workspace_id, refused.person_id)).or_default() += 1;
        }
        let take = |(refused, seen): (&Refused, &mut Seen)| {
            seen.take(now, again_after(refused.action), of_all).map(|seen| (refused.clone(), seen))
        };
        let most = if of_all { usize::MAX } else { MOST_ROWS };
        self.refused.iter_mut().filter_map(take).take(most).collect()
    }

    /// Keeps what could not be told, for the next time.
    fn put_back(&mut self, refused: Refused, taken: &Seen) {
        let seen = self.refused.entry(refused).or_insert_with(|| Seen { count: 0, ..taken.clone() });
        seen.add(taken);
        seen.told_at = taken.told_at;
    }
}

fn again_after(action: Action) -> i64 {
    if action == Action::TokenUsedAfterDeath { DEAD_AGAIN_AFTER_SECONDS } else { AGAIN_AFTER_SECONDS }
}

impl Refusals {
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, pending: Arc::default() }
    }

    /// Notes a refusal. Costs no waiting.
    pub(super) fn note(&self, refused: Refused, origin: Origin) {
        let now = self.clock.now();
        self.lock().seen(refused, now).once_more(now, origin);
    }

    /// Notes a delegated check that let nobody in, for the administrators of the first workspace: whose it was nobody knows.
    pub fn note_check(&self, route: &str, cause: &str) {
        let refused = Refused {
            workspace_id: workspace::FIRST,
            action: Action::ChecksRefused,
            person_id: None,
            target: route.to_owned(),
            label: String::new(),
            cause: cause.to_owned(),
            address: None,
        };
        self.note(refused, Origin::default());
    }

    /// Notes a value of which nobody knows whether it has been a token.
    pub(super) fn note_unknown(&self, digest: TokenDigest, origin: Origin) {
        let now = self.clock.now();
        let mut pending = self.lock();
        if pending.unknown.len() < MOST || pending.unknown.contains_key(&digest) {
            pending.unknown.entry(digest).or_insert_with(|| Seen::new(now, Origin::default())).once_more(now, origin);
        }
    }

    /// The number of token hashes of which it is not known yet whether they were tokens; at most 10,000.
    #[must_use]
    pub fn unknown(&self) -> usize {
        self.lock().unknown.len()
    }

    /// Writes what is due, or all of it. What could not be written waits on.
    ///
    /// # Errors
    /// Whatever kept the store from writing.
    pub async fn flush(&self, of_all: bool) -> Result<(), store::Error> {
        self.find_dead().await?;
        let due = self.lock().take_due(self.clock.now(), of_all);
        let mut failed = None;
        for (refused, seen) in due {
            if failed.is_none() {
                failed = match self.store.record(refused.workspace_id, &seen.clone().told(&refused)).await {
                    Err(error @ store::Error::Unavailable(_)) => Some(error),
                    Ok(()) => continue,
                    // Its workspace is gone, and nobody is left to be told.
                    Err(error) => {
                        tracing::debug!(error = ?anyhow::Error::from(error), "a refusal is not told");
                        continue;
                    }
                };
            }
            self.lock().put_back(refused, &seen);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Finds out which of the unknown values have been tokens.
    async fn find_dead(&self) -> Result<(), store::Error> {
        let unknown: Vec<TokenDigest> = self.lock().unknown.keys().copied().collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let dead = self.store.find_deleted(&unknown).await?;
        let mut pending = self.lock();
        for (digest, token) in dead {
            if let Some(seen) = pending.unknown.remove(&digest) {
                pending.seen(after_death(token), seen.first_at).add(&seen);
            }
        }
        for digest in unknown {
            pending.unknown.remove(&digest);
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn after_death(token: TokenLabel) -> Refused {
    Refused {
        workspace_id: token.workspace_id,
        action: Action::TokenUsedAfterDeath,
        person_id: Some(token.person_id),
        target: token.id.to_string(),
        label: token.hint,
        cause: "deleted".to_owned(),
        address: None,
    }
}
