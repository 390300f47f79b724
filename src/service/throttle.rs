//! Slowing those who guess passwords. Every door that takes a password comes through here, so tries add up whatever the door; tokens
//! and web sessions do not, so whoever is guessed at goes on working.

use std::{num::NonZeroUsize, sync::Arc};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    domain::{person::EmailDigest, time::Clock},
    store::{self, Store},
};

/// Accounts share this many queues; two that share one wait for each other now and then.
const QUEUES: usize = 256;

/// Counts wrong passwords.
#[derive(Clone)]
pub(super) struct Throttle {
    store: Store,
    clock: Clock,
    /// As many tries of one account at once as there are cores to hash on: how the others end is not known yet, so they wait to be
    /// judged by it.
    queues: Arc<[Semaphore]>,
}

/// Why a password is not looked at.
#[derive(Debug)]
pub(super) enum Closed {
    /// Too many wrong ones came before; how many seconds to wait.
    Wait(u64),
    Unavailable(store::Error),
}

/// A try that may be made.
pub(super) struct Try<'a> {
    throttle: &'a Throttle,
    email: EmailDigest,
    /// There are wrong ones to be forgotten if this one is right.
    has_failures: bool,
    _place: Option<SemaphorePermit<'a>>,
}

impl Throttle {
    pub(super) fn new(store: Store, clock: Clock) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self { store, clock, queues: (0..QUEUES).map(|_| Semaphore::new(cores)).collect() }
    }

    /// Lets a try be made, once those before it are through.
    pub(super) async fn begin(&self, email: EmailDigest) -> Result<Try<'_>, Closed> {
        let queue = &self.queues[usize::from(email.as_bytes()[0]) % QUEUES];
        // It is never closed.
        let place = queue.acquire().await.ok();
        let now = self.clock.now();
        let tries = self.store.find_tries(&email, now).await.map_err(Closed::Unavailable)?;
        if let Some(seconds) = tries.and_then(|tries| tries.wait(now)) {
            return Err(Closed::Wait(seconds));
        }
        Ok(Try { throttle: self, email, has_failures: tries.is_some(), _place: place })
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
        self.throttle.store.count_try(&self.email, self.throttle.clock.now()).await
    }

    /// Forgets the wrong ones before it. Not worth failing for: they are forgotten with time.
    pub(super) async fn was_right(self) {
        if self.has_failures
            && let Err(error) = self.throttle.store.clear_tries(&self.email).await
        {
            tracing::warn!(error = ?anyhow::Error::from(error), "wrong passwords could not be forgotten");
        }
    }
}
