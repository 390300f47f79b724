//! Attempts at directories, and the schedule of their syncs.

use futures_util::future::join_all;
use rstest::rstest;
use rstest_reuse::apply;
use tokenward::domain::{
    directory_attempts::{AttemptDigest, AttemptPlace},
    directory_sync::{SyncOutcome, SyncReport},
    id::PersonId,
    source::SignInSource,
};

use super::{ADMIN, NOW};
use crate::support::{Engine, TestApp, both_databases};

const WINDOW: i64 = 30 * 60;

#[apply(both_databases)]
async fn attempts_are_counted_in_a_window_that_ends_after_the_last_asked_one(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let account = AttemptDigest::of_entry("company", "s1", AttemptPlace::Unknown);
    let count = async |seconds: i64| {
        let now = NOW.plus_seconds(seconds);
        let (attempts, end) = store.count_directory_attempt(&account, 3, now, now.plus_seconds(WINDOW)).await.unwrap();
        (attempts, (end.as_millis() - NOW.as_millis()) / 1_000)
    };
    assert_eq!(count(0).await, (1, WINDOW));
    assert_eq!(count(100).await, (2, WINDOW + 100));
    assert_eq!(count(200).await, (3, WINDOW + 200));
    // Further attempts are not asked about and do not extend the window.
    assert_eq!(count(300).await, (4, WINDOW + 200));
    assert_eq!(count(WINDOW + 200).await, (1, 2 * WINDOW + 200));
    store.refund_directory_attempt(&account).await.unwrap();
    assert_eq!(count(WINDOW + 201).await.0, 1);
    store.reset_directory_attempts(&account).await.unwrap();
    store.refund_directory_attempt(&account).await.unwrap();
    assert_eq!(count(WINDOW + 202).await.0, 1);
    store.block_directory_attempts(&account, NOW.plus_seconds(WINDOW + 500)).await.unwrap();
    let (attempts, end) = count(WINDOW + 203).await;
    assert!(attempts > 1_000 && end == WINDOW + 500);
    assert_eq!(store.purge_directory_attempts(NOW.plus_seconds(WINDOW + 499)).await.unwrap(), 0);
    assert_eq!(store.purge_directory_attempts(NOW.plus_seconds(WINDOW + 500)).await.unwrap(), 1);
}

#[apply(both_databases)]
async fn concurrent_attempts_are_all_counted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let account = AttemptDigest::of_entry("company", "s1", AttemptPlace::Known);
    let attempts = (0..20).map(|_| app.store.count_directory_attempt(&account, 2, NOW, NOW.plus_seconds(WINDOW)));
    let mut counts: Vec<u32> = join_all(attempts).await.into_iter().map(|counted| counted.unwrap().0).collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=20).collect::<Vec<u32>>());
}

#[apply(both_databases)]
async fn a_sync_is_claimed_by_one_node(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let claim = async |seconds: i64| {
        let now = NOW.plus_seconds(seconds);
        store.claim_directory_sync("company", now, now.plus_seconds(-900), now.plus_seconds(600)).await.unwrap()
    };
    let first = join_all((0..5).map(|_| claim(0))).await;
    assert_eq!(first.into_iter().filter(|claimed| *claimed).count(), 1);
    let report = SyncReport { entries: 7, disabled: 1, enabled: 2, held: 3, message: "text".to_owned() };
    let end = NOW.plus_seconds(5);
    store.finish_directory_sync("company", (NOW, end), SyncOutcome::Success, &report).await.unwrap();
    assert!(!claim(899).await);
    assert!(claim(900).await);
    // Its node renews the claim, and then crashes.
    let until = NOW.plus_seconds(1_900);
    assert!(store.renew_directory_sync("company", NOW.plus_seconds(900), until).await.unwrap());
    assert!(!claim(1_500).await);
    assert!(!claim(1_899).await);
    assert!(claim(1_900).await);
    // The first node goes on. Its claim is lost, and its result is not recorded.
    let lost = (NOW.plus_seconds(900), NOW.plus_seconds(1_901));
    assert!(!store.renew_directory_sync("company", lost.0, NOW.plus_seconds(9_999)).await.unwrap());
    store.finish_directory_sync("company", lost, SyncOutcome::Failed, &report).await.unwrap();
    assert!(!claim(2_499).await);
    let finished = (NOW.plus_seconds(1_900), NOW.plus_seconds(1_902));
    store.finish_directory_sync("company", finished, SyncOutcome::Held, &report).await.unwrap();
    // A finished sync has no claim to renew.
    assert!(!store.renew_directory_sync("company", finished.0, NOW.plus_seconds(9_999)).await.unwrap());
    let states = store.list_directory_syncs().await.unwrap();
    let [state] = &states[..] else { panic!("{states:?}") };
    assert_eq!((state.outcome, state.succeeded_at, &state.report), (Some(SyncOutcome::Held), Some(end), &report));
}

#[apply(both_databases)]
async fn a_known_source_belongs_to_one_person(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let source = SignInSource::from_address(ADMIN, "192.0.2.1".parse().unwrap());
    let is_known = async |person: PersonId| store.has_known_source(person, &[source], NOW).await.unwrap();
    assert!(!is_known(ADMIN).await);
    store.record_source(ADMIN, &source, NOW).await.unwrap();
    assert!(is_known(ADMIN).await);
    assert!(!is_known(PersonId::new(2)).await);
    assert!(!store.has_known_source(ADMIN, &[], NOW).await.unwrap());
}
