//! Slowing clients that guess passwords. Failures are counted by account, in the store, and by client address, in this process.
//!
//! Each entry point that takes a password comes through here, so tries add up whatever the entry point. Tokens and web sessions do not,
//! so the owner of an account that is guessed at goes on working. A try that comes from a known source of the account is judged by that
//! source's own counter alone: see [`source`](crate::domain::source).

use std::{net::IpAddr, num::NonZeroUsize, sync::Arc, time::Duration};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    domain::{
        event::Origin,
        ip_network::counted_by,
        person::EmailDigest,
        rate_limit::Rate,
        source::{DeviceValue, SEEN_EVERY_SECONDS, Source, SourceDigest},
        time::{Clock, Timestamp},
    },
    service::rate_limit::Budgets,
    store::{self, KnownSource, Record, Store},
};

/// Accounts share this many queues; two that share one wait for each other now and then.
const QUEUES: usize = 256;
/// How long it takes until an address that has had too many may try another.
const ADDRESS_EVERY_MILLIS: u32 = 6_000;
/// The number of tries rejected unread that are delayed at once. Together with [`SLOWED_BY`] it bounds what a flood of them costs.
const REJECTED_AT_ONCE: usize = 64;
/// How long the response to a try that is rejected unread is delayed.
const SLOWED_BY: Duration = Duration::from_millis(100);
/// How long such a try waits for its turn to be delayed.
const LONGEST_TURN: Duration = Duration::from_secs(1);

/// Counts wrong passwords.
#[derive(Clone)]
pub(super) struct Throttle {
    store: Store,
    clock: Clock,
    /// As many tries of one account at once as there are cores to hash on: how the others end is not known yet, so they wait to be
    /// judged by it.
    queues: Arc<[Semaphore]>,
    addresses: Budgets<IpAddr>,
    rejected: Arc<Semaphore>,
}

/// Why a password is not looked at.
#[derive(Debug)]
pub(super) enum Closed {
    /// Too many wrong ones came before; how many seconds to wait.
    Wait(u64),
    Unavailable(store::Error),
}

/// A try whose turn it is.
pub(super) struct Turn<'a> {
    throttle: &'a Throttle,
    /// None: no account can have this e-mail.
    email: Option<EmailDigest>,
    spent: Spent<'a>,
    place: Option<SemaphorePermit<'a>>,
}

/// A try that may be made.
pub(super) struct Try<'a> {
    turn: Turn<'a>,
    person_id: Option<i64>,
    record: Record,
    counter: Counter,
    sources: Vec<Source>,
}

/// Where the failures of a try are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counter {
    Common,
    Source(SourceDigest),
}

/// What an address has spent.
struct Spent<'a> {
    addresses: &'a Budgets<IpAddr>,
    from: Option<IpAddr>,
}

impl Spent<'_> {
    fn give_back(&self) {
        if let Some(from) = self.from {
            self.addresses.give_back(from);
        }
    }
}

impl Throttle {
    /// Of each address so many wrong ones at once, then one in [`ADDRESS_EVERY_MILLIS`]; 0: any number.
    pub(super) fn new(store: Store, clock: Clock, wrong_per_address: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let addresses = Budgets::new(Rate { burst: wrong_per_address, every_millis: ADDRESS_EVERY_MILLIS });
        let queues = (0..QUEUES).map(|_| Semaphore::new(cores)).collect();
        Self { store, clock, queues, addresses, rejected: Arc::new(Semaphore::new(REJECTED_AT_ONCE)) }
    }

