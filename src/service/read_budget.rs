//! The budget of reads whose cost grows with the data: lists, counts, searches.
//!
//! Such reads have database connections of their own, so that auth checks, revocations, sign-ins and new tokens never wait for one.
//! Here the connections are shared out: one person holds at most half of them at a time, for one page of a list at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    service::{Refusal, Result},
    store,
};

/// How long a request waits for its first page; after it the response is 429 or 503.
const FIRST_PAGE: Duration = Duration::from_secs(1);
/// How long a list that is being sent waits for a further page; after it the list is aborted.
const NEXT_PAGE: Duration = Duration::from_secs(30);

/// The budget. Cheap to clone; all clones share it.
#[derive(Clone, Debug)]
pub struct Lists(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    all: Arc<Semaphore>,
    each: usize,
    people: Mutex<HashMap<i64, Places>>,
}

/// The places of one person.
#[derive(Clone, Debug)]
struct Places {
    reading: Arc<Semaphore>,
    /// One of the lists under way waits for `reading`, the others wait here. A first page then waits for one further page, and not for
    /// a further page of every list under way.
    further: Arc<Semaphore>,
}

impl Places {
    fn new(reading: usize) -> Self {
        Self { reading: Arc::new(Semaphore::new(reading)), further: Arc::new(Semaphore::new(1)) }
    }

    /// Returns whether no request has a place here or waits for one.
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.reading) == 1 && Arc::strong_count(&self.further) == 1
    }
}

/// A read's part in the budget of the caller: the person, and how long the read may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    person_id: Option<i64>,
    is_further: bool,
}

impl Share {
    /// The share of a person who waits for a response.
    pub(super) const fn of(person_id: i64) -> Self {
        Self { person_id: Some(person_id), is_further: false }
    }

    /// The operator's, at the command line.
    pub(super) const fn operator() -> Self {
        Self { person_id: None, is_further: true }
    }

    /// The same for a list of which the first page has been sent.
    pub(super) const fn under_way(self) -> Self {
        Self { is_further: true, ..self }
    }
}

/// A place at the database, held while one page is read.
struct Place {
    _of_person: Option<OfPerson>,
    _of_all: OwnedSemaphorePermit,
}

/// A person's part of it.
struct OfPerson {
    lists: Lists,
    person_id: i64,
    permits: Option<(OwnedSemaphorePermit, Option<OwnedSemaphorePermit>)>,
}

impl Drop for OfPerson {
    fn drop(&mut self) {
        self.permits = None;
        let mut people = self.lists.people();
        if people.get(&self.person_id).is_some_and(Places::is_idle) {
            people.remove(&self.person_id);
        }
    }
}

impl Lists {
    /// A budget of so many reads at a time.
    #[must_use]
    pub fn new(places: usize) -> Self {
        let places = places.max(1);
        let (all, each) = (Arc::new(Semaphore::new(places)), (places / 2).max(1));
        Self(Arc::new(Inner { all, each, people: Mutex::default() }))
    }

    /// Reads within the budget. The place is held until the database has finished, also where the client hangs up before that.
    ///
    /// # Errors
    /// [`Refusal::TooFast`] where the person has too many lists under way, [`Refusal::Unavailable`] where all people together have.
    pub(super) async fn read<T, F>(&self, share: Share, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = store::Result<T>> + Send + 'static,
    {
        let place = self.enter(share).await?;
        let reading = tokio::spawn(async move {
            let _place = place;
            work.await
        });
        match reading.await {
            Ok(read) => Ok(read?),
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            Err(_stopping) => Err(store::Error::timed_out().into()),
        }
    }

    async fn enter(&self, share: Share) -> Result<Place> {
        let Share { person_id, is_further } = share;
        let patience = if is_further { NEXT_PAGE } else { FIRST_PAGE };
        // The person's own first: requests that wait for it are not in the way of other people's.
        let of_person = match person_id {
            None => None,
            Some(person_id) => Some(self.enter_for(person_id, is_further, patience).await?),
        };
        match tokio::time::timeout(patience, Arc::clone(&self.0.all).acquire_owned()).await {
            Ok(Ok(of_all)) => Ok(Place { _of_person: of_person, _of_all: of_all }),
            _ => Err(store::Error::timed_out().into()),
        }
    }

    async fn enter_for(&self, person_id: i64, is_further: bool, patience: Duration) -> Result<OfPerson> {
        let places = self.people().entry(person_id).or_insert_with(|| Places::new(self.0.each)).clone();
        let waiting = async {
            let further = if is_further { Some(places.further.acquire_owned().await.ok()?) } else { None };
            Some((places.reading.acquire_owned().await.ok()?, further))
        };
        let permits = tokio::time::timeout(patience, waiting).await.ok().flatten();
        let permits = Some(permits.ok_or(Refusal::TooFast { millis: 1_000 })?);
        Ok(OfPerson { lists: self.clone(), person_id, permits })
    }

    fn people(&self) -> MutexGuard<'_, HashMap<i64, Places>> {
        self.0.people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    /// A read that takes until the sender is used or dropped.
    fn held(lists: &Lists, person_id: i64) -> (oneshot::Sender<()>, tokio::task::JoinHandle<Result<()>>) {
        let (end, ended) = oneshot::channel::<()>();
        let lists = lists.clone();
        let work = async move {
            ended.await.ok();
            Ok(())
        };
        (end, tokio::spawn(async move { lists.read(Share::of(person_id), work).await }))
    }

    async fn reads(lists: &Lists, person_id: i64) -> Result<i64> {
        lists.read(Share::of(person_id), async move { Ok(person_id) }).await
    }

    #[tokio::test(start_paused = true)]
    async fn one_person_takes_half_and_the_others_go_on() {
        let lists = Lists::new(2);
        let (end, first) = held(&lists, 1);
        tokio::task::yield_now().await;
        assert!(matches!(reads(&lists, 1).await, Err(Refusal::TooFast { millis: 1_000 })));
        assert_eq!(reads(&lists, 2).await.unwrap(), 2);
        let (end_of_two, second) = held(&lists, 2);
        tokio::task::yield_now().await;
        assert!(matches!(reads(&lists, 3).await, Err(Refusal::Unavailable(_))));
        drop((end, end_of_two));
        first.await.unwrap().unwrap();
        second.await.unwrap().unwrap();
        assert_eq!(reads(&lists, 1).await.unwrap(), 1);
        assert!(lists.people().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_page_waits_for_one_further_page_and_not_for_all() {
        let lists = Lists::new(1);
        let (end, reading) = held(&lists, 1);
        tokio::task::yield_now().await;
        let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let enter = |share: Share, name: &'static str| {
            let (lists, said) = (lists.clone(), said.clone());
            tokio::spawn(async move {
                lists.read(share, async move { said.send(name).map_err(|_| store::Error::timed_out()) }).await
            })
        };
        for _ in 0..50 {
            enter(Share::of(1).under_way(), "further");
        }
        tokio::task::yield_now().await;
        enter(Share::of(1), "first");
        tokio::task::yield_now().await;
        drop(end);
        reading.await.unwrap().unwrap();
        assert_eq!([heard.recv().await, heard.recv().await], [Some("further"), Some("first")]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_held_until_the_read_has_ended() {
        let lists = Lists::new(1);
        let (end, request) = held(&lists, 1);
        tokio::task::yield_now().await;
        request.abort();
        request.await.ok();
        assert!(reads(&lists, 1).await.is_err());
        drop(end);
        assert_eq!(reads(&lists, 1).await.unwrap(), 1);
    }
}
