//! Wrong passwords in a row.

use tokenward::domain::{login_failures::Tries, person::EmailKey};

use super::NOW;
use crate::support::TestApp;

on_both!(tries_are_counted_found_cleared_and_forgotten, of_many_tries_at_once_each_is_counted);

async fn tries_are_counted_found_cleared_and_forgotten(app: TestApp) {
    let store = &app.store;
    let [ada, ben] = ["ada@example.com", "ben@example.com"].map(|email| EmailKey::of(email).digest());
    assert_eq!(store.find_tries(&ada, NOW).await.unwrap(), None);
    store.count_try(&ada, NOW).await.unwrap();
    let later = NOW.plus_seconds(5);
    store.count_try(&ada, later).await.unwrap();
    assert_eq!(store.find_tries(&ada, later).await.unwrap(), Some(Tries { failures: 2, last_at: later }));
    assert_eq!(store.find_tries(&ben, later).await.unwrap(), None);
    let next_day = later.plus_seconds(86_400);
    assert_eq!(store.find_tries(&ada, next_day).await.unwrap(), None);
    store.count_try(&ada, next_day).await.unwrap();
    assert_eq!(store.find_tries(&ada, next_day).await.unwrap(), Some(Tries { failures: 1, last_at: next_day }));
    assert!(store.clear_tries(&ada).await.unwrap() && !store.clear_tries(&ada).await.unwrap());
    store.count_try(&ada, NOW).await.unwrap();
    store.count_try(&ben, later).await.unwrap();
    assert_eq!(store.delete_forgotten_tries(NOW.plus_seconds(86_399)).await.unwrap(), 0);
    assert_eq!(store.delete_forgotten_tries(NOW.plus_seconds(86_400)).await.unwrap(), 1);
    assert_eq!(store.find_tries(&ben, later).await.unwrap(), Some(Tries { failures: 1, last_at: later }));
}

async fn of_many_tries_at_once_each_is_counted(app: TestApp) {
    let email = EmailKey::of("ada@example.com").digest();
    let counted = futures_util::future::join_all((0..50).map(|_| app.store.count_try(&email, NOW))).await;
    assert!(counted.into_iter().all(|counted| counted.is_ok()));
    assert_eq!(app.store.find_tries(&email, NOW).await.unwrap(), Some(Tries { failures: 50, last_at: NOW }));
}
