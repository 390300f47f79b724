//! The login throttle. It counts failed logins per account in the store, and per client address in
//! this process.
//!
//! Every entry point that accepts a password uses this throttle, so the counters cover all of them.
//! Tokens and web sessions bypass it: the owner of an attacked account can keep working. An attempt
//! from a known source of the account is checked against the counter of that source alone, see
//! [`source`](crate::domain::source).

use std::{net::IpAddr, num::NonZeroUsize, sync::Arc, time::Duration};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    domain::{
        causes::Causes,
        event::RequestContext,
        id::PersonId,
        ip_network::rate_limit_key,
        person::EmailDigest,
        rate_limit::Rate,
        source::{DeviceValue, LAST_SEEN_RESOLUTION_SECONDS, SignInSource, SourceDigest},
        time::{Clock, Timestamp},
    },
    service::{completion::run_to_completion, rate_limit::KeyedRateLimiter},
    store::{self, KnownSource, LoginFailureCounts, Store},
};

/// The number of queues. Accounts that share a queue occasionally wait for each other.
const QUEUE_COUNT: usize = 256;
/// The interval after which an address that used up its burst may try again.
const ADDRESS_INTERVAL_MILLIS: u32 = 6_000;
/// The maximum number of concurrently delayed rejections. Together with [`TARPIT_DELAY`] it limits
/// what a flood of rejected attempts costs.
const MAX_TARPITTED: usize = 64;
/// The delay of the response to an attempt that is rejected without a password check.
const TARPIT_DELAY: Duration = Duration::from_millis(100);
/// The time a rejected attempt waits for a tarpit slot.
const TARPIT_QUEUE_TIMEOUT: Duration = Duration::from_secs(1);

/// Counts failed logins and delays further attempts.
#[derive(Clone)]
pub(super) struct LoginThrottle {
    store: Store,
    clock: Clock,
    /// The queues by account. Each admits as many concurrent attempts as there are cores for
    /// hashing, so that later attempts are checked against the results of earlier ones.
    queues: Arc<[Semaphore]>,
    address_limiter: KeyedRateLimiter<IpAddr>,
    tarpit_slots: Arc<Semaphore>,
}

/// The reason why an attempt was rejected without a password check.
#[derive(Debug)]
pub(super) enum ThrottleError {
    /// Too many failed logins came before. The value is the number of seconds to wait.
    RetryAfter(u64),
    Unavailable(store::Error),
}

/// An attempt that was charged to its address but not yet checked against the counters.
pub(super) struct QueuedAttempt<'a> {
    throttle: &'a LoginThrottle,
    /// `None` if no account can have this e-mail address.
    email: Option<EmailDigest>,
    charge: AddressCharge<'a>,
    queue_permit: Option<SemaphorePermit<'a>>,
}

/// An attempt whose password may be checked.
pub(super) struct LoginAttempt<'a> {
    queued: QueuedAttempt<'a>,
    person_id: Option<PersonId>,
    record: LoginFailureCounts,
    counter: FailureCounter,
    sources: Vec<SignInSource>,
}

/// The counter that records the failure of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FailureCounter {
    Account,
    Source(SourceDigest),
}

/// The rate-limit token that an attempt took from the bucket of its address.
struct AddressCharge<'a> {
    limiter: &'a KeyedRateLimiter<IpAddr>,
    address: Option<IpAddr>,
}

impl AddressCharge<'_> {
    fn refund(&self) {
        if let Some(address) = self.address {
            self.limiter.refund(address);
        }
    }
}

impl LoginThrottle {
    /// Creates a throttle that allows each address `max_failures` failed logins at once, then one
    /// per [`ADDRESS_INTERVAL_MILLIS`]. 0 disables the limit per address.
    pub(super) fn new(store: Store, clock: Clock, max_failures: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let address_limiter =
            KeyedRateLimiter::new(Rate { burst: max_failures, interval_millis: ADDRESS_INTERVAL_MILLIS });
        let queues = (0..QUEUE_COUNT).map(|_| Semaphore::new(cores)).collect();
        Self { store, clock, queues, address_limiter, tarpit_slots: Arc::new(Semaphore::new(MAX_TARPITTED)) }
    }

    /// Returns how many attempts exceeded the limit per address since the start.
    pub(super) fn address_rejections(&self) -> u64 {
        self.address_limiter.rejections()
    }

