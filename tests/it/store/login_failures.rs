//! Counters of consecutive login failures.

use rstest::rstest;
use rstest_reuse::apply;
use tokenward::domain::{login_failures::LoginFailures, person::EmailKey};

use super::NOW;
use crate::support::{Engine, TestApp, both_databases};

#[apply(both_databases)]
async fn login_failures_are_counted_cleared_and_purged(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let [ada, ben] = ["ada@example.com", "ben@example.com"].map(|email| EmailKey::from_text(email).digest());
    assert_eq!(store.find_login_failures(&ada, NOW).await.unwrap(), None);
    store.record_login_failure(&ada, NOW).await.unwrap();
    let later = NOW.plus_seconds(5);
    store.record_login_failure(&ada, later).await.unwrap();
    assert_eq!(
        store.find_login_failures(&ada, later).await.unwrap(),
        Some(LoginFailures { count: 2, last_failed_at: later })
    );
    assert_eq!(store.find_login_failures(&ben, later).await.unwrap(), None);
    let next_day = later.plus_seconds(86_400);
    assert_eq!(store.find_login_failures(&ada, next_day).await.unwrap(), None);
    store.record_login_failure(&ada, next_day).await.unwrap();
    assert_eq!(
        store.find_login_failures(&ada, next_day).await.unwrap(),
        Some(LoginFailures { count: 1, last_failed_at: next_day })
    );
    assert!(store.delete_login_failures(&ada).await.unwrap() && !store.delete_login_failures(&ada).await.unwrap());
    store.record_login_failure(&ada, NOW).await.unwrap();
    store.record_login_failure(&ben, later).await.unwrap();
    assert_eq!(store.purge_login_failures(NOW.plus_seconds(86_399)).await.unwrap(), 0);
    assert_eq!(store.purge_login_failures(NOW.plus_seconds(86_400)).await.unwrap(), 1);
    assert_eq!(
        store.find_login_failures(&ben, later).await.unwrap(),
        Some(LoginFailures { count: 1, last_failed_at: later })
    );
}

#[apply(both_databases)]
async fn concurrent_login_failures_are_all_counted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let email = EmailKey::from_text("ada@example.com").digest();
    let counted = futures_util::future::join_all((0..50).map(|_| app.store.record_login_failure(&email, NOW))).await;
    assert!(counted.into_iter().all(|counted| counted.is_ok()));
    assert_eq!(
        app.store.find_login_failures(&email, NOW).await.unwrap(),
        Some(LoginFailures { count: 50, last_failed_at: NOW })
    );
}
