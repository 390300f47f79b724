//! A value that is loaded on demand, by one request at a time.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::Unavailable;

/// A value is kept for this long.
pub(crate) const MAX_AGE: Duration = Duration::from_hours(1);
/// A value is loaded again before its time at most this often.
pub(crate) const REFRESH_INTERVAL: Duration = Duration::from_mins(1);

/// A monotonic clock. Tests move it.
#[derive(Clone)]
pub(crate) struct MonotonicClock(Arc<dyn Fn() -> Instant + Send + Sync>);

impl MonotonicClock {
    pub(crate) fn system() -> Self {
        Self::new(Instant::now)
    }

    pub(crate) fn new(now: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    fn now(&self) -> Instant {
        (self.0)()
    }
}

/// A value that is loaded on demand. Concurrent callers share one load and its outcome.
pub(crate) struct Cached<T> {
    clock: MonotonicClock,
    state: Mutex<State<T>>,
    /// Held by the caller that loads.
    load: tokio::sync::Mutex<()>,
}

struct State<T> {
    value: Option<(Instant, Arc<T>)>,
    /// The number of completed loads.
    loads: u64,
    /// The outcome of the last load, if it failed.
    error: Option<Unavailable>,
    /// The time and the outcome of the last refresh. Set at its beginning, so that a caller that goes
    /// away does not allow another refresh.
    refreshed: Option<(Instant, Option<Unavailable>)>,
}

impl<T> Cached<T> {
    pub(crate) fn new(clock: MonotonicClock) -> Self {
        let state = State { value: None, loads: 0, error: None, refreshed: None };
        Self { clock, state: Mutex::new(state), load: tokio::sync::Mutex::new(()) }
    }

    /// Returns the value. Loads it if there is none, or if it is older than [`MAX_AGE`].
    pub(crate) async fn get(&self, load: impl AsyncFnOnce() -> Result<T, Unavailable>) -> Result<Arc<T>, Unavailable> {
        let loads = {
            let state = self.state();
            match &state.value {
                Some((at, value)) if self.clock.now().saturating_duration_since(*at) < MAX_AGE => {
                    return Ok(Arc::clone(value));
                }
                _ => state.loads,
            }
        };
        let _loading = self.load.lock().await;
        if let Some(outcome) = self.outcome_since(loads) {
            return outcome;
        }
        self.store(load().await)
    }

    /// Loads the value again, because `seen` does not suffice. Returns `None` if it was loaded again
    /// less than [`REFRESH_INTERVAL`] ago.
    pub(crate) async fn refresh(
        &self,
        seen: &Arc<T>,
        load: impl AsyncFnOnce() -> Result<T, Unavailable>,
    ) -> Result<Option<Arc<T>>, Unavailable> {
        let loads = self.state().loads;
        let _loading = self.load.lock().await;
        if let Some(outcome) = self.outcome_since(loads) {
            return outcome.map(Some);
        }
        {
            let mut state = self.state();
            if let Some((_, value)) = state.value.as_ref().filter(|(_, value)| !Arc::ptr_eq(value, seen)) {
                return Ok(Some(Arc::clone(value)));
            }
            let now = self.clock.now();
            if let Some((at, outcome)) = &state.refreshed
                && now.saturating_duration_since(*at) < REFRESH_INTERVAL
            {
                // Without the newer value it is not known whether it would suffice.
                return outcome.clone().map_or(Ok(None), Err);
            }
            state.refreshed = Some((now, None));
        }
        let outcome = self.store(load().await);
        if let (Some(refreshed), Err(error)) = (&mut self.state().refreshed, &outcome) {
            refreshed.1 = Some(error.clone());
        }
        outcome.map(Some)
    }

    /// Returns the outcome of the last load, if one completed after there were `loads`.
    fn outcome_since(&self, loads: u64) -> Option<Result<Arc<T>, Unavailable>> {
        let state = self.state();
        if state.loads == loads {
            return None;
        }
        match (&state.error, &state.value) {
            (Some(error), _) => Some(Err(error.clone())),
            (None, Some((_, value))) => Some(Ok(Arc::clone(value))),
            (None, None) => None,
        }
    }

    /// Stores the outcome of a load. An error leaves the value as it is.
    fn store(&self, outcome: Result<T, Unavailable>) -> Result<Arc<T>, Unavailable> {
        let mut state = self.state();
        state.loads += 1;
        let outcome = outcome.map(Arc::new);
        state.error = outcome.as_ref().err().cloned();
        if let Ok(value) = &outcome {
            state.value = Some((self.clock.now(), Arc::clone(value)));
        }
        outcome
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // No code that can panic runs while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