    /// Spends one try of an address. It is given back where the password turns out to be right or was not looked at: of many at once no
    /// more come through than the budget has, and a client that hangs up before the response has spent it.
    ///
    /// An address that stands for many clients has no budget: one of them would spend it for all.
    ///
    /// # Errors
    /// How many seconds to wait.
    pub(super) fn enter(&self, email: Option<EmailDigest>, origin: &Origin) -> Result<Turn<'_>, u64> {
        let from = origin.own_address().map(counted_by);
        if let Some(from) = from {
            self.addresses.spend(from, self.clock.now()).map_err(|millis| millis.div_ceil(1_000))?;
        }
        let spent = Spent { addresses: &self.addresses, from };
        Ok(Turn { throttle: self, email, spent, place: None })
    }

    /// Delays the response to a try that was rejected unread: a client that got it at once would ask again at once. Only a few are
    /// delayed at a time and the others wait for them, so that a flood is slow however many connections it has. They hold nothing that
    /// other tries need.
    pub(super) async fn slow_down(&self) {
        if let Ok(Ok(_held)) = tokio::time::timeout(LONGEST_TURN, self.rejected.acquire()).await {
            tokio::time::sleep(SLOWED_BY).await;
        }
    }

    /// How many seconds the next try must wait at the longest, by the account's counter or by one of its sources'.
    pub(super) async fn wait(&self, email: &EmailDigest, person_id: i64) -> Result<Option<u64>, store::Error> {
        let now = self.clock.now();
        let tries = self.store.list_tries(email, person_id, now).await?;
        Ok(tries.into_iter().filter_map(|tries| tries.wait(now)).max())
    }

    /// Removes what is forgotten; answers how many e-mails that were.
    pub(super) async fn forget(&self) -> Result<u64, store::Error> {
        self.store.delete_forgotten_sources(self.clock.now()).await?;
        self.store.delete_forgotten_tries(self.clock.now()).await
    }
}

impl<'a> Turn<'a> {
    /// Waits until the tries of the account before this one are through.
    pub(super) async fn queue(mut self) -> Self {
        if let Some(email) = &self.email {
            let queue = &self.throttle.queues[usize::from(email.as_bytes()[0]) % QUEUES];
            // It is never closed.
            self.place = queue.acquire().await.ok();
        }
        self
    }

    /// Lets the try be made, unless it comes too early.
    ///
    /// # Errors
    /// [`Closed`].
    pub(super) async fn judge(
        self,
        person_id: Option<i64>,
        origin: &Origin,
        device: Option<&DeviceValue>,
    ) -> Result<Try<'a>, Closed> {
        let sources = sources(person_id, origin, device);
        let Some(email) = self.email else {
            return Ok(Try { turn: self, person_id, record: Record::default(), counter: Counter::Common, sources });
        };
        let now = self.throttle.clock.now();
        let record = match self.throttle.store.find_record(&email, person_id, &sources, now).await {
            Ok(record) => record,
            Err(error) => {
                self.was_not_judged();
                return Err(Closed::Unavailable(error));
            }
        };
        match choose(&record, &sources, now) {
            Ok(counter) => Ok(Try { turn: self, person_id, record, counter, sources }),
            Err(seconds) => Err(Closed::Wait(seconds)),
        }
    }

    /// Costs nothing, because the password was not looked at for a reason of ours.
    pub(super) fn was_not_judged(self) {
        self.spent.give_back();
    }
}

/// The sources that a try comes from: the address, and the browser.
fn sources(person_id: Option<i64>, origin: &Origin, device: Option<&DeviceValue>) -> Vec<Source> {
    let person_id = person_id.unwrap_or(0);
    let address = origin.own_address().map(|address| Source::address(person_id, address));
    address.into_iter().chain(device.map(|value| Source::device(person_id, value))).collect()
}

/// Decides which counter a try is judged by: the first of its known sources that has not to wait; the common one where no source is
/// known.
///
/// # Errors
/// How many seconds to wait.
fn choose(record: &Record, sources: &[Source], now: Timestamp) -> Result<Counter, u64> {
    let wait_of = |known: &KnownSource| known.tries.and_then(|tries| tries.wait(now));
    let in_order =
        sources.iter().filter_map(|source| record.sources.iter().find(|known| known.digest == source.digest));
    let known: Vec<&KnownSource> = in_order.collect();
    if let Some(open) = known.iter().find(|known| wait_of(known).is_none()) {
        return Ok(Counter::Source(open.digest));
    }
    let wait = match known[..] {
        [] => record.common.and_then(|tries| tries.wait(now)),
        _ => known.into_iter().filter_map(wait_of).min(),
    };
    wait.map_or(Ok(Counter::Common), Err)
}

