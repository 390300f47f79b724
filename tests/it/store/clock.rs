//! The clock floor: the latest time that any node has seen.

use rstest::rstest;
use rstest_reuse::apply;
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use tokenward::{
    domain::time::{Clock, Timestamp},
    service::{ClockFloor, clock_floor::ClockFloorError},
};

use super::NOW;
use crate::support::{Engine, TestApp, both_databases};

const HOUR_SECONDS: i64 = 3_600;

#[apply(both_databases)]
async fn the_clock_floor_only_moves_forward(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    assert_eq!(store.find_clock_floor().await.unwrap(), None);
    for (written, latest) in [(5, 5), (3, 5), (9, 9)] {
        assert_eq!(store.raise_clock_floor(NOW.plus_seconds(written)).await.unwrap(), NOW.plus_seconds(latest));
    }
    store.reset_clock_floor(NOW).await.unwrap();
    assert_eq!(store.find_clock_floor().await.unwrap(), Some(NOW));
}

/// A machine whose wall clock the test sets; its monotonic clock stands still.
struct FakeMachine {
    clock: Clock,
    time: Arc<AtomicI64>,
}

impl FakeMachine {
    fn new(moment: Timestamp) -> Self {
        let time = Arc::new(AtomicI64::new(moment.as_millis()));
        let millis = Arc::clone(&time);
        let millis = move || Timestamp::from_millis(millis.load(Ordering::SeqCst));
        Self { clock: Clock::monotonic(millis, || std::time::Duration::ZERO), time }
    }

    fn set(&self, moment: Timestamp) {
        self.time.store(moment.as_millis(), Ordering::SeqCst);
    }

    fn clock_floor(&self, app: &TestApp) -> ClockFloor {
        ClockFloor::new(app.store.clone(), self.clock.clone())
    }
}

#[apply(both_databases)]
async fn a_node_continues_from_the_clock_floor(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (first, second) = (FakeMachine::new(NOW), FakeMachine::new(NOW.plus_seconds(-HOUR_SECONDS)));
    first.clock_floor(&app).initialize().await.unwrap();
    first.clock_floor(&app).sync().await.unwrap();
    let floor = second.clock_floor(&app);
    floor.initialize().await.unwrap();
    assert_eq!(second.clock.now(), NOW);
    // A later time of the first node reaches the second when that writes its own time, and does not
    // turn the first back.
    first.set(NOW.plus_seconds(20));
    first.clock_floor(&app).sync().await.unwrap();
    floor.sync().await.unwrap();
    assert_eq!(second.clock.now(), NOW.plus_seconds(20));
    assert_eq!(app.store.find_clock_floor().await.unwrap(), Some(NOW.plus_seconds(20)));
}

#[apply(both_databases)]
async fn a_node_more_than_a_day_behind_does_not_start_until_the_floor_is_reset(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.store.reset_clock_floor(NOW.plus_seconds(24 * HOUR_SECONDS)).await.unwrap();
    FakeMachine::new(NOW).clock_floor(&app).initialize().await.unwrap();
    let late = FakeMachine::new(NOW.plus_seconds(-1));
    let error = late.clock_floor(&app).initialize().await.unwrap_err();
    assert!(
        matches!(error, ClockFloorError::ClockTooEarly { .. }) && error.to_string().contains("tokenward clock reset"),
        "{error}"
    );
    assert_eq!(late.clock.now(), NOW.plus_seconds(-1), "the clock is unchanged");
    late.clock_floor(&app).reset().await.unwrap();
    late.clock_floor(&app).initialize().await.unwrap();
    assert_eq!(app.store.find_clock_floor().await.unwrap(), Some(NOW.plus_seconds(-1)));
}

#[apply(both_databases)]
async fn a_clock_jump_raises_the_floor_by_a_limited_step(engine: Engine) {
    let app = TestApp::start(engine).await;
    let machine = FakeMachine::new(NOW);
    let floor = machine.clock_floor(&app);
    floor.sync().await.unwrap();
    machine.set(NOW.plus_seconds(HOUR_SECONDS));
    floor.sync().await.unwrap();
    assert_eq!(
        app.store.find_clock_floor().await.unwrap(),
        Some(NOW.plus_seconds(HOUR_SECONDS)),
        "an hour ahead is plausible"
    );
    machine.set(NOW.plus_seconds(20_000 * HOUR_SECONDS));
    floor.sync().await.unwrap();
    assert_eq!(app.store.find_clock_floor().await.unwrap(), Some(NOW.plus_seconds(2 * HOUR_SECONDS)));
}

/// On PostgreSQL the time is compared with the clock of the database.
#[tokio::test]
async fn a_node_starting_far_ahead_raises_the_floor_by_two_hours() {
    let app = TestApp::start(crate::support::Engine::Postgres).await;
    let far = Timestamp::from_millis(4_000_000_000_000);
    let machine = FakeMachine::new(far);
    machine.clock_floor(&app).initialize().await.unwrap();
    machine.clock_floor(&app).sync().await.unwrap();
    assert_eq!(machine.clock.now(), far);
    let is_in_range: String = app
        .database
        .query_text("select (at between now() + interval '1 hour 59 minutes' and now() + interval '2 hours')::text from clock_floor")
        .await
        .unwrap();
    assert_eq!(is_in_range, "true");
}