    /// Charges one attempt to the address. The charge is refunded if the password is right or is
    /// not checked. Concurrent attempts therefore cannot exceed the limit, and a client that
    /// disconnects early has paid.
    ///
    /// An address that many clients share has no limit: one client would lock out all others.
    ///
    /// # Errors
    /// The seconds to wait if the address has no attempts left.
    pub(super) fn begin(&self, email: Option<EmailDigest>, request: &RequestContext) -> Result<QueuedAttempt<'_>, u64> {
        let address = request.unshared_client_ip().map(rate_limit_key);
        if let Some(address) = address {
            self.address_limiter.try_acquire(address, self.clock.now()).map_err(|millis| millis.div_ceil(1_000))?;
        }
        let charge = AddressCharge { limiter: &self.address_limiter, address };
        Ok(QueuedAttempt { throttle: self, email, charge, queue_permit: None })
    }

    /// Delays the response to an attempt that was rejected without a password check, because a
    /// client that gets the response immediately retries immediately. Only [`MAX_TARPITTED`]
    /// responses are delayed at a time and the others wait for a slot, so a flood stays slow with
    /// any number of connections. Waiting attempts hold nothing that other attempts need.
    pub(super) async fn tarpit(&self) {
        if let Ok(Ok(_held)) = tokio::time::timeout(TARPIT_QUEUE_TIMEOUT, self.tarpit_slots.acquire()).await {
            tokio::time::sleep(TARPIT_DELAY).await;
        }
    }

    /// Returns the longest delay in seconds of the next attempt, by the counter of the account or
    /// of one of its known sources.
    ///
    /// # Errors
    /// [`store::Error`] if the store cannot be read.
    pub(super) async fn retry_after(
        &self,
        email: &EmailDigest,
        person_id: PersonId,
    ) -> Result<Option<u64>, store::Error> {
        let now = self.clock.now();
        let failures = self.store.list_login_failures(email, person_id, now).await?;
        Ok(failures.into_iter().filter_map(|failures| failures.retry_after_seconds(now)).max())
    }

    /// Returns whether an attempt comes from a known source of the person.
    ///
    /// # Errors
    /// [`store::Error`] if the store cannot be read.
    pub(super) async fn is_known_source(
        &self,
        person_id: PersonId,
        request: &RequestContext,
        device: Option<&DeviceValue>,
    ) -> Result<bool, store::Error> {
        let sources = sources_of(Some(person_id), request, device);
        self.store.has_known_source(person_id, &sources, self.clock.now()).await
    }

    /// Records the sources of a successful sign-in. Errors are logged only.
    pub(super) fn record_known_sources(
        &self,
        person_id: PersonId,
        request: &RequestContext,
        device: Option<&DeviceValue>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let sources = sources_of(Some(person_id), request, device);
        let (store, now) = (self.store.clone(), self.clock.now());
        async move {
            for source in &sources {
                if let Err(error) = store.record_source(person_id, source, now).await {
                    tracing::warn!(error = %Causes(&error), "failed to record the sources of a sign-in");
                }
            }
        }
    }

    /// Purges expired counters and sources. Returns the number of e-mail addresses whose counter
    /// was deleted.
    ///
    /// # Errors
    /// [`store::Error`] if the store cannot be written.
    pub(super) async fn purge(&self) -> Result<u64, store::Error> {
        self.store.purge_sources(self.clock.now()).await?;
        self.store.purge_directory_attempts(self.clock.now()).await?;
        self.store.purge_login_failures(self.clock.now()).await
    }
}

impl<'a> QueuedAttempt<'a> {
    /// Waits for a slot in the queue of the account.
    pub(super) async fn wait_in_queue(mut self) -> Self {
        if let Some(email) = &self.email {
            let queue = &self.throttle.queues[usize::from(email.as_bytes()[0]) % QUEUE_COUNT];
            // The semaphore is never closed.
            self.queue_permit = queue.acquire().await.ok();
        }
        self
    }

    /// Checks the attempt against the failure counters.
    ///
    /// # Errors
    /// [`ThrottleError::RetryAfter`] if the attempt comes too early, [`ThrottleError::Unavailable`]
    /// if the counters cannot be read.
    pub(super) async fn check(
        self,
        person_id: Option<PersonId>,
        request: &RequestContext,
        device: Option<&DeviceValue>,
    ) -> Result<LoginAttempt<'a>, ThrottleError> {
        let sources = sources_of(person_id, request, device);
        let Some(email) = self.email else {
            return Ok(LoginAttempt {
                queued: self,
                person_id,
                record: LoginFailureCounts::default(),
                counter: FailureCounter::Account,
                sources,
            });
        };
        let now = self.throttle.clock.now();
        let record = match self.throttle.store.find_login_failure_counts(&email, person_id, &sources, now).await {
            Ok(record) => record,
            Err(error) => {
                self.cancel();
                return Err(ThrottleError::Unavailable(error));
            }
        };
        match choose_counter(&record, &sources, now) {
            Ok(counter) => Ok(LoginAttempt { queued: self, person_id, record, counter, sources }),
            Err(seconds) => Err(ThrottleError::RetryAfter(seconds)),
        }
    }

    /// Refunds the charge, because the password was not checked.
    pub(super) fn cancel(self) {
        self.charge.refund();
    }
}

