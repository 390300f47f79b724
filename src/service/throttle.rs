//! Slowing those who guess passwords: by the account that is guessed at, in the store, and by the address that guesses, in this
//! process. Every door that takes a password comes through here, so tries add up whatever the door; tokens and web sessions do not,
//! so whoever is guessed at goes on working.

use std::{net::IpAddr, num::NonZeroUsize, sync::Arc};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    domain::{budget::Rate, network::counted_by, person::EmailDigest, time::Clock},
    service::budgets::Budgets,
    store::{self, Store},
};

/// Accounts share this many queues; two that share one wait for each other now and then.
const QUEUES: usize = 256;
/// How long it takes until an address that has had too many may try another.
const ADDRESS_EVERY_MILLIS: u32 = 6_000;

/// Counts wrong passwords.
#[derive(Clone)]
pub(super) struct Throttle {
    store: Store,
    clock: Clock,
    /// As many tries of one account at once as there are cores to hash on: how the others end is not known yet, so they wait to be
    /// judged by it.
    queues: Arc<[Semaphore]>,
    addresses: Budgets<IpAddr>,
}

/// Why a password is not looked at.
#[derive(Debug)]
pub(super) enum Closed {
    /// Too many wrong ones came before; how many seconds to wait.
    Wait(u64),
    /// The same, from this address, for whatever account.
    WaitAddress(u64),
    Unavailable(store::Error),
}

/// A try that may be made.
pub(super) struct Try<'a> {
    throttle: &'a Throttle,
    /// None: nobody can have this e-mail.
    email: Option<EmailDigest>,
    spent: Spent<'a>,
    /// There are wrong ones to be forgotten if this one is right.
    has_failures: bool,
    _place: Option<SemaphorePermit<'a>>,
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
        Self { store, clock, queues: (0..QUEUES).map(|_| Semaphore::new(cores)).collect(), addresses }
    }

    /// Lets a try be made, once those before it are through. Each address spends one of its budget, and is given it back where the
    /// password turns out to be right or was not looked at: of many at once no more come through than the budget has, and whoever
    /// hangs up before the answer has spent it.
    pub(super) async fn begin(&self, email: Option<EmailDigest>, from: Option<IpAddr>) -> Result<Try<'_>, Closed> {
        let spent = self.spend(from)?;
        let Some(email) = email else {
            return Ok(Try { throttle: self, email: None, spent, has_failures: false, _place: None });
        };
        let queue = &self.queues[usize::from(email.as_bytes()[0]) % QUEUES];
        // It is never closed.
        let place = queue.acquire().await.ok();
        let now = self.clock.now();
        let tries = match self.store.find_tries(&email, now).await {
            Ok(tries) => tries,
            Err(error) => {
                spent.give_back();
                return Err(Closed::Unavailable(error));
            }
        };
        if let Some(seconds) = tries.and_then(|tries| tries.wait(now)) {
            return Err(Closed::Wait(seconds));
        }
        Ok(Try { throttle: self, email: Some(email), spent, has_failures: tries.is_some(), _place: place })
    }

    fn spend(&self, from: Option<IpAddr>) -> Result<Spent<'_>, Closed> {
        let from = from.map(counted_by);
        if let Some(from) = from {
            let wait = |millis: u64| Closed::WaitAddress(millis.div_ceil(1_000));
            self.addresses.spend(from, self.clock.now()).map_err(wait)?;
        }
        Ok(Spent { addresses: &self.addresses, from })
    }

    /// How many seconds the next try must wait.
    pub(super) async fn wait(&self, email: &EmailDigest) -> Result<Option<u64>, store::Error> {
        let now = self.clock.now();
        Ok(self.store.find_tries(email, now).await?.and_then(|tries| tries.wait(now)))
    }

    /// Removes what is forgotten; answers how many e-mails that were.
    pub(super) async fn forget(&self) -> Result<u64, store::Error> {
        self.store.delete_forgotten_tries(self.clock.now()).await
    }
}

impl Try<'_> {
    /// Counts it.
    ///
    /// # Errors
    /// [`store::Error`]: then it is not counted, and the answer must not be "wrong".
    pub(super) async fn was_wrong(self) -> Result<(), store::Error> {
        match &self.email {
            Some(email) => self.throttle.store.count_try(email, self.throttle.clock.now()).await,
            None => Ok(()),
        }
    }

    /// It could not be judged, so it costs nothing.
    pub(super) fn was_not_judged(self) {
        self.spent.give_back();
    }

    /// Forgets the wrong ones before it. Not worth failing for: they are forgotten with time.
    pub(super) async fn was_right(self) {
        self.spent.give_back();
        if let Some(email) = self.email
            && self.has_failures
            && let Err(error) = self.throttle.store.clear_tries(&email).await
        {
            tracing::warn!(error = ?anyhow::Error::from(error), "wrong passwords could not be forgotten");
        }
    }
}