impl Try<'_> {
    /// Counts it.
    ///
    /// # Errors
    /// [`store::Error`]: then it is not counted, and the answer must not be "wrong".
    pub(super) async fn was_wrong(self) -> Result<(), store::Error> {
        let Some(email) = &self.turn.email else { return Ok(()) };
        let Throttle { store, clock, .. } = self.turn.throttle;
        let now = clock.now();
        if let (Counter::Source(source), Some(person_id)) = (self.counter, self.person_id)
            && store.count_source_try(person_id, &source, now).await?
        {
            return Ok(());
        }
        store.count_try(email, now).await
    }

    /// It could not be judged, so it costs nothing.
    pub(super) fn was_not_judged(self) {
        self.turn.was_not_judged();
    }

    /// Forgets the wrong ones before it, as far as they were counted where this one would have been, and remembers its sources. Not worth
    /// failing for.
    ///
    /// A right password from a known source leaves the common counter alone. Otherwise a client that signs in with each request would
    /// give an attacker elsewhere ten new tries with each.
    pub(super) async fn was_right(self) {
        self.turn.spent.give_back();
        let (Some(email), Some(person_id)) = (self.turn.email, self.person_id) else { return };
        let Throttle { store, clock, .. } = self.turn.throttle;
        let now = clock.now();
        let noted = async {
            if self.counter == Counter::Common && self.record.common.is_some() {
                store.clear_tries(&email).await?;
            }
            for source in &self.sources {
                if self.is_to_be_noted(&source.digest, now) {
                    store.note_source(person_id, source, now).await?;
                }
            }
            Ok::<_, store::Error>(())
        };
        if let Err(error) = noted.await {
            tracing::warn!(error = ?anyhow::Error::from(error), "failed to note where an account signed in from");
        }
    }

    fn is_to_be_noted(&self, source: &SourceDigest, now: Timestamp) -> bool {
        match self.record.sources.iter().find(|known| known.digest == *source) {
            None => true,
            // One that has to wait did not let this try in, so its counter is not reset.
            Some(known) if self.counter != Counter::Source(*source) => {
                known.tries.is_none() && now >= known.seen_at.plus_seconds(SEEN_EVERY_SECONDS)
            }
            Some(known) => known.tries.is_some() || now >= known.seen_at.plus_seconds(SEEN_EVERY_SECONDS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::login_failures::Tries;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

    fn source(n: i64) -> SourceDigest {
        from(n).digest
    }

    fn from(n: i64) -> Source {
        Source::address(n, "192.0.2.1".parse().unwrap())
    }

    fn known(n: i64, failures: u32) -> KnownSource {
        let tries = (failures > 0).then_some(Tries { failures, last_at: NOW });
        KnownSource { digest: source(n), seen_at: NOW, tries }
    }

    #[test]
    fn a_known_source_is_judged_by_its_own_counter_and_a_stranger_by_the_common_one() {
        let locked = Some(Tries { failures: 12, last_at: NOW });
        let choose = |common, known: &[KnownSource], sources: &[i64]| {
            let from: Vec<Source> = sources.iter().map(|n| from(*n)).collect();
            super::choose(&Record { common, sources: known.to_vec() }, &from, NOW)
        };
        assert_eq!(choose(None, &[], &[1, 2]), Ok(Counter::Common));
        assert_eq!(choose(locked, &[], &[1, 2]), Err(4));
        assert_eq!(choose(locked, &[known(1, 9)], &[1, 2]), Ok(Counter::Source(source(1))));
        assert_eq!(choose(locked, &[known(2, 0)], &[1, 2]), Ok(Counter::Source(source(2))));
        // The address is shared with an attacker; the browser is not.
        assert_eq!(choose(None, &[known(2, 0), known(1, 10)], &[1, 2]), Ok(Counter::Source(source(2))));
        assert_eq!(choose(None, &[known(1, 11), known(2, 10)], &[1, 2]), Err(1));
        // A source that has to wait does not become a stranger.
        assert_eq!(choose(None, &[known(1, 10)], &[1]), Err(1));
    }
}
