//! The latest time that a node has seen.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use tokenward::{
    domain::time::{Clock, Timestamp},
    service::{ClockFloor, clock_floor::Error},
};

use super::NOW;
use crate::support::TestApp;

on_both!(
    the_latest_time_goes_forward_only,
    a_node_goes_on_from_the_latest_time,
    a_node_that_is_a_day_behind_does_not_start_until_the_time_is_reset,
    a_clock_that_jumps_takes_nobody_far_along,
);

const HOUR: i64 = 3_600;

async fn the_latest_time_goes_forward_only(app: TestApp) {
    let store = &app.store;
    assert_eq!(store.find_clock_floor().await.unwrap(), None);
    for (written, latest) in [(5, 5), (3, 5), (9, 9)] {
        assert_eq!(store.raise_clock_floor(NOW.plus_seconds(written)).await.unwrap(), NOW.plus_seconds(latest));
    }
    store.reset_clock_floor(NOW).await.unwrap();
    assert_eq!(store.find_clock_floor().await.unwrap(), Some(NOW));
}

/// The machine of a node; its clock is set by the test, its stopwatch stands still.
struct Machine {
    clock: Clock,
    time: Arc<AtomicI64>,
}

impl Machine {
    fn at(moment: Timestamp) -> Self {
        let time = Arc::new(AtomicI64::new(moment.as_millis()));
        let told = Arc::clone(&time);
        let told = move || Timestamp::from_millis(told.load(Ordering::SeqCst));
        Self { clock: Clock::forward(told, || std::time::Duration::ZERO), time }
    }

    fn set(&self, moment: Timestamp) {
        self.time.store(moment.as_millis(), Ordering::SeqCst);
    }

    fn floor(&self, app: &TestApp) -> ClockFloor {
        ClockFloor::new(app.store.clone(), self.clock.clone())
    }
}

async fn a_node_goes_on_from_the_latest_time(app: TestApp) {
    let (first, second) = (Machine::at(NOW), Machine::at(NOW.plus_seconds(-HOUR)));
    first.floor(&app).begin().await.unwrap();
    first.floor(&app).note().await.unwrap();
    let floor = second.floor(&app);
    floor.begin().await.unwrap();
    assert_eq!(second.clock.now(), NOW);
    // What the first sees later reaches the second when it writes its own time, and takes nothing back from the first.
    first.set(NOW.plus_seconds(20));
    first.floor(&app).note().await.unwrap();
    floor.note().await.unwrap();
    assert_eq!(second.clock.now(), NOW.plus_seconds(20));
    assert_eq!(app.store.find_clock_floor().await.unwrap(), Some(NOW.plus_seconds(20)));
}

async fn a_node_that_is_a_day_behind_does_not_start_until_the_time_is_reset(app: TestApp) {
    app.store.reset_clock_floor(NOW.plus_seconds(24 * HOUR)).await.unwrap();
    Machine::at(NOW).floor(&app).begin().await.unwrap();
    let late = Machine::at(NOW.plus_seconds(-1));
    let error = late.floor(&app).begin().await.unwrap_err();
    assert!(matches!(error, Error::Behind { .. }) && error.to_string().contains("tokenward clock reset"), "{error}");
    assert_eq!(late.clock.now(), NOW.plus_seconds(-1), "it was not raised");
    late.floor(&app).reset().await.unwrap();
    late.floor(&app).begin().await.unwrap();
    assert_eq!(app.store.find_clock_floor().await.unwrap(), Some(NOW.plus_seconds(-1)));
}

async fn a_clock_that_jumps_takes_nobody_far_along(app: TestApp) {
    let machine = Machine::at(NOW);
    let floor = machine.floor(&app);
    floor.note().await.unwrap();
    machine.set(NOW.plus_seconds(HOUR));
    floor.note().await.unwrap();
    assert_eq!(app.store.find_clock_floor().await.unwrap(), Some(NOW.plus_seconds(HOUR)), "so far it may be right");
    machine.set(NOW.plus_seconds(20_000 * HOUR));
    floor.note().await.unwrap();
    assert_eq!(app.store.find_clock_floor().await.unwrap(), Some(NOW.plus_seconds(2 * HOUR)));
}

/// PostgreSQL has a clock of its own to hold a time against.
#[tokio::test]
async fn a_node_that_starts_far_ahead_takes_nobody_far_along() {
    let app = TestApp::start(crate::support::Engine::Postgres).await;
    let far = Timestamp::from_millis(4_000_000_000_000);
    let machine = Machine::at(far);
    machine.floor(&app).begin().await.unwrap();
    machine.floor(&app).note().await.unwrap();
    assert_eq!(machine.clock.now(), far);
    let is_near: String = app
        .database
        .ask("select (at between now() + interval '1 hour 59 minutes' and now() + interval '2 hours')::text from clock_floor")
        .await
        .unwrap();
    assert_eq!(is_near, "true");
}
