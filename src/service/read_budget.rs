//! The budget for reads whose cost grows with the data: lists, counts and searches.
//!
//! These reads use their own database connections, so auth checks, revocations, sign-ins and token
//! creation never wait for them. One person uses at most half of the connections at a time. A list
//! holds a connection for one page at a time.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    domain::id::PersonId,
    service::{Error, Result},
    store,
};

/// The time a request waits for its first page before it gets 429 or 503.
const FIRST_PAGE_TIMEOUT: Duration = Duration::from_secs(1);
/// The time a list that is being sent waits for its next page before it is aborted.
const NEXT_PAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// The read budget. Cheap to clone; all clones share one budget.
#[derive(Clone, Debug)]
pub struct ReadBudget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    total: Arc<Semaphore>,
    max_per_person: usize,
    people: Mutex<HashMap<PersonId, PersonPermits>>,
    rejections: AtomicU64,
}

/// The permits of one person.
#[derive(Clone, Debug)]
struct PersonPermits {
    reads: Arc<Semaphore>,
    /// Queues the next pages of lists that are being sent, so that at most one of them waits for
    /// `reads`. A first page therefore waits for at most one next page.
    continuations: Arc<Semaphore>,
}

impl PersonPermits {
    fn new(max_reads: usize) -> Self {
        Self { reads: Arc::new(Semaphore::new(max_reads)), continuations: Arc::new(Semaphore::new(1)) }
    }

    /// Returns whether no request holds or awaits a permit.
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.reads) == 1 && Arc::strong_count(&self.continuations) == 1
    }
}

/// The requester of a read: the person, and whether the read continues a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadRequester {
    person_id: Option<PersonId>,
    is_continuation: bool,
}

impl ReadRequester {
    /// Returns the requester for the first page of a person.
    pub(super) const fn person(person_id: PersonId) -> Self {
        Self { person_id: Some(person_id), is_continuation: false }
    }

    /// Returns the requester for reads of the operator at the command line. They have no limit per
    /// person.
    pub(super) const fn operator() -> Self {
        Self { person_id: None, is_continuation: true }
    }

    /// Returns the requester for a page of a provisioning client.
    pub(super) const fn provisioning_client() -> Self {
        Self { person_id: None, is_continuation: false }
    }

    /// Returns the same requester for the next pages of a list whose first page was sent.
    pub(super) const fn continuing(self) -> Self {
        Self { is_continuation: true, ..self }
    }
}

/// A permit for one database read.
struct ReadPermit {
    _person: Option<PersonPermit>,
    _total: OwnedSemaphorePermit,
}

/// The share of a permit that counts against one person.
struct PersonPermit {
    budget: ReadBudget,
    person_id: PersonId,
    permits: Option<(OwnedSemaphorePermit, Option<OwnedSemaphorePermit>)>,
}

impl Drop for PersonPermit {
    fn drop(&mut self) {
        self.permits = None;
        let mut people = self.budget.lock_people();
        if people.get(&self.person_id).is_some_and(PersonPermits::is_idle) {
            people.remove(&self.person_id);
        }
    }
}

impl ReadBudget {
    /// Creates a budget of `max_reads` concurrent reads.
    #[must_use]
    pub fn new(max_reads: usize) -> Self {
        let max_reads = max_reads.max(1);
        let total = Arc::new(Semaphore::new(max_reads));
        let max_per_person = (max_reads / 2).max(1);
        Self(Arc::new(Inner { total, max_per_person, people: Mutex::default(), rejections: AtomicU64::new(0) }))
    }

    /// Runs a read within the budget. The permit is held until the database has finished, even if
    /// the client disconnects first.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if the person has too many reads in progress, [`Error::Unavailable`]
    /// if the whole budget is exhausted or the database fails.
    pub(super) async fn run<T, F>(&self, requester: ReadRequester, query: F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = store::Result<T>> + Send + 'static,
    {
        let permit = self.acquire(requester).await?;
        let task = tokio::spawn(async move {
            let _permit = permit;
            query.await
        });
        match task.await {
            Ok(read) => Ok(read?),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_cancelled) => Err(store::Error::timed_out().into()),
        }
    }

    /// Returns how many reads exceeded the limit per person since the start.
    #[must_use]
    pub fn rate_limit_rejections(&self) -> (&'static str, u64) {
        ("concurrent_reads", self.0.rejections.load(Ordering::Relaxed))
    }

