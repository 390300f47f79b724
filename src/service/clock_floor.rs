//! The clock across restarts and nodes: the database remembers the latest time that any node has seen, and no node judges by an
//! earlier one.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::MissedTickBehavior;

use crate::{
    domain::time::{Clock, Timestamp},
    store::{self, Store},
};

/// A node writes its time this often; so much of the past a restart may repeat.
const WRITE_EVERY_MILLIS: i64 = 5_000;
/// How often it looks whether that much has passed: a clock that jumps is written at once.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const LONGEST_WRITE: Duration = Duration::from_secs(2);
/// How far the clock of a process that runs may jump ahead and take the others along. What PostgreSQL's own clock allows is the
/// same (`store::clock`).
const FARTHEST_JUMP_MILLIS: i64 = 2 * 3_600_000;
/// A node whose clock is further behind than this does not start: its operator is to say which of the two is wrong.
const FARTHEST_BEHIND_MILLIS: i64 = 24 * 3_600_000;
/// From here on the log tells of a clock that is wrong.
const NOTABLE_MILLIS: i64 = 60_000;

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "the clock of this machine is at {machine}, more than 24 hours before the latest time in the database, {floor}; \
         correct the clock, or, if the time in the database is wrong, stop all nodes and run tokenward clock reset"
    )]
    Behind { machine: Timestamp, floor: Timestamp },
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Holds the clock to what the database remembers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ClockFloor {
    store: Store,
    clock: Clock,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What time it was at the start, and what the stopwatch said.
    begun: Option<(Timestamp, Duration)>,
    has_warned: bool,
}

impl ClockFloor {
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, state: Arc::default() }
    }

    /// Raises the clock to the latest time in the database. To be called before anything is judged.
    ///
    /// # Errors
    /// [`Error::Behind`] where the machine's clock is more than a day earlier.
    pub async fn begin(&self) -> Result<(), Error> {
        let machine = self.clock.machine();
        if let Some(floor) = self.store.find_clock_floor().await? {
            if floor.as_millis() - machine.as_millis() > FARTHEST_BEHIND_MILLIS {
                return Err(Error::Behind { machine, floor });
            }
            self.clock.raise(floor);
        }
        self.warn();
        Ok(())
    }

    /// Writes the time now and then, and takes over what others have written. Never completes.
    pub async fn keep(self) {
        let mut timer = tokio::time::interval(LOOK_EVERY);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut written = None;
        loop {
            timer.tick().await;
            let now = self.clock.now().as_millis();
            if written.is_some_and(|written| now - written < WRITE_EVERY_MILLIS) {
                continue;
            }
            if let Err(error) = self.note().await {
                tracing::warn!(error = ?anyhow::Error::from(error), "failed to write the time to the database");
            }
            written = Some(self.clock.now().as_millis());
        }
    }

    /// Writes the time, and takes over a later one.
    ///
    /// # Errors
    /// Whatever kept the store from writing.
    pub async fn note(&self) -> store::Result<()> {
        let now = self.clock.now();
        let writing = tokio::time::timeout(LONGEST_WRITE, self.store.raise_clock_floor(self.bounded(now))).await;
        let floor = writing.unwrap_or_else(|_| Err(store::Error::timed_out()))?;
        self.clock.raise(floor);
        let ahead = now.as_millis() - floor.as_millis();
        if ahead > NOTABLE_MILLIS && self.warns_first() {
            tracing::warn!(
                ahead_seconds = ahead / 1_000,
                "the clock of this machine is ahead: tokens expire too early here"
            );
        }
        self.warn();
        Ok(())
    }

    /// Forgets what the database remembers: from now on it is what the machine's clock says. Answers what it was, and is.
    ///
    /// # Errors
    /// [`store::Error`]
    pub async fn reset(&self) -> store::Result<(Option<Timestamp>, Timestamp)> {
        let (before, machine) = (self.store.find_clock_floor().await?, self.clock.machine());
        self.store.reset_clock_floor(machine).await?;
        Ok((before, machine))
    }

    /// A clock that has jumped far since the start is not believed.
    fn bounded(&self, now: Timestamp) -> Timestamp {
        let elapsed = self.clock.elapsed();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (begun, at) = *state.begun.get_or_insert((now, elapsed));
        let passed = i64::try_from(elapsed.saturating_sub(at).as_millis()).unwrap_or(i64::MAX);
        let most = begun.as_millis().saturating_add(passed).saturating_add(FARTHEST_JUMP_MILLIS);
        now.min(Timestamp::from_millis(most))
    }

    /// Tells of a machine's clock that is behind.
    fn warn(&self) {
        let behind = self.clock.now().as_millis() - self.clock.machine().as_millis();
        if behind > NOTABLE_MILLIS && self.warns_first() {
            tracing::warn!(
                behind_seconds = behind / 1_000,
                "the clock of this machine is behind the latest time in the database: time goes on from there. If that time \
                 is wrong, stop all nodes and run tokenward clock reset"
            );
        }
    }

    /// Whether nothing was told yet.
    fn warns_first(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).has_warned, true)
    }
}