/// Returns the sources of an attempt: the address and the browser.
fn sources_of(
    person_id: Option<PersonId>,
    request: &RequestContext,
    device: Option<&DeviceValue>,
) -> Vec<SignInSource> {
    // No person has the ID 0, so the sources of an unknown account match no stored source.
    let person_id = person_id.unwrap_or(PersonId::new(0));
    let address = request.unshared_client_ip().map(|address| SignInSource::from_address(person_id, address));
    address.into_iter().chain(device.map(|value| SignInSource::from_device(person_id, value))).collect()
}

/// Selects the counter for an attempt: that of the first known source without a delay, or that of
/// the account if no source is known.
///
/// # Errors
/// The seconds to wait if every applicable counter has a delay.
fn choose_counter(
    record: &LoginFailureCounts,
    sources: &[SignInSource],
    now: Timestamp,
) -> Result<FailureCounter, u64> {
    let delay_of = |known: &KnownSource| known.failures.and_then(|failures| failures.retry_after_seconds(now));
    let known_sources =
        sources.iter().filter_map(|source| record.known_sources.iter().find(|known| known.digest == source.digest));
    let known: Vec<&KnownSource> = known_sources.collect();
    if let Some(undelayed) = known.iter().find(|known| delay_of(known).is_none()) {
        return Ok(FailureCounter::Source(undelayed.digest));
    }
    let delay = match known[..] {
        [] => record.unknown_sources.and_then(|failures| failures.retry_after_seconds(now)),
        _ => known.into_iter().filter_map(delay_of).min(),
    };
    delay.map_or(Ok(FailureCounter::Account), Err)
}

impl LoginAttempt<'_> {
    /// Counts the failure, also if the client disconnects meanwhile. The next attempt of the account
    /// waits for it.
    ///
    /// # Errors
    /// [`store::Error`] if the failure was not counted. The caller must then not report a wrong
    /// password.
    pub(super) async fn record_failure(self) -> Result<(), store::Error> {
        let Some(email) = self.queued.email else { return Ok(()) };
        let LoginThrottle { store, clock, .. } = self.queued.throttle.clone();
        let (counter, person_id, now) = (self.counter, self.person_id, clock.now());
        let recorded = run_to_completion(async move {
            if let (FailureCounter::Source(source), Some(person_id)) = (counter, person_id)
                && store.record_source_failure(person_id, &source, now).await?
            {
                return Ok(());
            }
            store.record_login_failure(&email, now).await
        });
        recorded.await.unwrap_or_else(|| Err(store::Error::timed_out()))
    }

    /// Leaves the queue of the account to other attempts.
    pub(super) fn leave_queue(mut self) -> Self {
        self.queued.queue_permit = None;
        self
    }

    /// Refunds the charge, because the password was not checked.
    pub(super) fn cancel(self) {
        self.queued.cancel();
    }

    /// Resets the counter that this attempt was checked against, and records its sources. Errors
    /// are logged only.
    ///
    /// A successful login from a known source leaves the counter of the account alone. Otherwise a
    /// client that sends its password with each request would grant an attacker elsewhere ten new
    /// attempts with each.
    pub(super) fn record_success(self) -> impl Future<Output = ()> + Send + use<> {
        self.queued.charge.refund();
        let account = self.queued.email.zip(self.person_id);
        let LoginThrottle { store, clock, .. } = self.queued.throttle.clone();
        let Self { record, counter, sources, .. } = self;
        async move {
            let Some((email, person_id)) = account else { return };
            let now = clock.now();
            let result = async {
                if counter == FailureCounter::Account && record.unknown_sources.is_some() {
                    store.delete_login_failures(&email).await?;
                }
                for source in &sources {
                    if needs_recording(&record, counter, &source.digest, now) {
                        store.record_source(person_id, source, now).await?;
                    }
                }
                Ok::<_, store::Error>(())
            };
            if let Err(error) = result.await {
                tracing::warn!(error = %Causes(&error), "failed to record the sources of a sign-in");
            }
        }
    }
}

/// Returns whether the record of a source must be written: it is new, its counter must be
/// reset, or its timestamp is outdated.
fn needs_recording(
    record: &LoginFailureCounts,
    counter: FailureCounter,
    source: &SourceDigest,
    now: Timestamp,
) -> bool {
    match record.known_sources.iter().find(|known| known.digest == *source) {
        None => true,
        // A source with failures did not admit this attempt, so its counter is not reset.
        Some(known) if counter != FailureCounter::Source(*source) => {
            known.failures.is_none() && now >= known.last_seen_at.plus_seconds(LAST_SEEN_RESOLUTION_SECONDS)
        }
        Some(known) => known.failures.is_some() || now >= known.last_seen_at.plus_seconds(LAST_SEEN_RESOLUTION_SECONDS),
    }
}

#[cfg(test)]
mod tests;