    async fn acquire(&self, requester: ReadRequester) -> Result<ReadPermit> {
        let ReadRequester { person_id, is_continuation } = requester;
        let timeout = if is_continuation { NEXT_PAGE_TIMEOUT } else { FIRST_PAGE_TIMEOUT };
        // The permit of the person comes first: while waiting for it, a request does not block
        // other people.
        let person = match person_id {
            None => None,
            Some(person_id) => Some(self.acquire_for_person(person_id, is_continuation, timeout).await?),
        };
        match tokio::time::timeout(timeout, Arc::clone(&self.0.total).acquire_owned()).await {
            Ok(Ok(total)) => Ok(ReadPermit { _person: person, _total: total }),
            _ => Err(store::Error::timed_out().into()),
        }
    }

    async fn acquire_for_person(
        &self,
        person_id: PersonId,
        is_continuation: bool,
        timeout: Duration,
    ) -> Result<PersonPermit> {
        let person =
            self.lock_people().entry(person_id).or_insert_with(|| PersonPermits::new(self.0.max_per_person)).clone();
        let acquisition = async {
            let continuation =
                if is_continuation { Some(person.continuations.acquire_owned().await.ok()?) } else { None };
            Some((person.reads.acquire_owned().await.ok()?, continuation))
        };
        let permits = tokio::time::timeout(timeout, acquisition).await.ok().flatten();
        let Some(permits) = permits else {
            self.0.rejections.fetch_add(1, Ordering::Relaxed);
            return Err(Error::RateLimited { retry_after_millis: 1_000 });
        };
        let permits = Some(permits);
        Ok(PersonPermit { budget: self.clone(), person_id, permits })
    }

    fn lock_people(&self) -> MutexGuard<'_, HashMap<PersonId, PersonPermits>> {
        self.0.people.lock()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn requester(person_id: i64) -> ReadRequester {
        ReadRequester::person(PersonId::new(person_id))
    }

    /// Starts a read that runs until the returned sender is used or dropped.
    fn start_blocked_read(
        budget: &ReadBudget,
        person_id: i64,
    ) -> (oneshot::Sender<()>, tokio::task::JoinHandle<Result<()>>) {
        let (end, ended) = oneshot::channel::<()>();
        let budget = budget.clone();
        let query = async move {
            ended.await.ok();
            Ok(())
        };
        (end, tokio::spawn(async move { budget.run(requester(person_id), query).await }))
    }

    async fn try_read(budget: &ReadBudget, person_id: i64) -> Result<i64> {
        budget.run(requester(person_id), async move { Ok(person_id) }).await
    }

    #[tokio::test(start_paused = true)]
    async fn one_person_uses_at_most_half_of_the_budget() {
        let budget = ReadBudget::new(2);
        let (end_first, first) = start_blocked_read(&budget, 1);
        tokio::task::yield_now().await;
        assert!(matches!(try_read(&budget, 1).await, Err(Error::RateLimited { retry_after_millis: 1_000 })));
        assert_eq!(try_read(&budget, 2).await.unwrap(), 2);
        let (end_second, second) = start_blocked_read(&budget, 2);
        tokio::task::yield_now().await;
        assert!(matches!(try_read(&budget, 3).await, Err(Error::Unavailable(_))));
        drop((end_first, end_second));
        first.await.unwrap().unwrap();
        second.await.unwrap().unwrap();
        assert_eq!(try_read(&budget, 1).await.unwrap(), 1);
        assert!(budget.lock_people().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn first_page_waits_for_at_most_one_continuation() {
        let budget = ReadBudget::new(1);
        let (end, blocked) = start_blocked_read(&budget, 1);
        tokio::task::yield_now().await;
        let (order_tx, mut order_rx) = tokio::sync::mpsc::unbounded_channel();
        let start = |requester: ReadRequester, name: &'static str| {
            let (budget, order_tx) = (budget.clone(), order_tx.clone());
            tokio::spawn(async move {
                budget.run(requester, async move { order_tx.send(name).map_err(|_| store::Error::timed_out()) }).await
            })
        };
        for _ in 0..50 {
            start(requester(1).continuing(), "continuation");
        }
        tokio::task::yield_now().await;
        start(requester(1), "first");
        tokio::task::yield_now().await;
        drop(end);
        blocked.await.unwrap().unwrap();
        assert_eq!([order_rx.recv().await, order_rx.recv().await], [Some("continuation"), Some("first")]);
    }

    #[tokio::test(start_paused = true)]
    async fn permit_is_held_until_the_read_ends() {
        let budget = ReadBudget::new(1);
        let (end, request) = start_blocked_read(&budget, 1);
        tokio::task::yield_now().await;
        request.abort();
        request.await.ok();
        assert!(try_read(&budget, 1).await.is_err());
        drop(end);
        assert_eq!(try_read(&budget, 1).await.unwrap(), 1);
    }
}
