//! The clock floor: the latest time that any node has seen, stored in the database. No node uses an
//! earlier time, across restarts and nodes.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::MissedTickBehavior;

use crate::{
    domain::{
        causes::Causes,
        time::{Clock, Timestamp},
    },
    store::{self, Store},
};

/// The interval at which a node writes its time. After a restart at most this much time repeats.
const WRITE_INTERVAL_MILLIS: i64 = 5_000;
/// The interval at which a node checks whether a write is due, so that a clock jump is written
/// immediately.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// The timeout of one write.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
/// The maximum forward jump of a running process that is shared with other nodes. The limit for the
/// clock of PostgreSQL is the same (`store::clock`).
const MAX_FORWARD_JUMP_MILLIS: i64 = 2 * 3_600_000;
/// The maximum lag of the local clock at start. Above it the node does not start, because the
/// operator must decide which clock is wrong.
const MAX_LAG_MILLIS: i64 = 24 * 3_600_000;
/// The deviation above which a wrong clock is logged.
const WARNING_THRESHOLD_MILLIS: i64 = 60_000;

/// The error of the clock check at start.
#[derive(Debug, thiserror::Error)]
pub enum ClockFloorError {
    #[error(
        "the local clock is at {machine}, more than 24 hours before the latest time in the database, {floor}; \
         correct the clock, or, if the time in the database is wrong, stop all nodes and run tokenward clock reset"
    )]
    ClockTooEarly { machine: Timestamp, floor: Timestamp },
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Keeps the clock at or above the floor in the database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ClockFloor {
    store: Store,
    clock: Clock,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The time at the first write, and the boot time at that moment.
    started: Option<(Timestamp, Duration)>,
    has_warned: bool,
}

impl ClockFloor {
    /// Creates the floor. Call [`ClockFloor::initialize`] before using the clock.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, state: Arc::default() }
    }

    /// Advances the clock to the floor in the database. Call it before anything depends on the
    /// time.
    ///
    /// # Errors
    /// [`ClockFloorError::ClockTooEarly`] if the local clock is more than a day before the floor,
    /// [`ClockFloorError::Store`] if the database cannot be read.
    pub async fn initialize(&self) -> Result<(), ClockFloorError> {
        let machine = self.clock.wall_time();
        if let Some(floor) = self.store.find_clock_floor().await? {
            if floor.as_millis() - machine.as_millis() > MAX_LAG_MILLIS {
                return Err(ClockFloorError::ClockTooEarly { machine, floor });
            }
            self.clock.advance_to(floor);
        }
        self.warn_if_behind();
        Ok(())
    }

    /// Writes the time periodically and adopts later times of other nodes. Never completes.
    pub async fn run(self) {
        let mut timer = tokio::time::interval(POLL_INTERVAL);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_written = None;
        loop {
            timer.tick().await;
            let now = self.clock.now().as_millis();
            if last_written.is_some_and(|last_written| now - last_written < WRITE_INTERVAL_MILLIS) {
                continue;
            }
            if let Err(error) = self.sync().await {
                tracing::warn!(error = %Causes(&error), "failed to write the clock floor");
            }
            last_written = Some(self.clock.now().as_millis());
        }
    }

    /// Writes the time and adopts a later one.
    ///
    /// # Errors
    /// [`store::Error`] if the database cannot be written, or not within two seconds.
    pub async fn sync(&self) -> store::Result<()> {
        let now = self.clock.now();
        let write = tokio::time::timeout(WRITE_TIMEOUT, self.store.raise_clock_floor(self.limit_jump(now))).await;
        let floor = write.unwrap_or_else(|_| Err(store::Error::timed_out()))?;
        self.clock.advance_to(floor);
        let ahead = now.as_millis() - floor.as_millis();
        if ahead > WARNING_THRESHOLD_MILLIS && self.claim_warning() {
            tracing::warn!(
                ahead_seconds = ahead / 1_000,
                "the local clock is ahead; tokens expire too early on this node"
            );
        }
        self.warn_if_behind();
        Ok(())
    }

    /// Resets the floor to the local clock. Returns the previous floor and the new one.
    ///
    /// # Errors
    /// [`store::Error`] if the database cannot be read or written.
    pub async fn reset(&self) -> store::Result<(Option<Timestamp>, Timestamp)> {
        let previous = self.store.find_clock_floor().await?;
        let local = self.clock.wall_time();
        self.store.reset_clock_floor(local).await?;
        Ok((previous, local))
    }

    /// Limits a time that has jumped far ahead since the start.
    fn limit_jump(&self, now: Timestamp) -> Timestamp {
        let elapsed = self.clock.boottime();
        let mut state = self.state.lock();
        let (start, start_boottime) = *state.started.get_or_insert((now, elapsed));
        let elapsed_millis = i64::try_from(elapsed.saturating_sub(start_boottime).as_millis()).unwrap_or(i64::MAX);
        let max = start.as_millis().saturating_add(elapsed_millis).saturating_add(MAX_FORWARD_JUMP_MILLIS);
        now.min(Timestamp::from_millis(max))
    }

    /// Logs a local clock that is behind the floor, once.
    fn warn_if_behind(&self) {
        let behind = self.clock.now().as_millis() - self.clock.wall_time().as_millis();
        if behind > WARNING_THRESHOLD_MILLIS && self.claim_warning() {
            tracing::warn!(
                behind_seconds = behind / 1_000,
                "the local clock is behind the latest time in the database; this node uses the latter. If it is wrong, stop \
                 all nodes and run tokenward clock reset"
            );
        }
    }

    /// Returns true for the first call only.
    fn claim_warning(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().has_warned, true)
    }
}
