//! Known sources of logins, and the review of e-mail keys after a migration.

use rstest::rstest;
use rstest_reuse::apply;
use tokenward::domain::{
    login_failures::LoginFailures,
    person::EmailKey,
    random::Random,
    source::{DeviceValue, MAX_SOURCES_PER_KIND, RETENTION_SECONDS, SignInSource},
};

use super::{ADMIN, NOW};
use crate::support::{Engine, TestApp, both_databases};

#[apply(both_databases)]
async fn each_known_source_has_its_own_counter(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let email = EmailKey::from_text("admin@example.com").digest();
    let [home, work] =
        ["192.0.2.1", "198.51.100.1"].map(|address| SignInSource::from_address(ADMIN, address.parse().unwrap()));
    assert!(!store.record_source_failure(ADMIN, &home.digest, NOW).await.unwrap(), "the source is not known yet");
    store.record_source(ADMIN, &home, NOW).await.unwrap();
    store.record_source(ADMIN, &work, NOW).await.unwrap();
    assert!(store.record_source_failure(ADMIN, &home.digest, NOW).await.unwrap());
    assert!(store.record_source_failure(ADMIN, &home.digest, NOW).await.unwrap());
    let record = store.find_login_failure_counts(&email, Some(ADMIN), &[home, work], NOW).await.unwrap();
    let of = |source: &SignInSource| {
        record.known_sources.iter().find(|known| known.digest == source.digest).unwrap().failures
    };
    assert_eq!((of(&home), of(&work)), (Some(LoginFailures { count: 2, last_failed_at: NOW }), None));
    assert_eq!(record.unknown_sources, None);
    assert_eq!(
        store.list_login_failures(&email, ADMIN, NOW).await.unwrap(),
        [LoginFailures { count: 2, last_failed_at: NOW }]
    );
    // A login from the source resets its counter.
    store.record_source(ADMIN, &home, NOW).await.unwrap();
    assert!(store.list_login_failures(&email, ADMIN, NOW).await.unwrap().is_empty());
    let unknown = store.find_login_failure_counts(&email, None, &[home], NOW).await.unwrap();
    assert!(unknown.known_sources.is_empty());
}

#[apply(both_databases)]
async fn the_oldest_sources_are_replaced(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let email = EmailKey::from_text("admin@example.com").digest();
    let random = Random::system();
    let first = SignInSource::from_device(ADMIN, &DeviceValue::generate(&random));
    store.record_source(ADMIN, &first, NOW).await.unwrap();
    for second in 1..=MAX_SOURCES_PER_KIND {
        let another = SignInSource::from_device(ADMIN, &DeviceValue::generate(&random));
        store.record_source(ADMIN, &another, NOW.plus_seconds(second)).await.unwrap();
    }
    assert!(
        store.find_login_failure_counts(&email, Some(ADMIN), &[first], NOW).await.unwrap().known_sources.is_empty()
    );
    let long_after = NOW.plus_seconds(RETENTION_SECONDS + MAX_SOURCES_PER_KIND);
    assert_eq!(i64::try_from(store.purge_sources(long_after).await.unwrap()).unwrap(), MAX_SOURCES_PER_KIND);
    assert_eq!(store.purge_sources(long_after).await.unwrap(), 0);
}
