//! Known sources of sign-ins, and the keys of e-mails that a migration marked.

use tokenward::domain::{
    login_failures::Tries,
    person::{Email, EmailKey},
    random::Random,
    source::{DeviceValue, KNOWN_FOR_SECONDS, MOST_OF_A_KIND, Source},
};

use super::{NOW, by, new_person};
use crate::support::TestApp;

on_both!(each_known_source_has_a_counter_of_its_own, the_oldest_sources_are_forgotten, marked_keys_become_canonical,);

async fn each_known_source_has_a_counter_of_its_own(app: TestApp) {
    let store = &app.store;
    let email = EmailKey::of("admin@example.com").digest();
    let [home, work] = ["192.0.2.1", "198.51.100.1"].map(|address| Source::address(1, address.parse().unwrap()));
    assert!(!store.count_source_try(1, &home.digest, NOW).await.unwrap(), "it is not known yet");
    store.note_source(1, &home, NOW).await.unwrap();
    store.note_source(1, &work, NOW).await.unwrap();
    assert!(store.count_source_try(1, &home.digest, NOW).await.unwrap());
    assert!(store.count_source_try(1, &home.digest, NOW).await.unwrap());
    let record = store.find_record(&email, Some(1), &[home, work], NOW).await.unwrap();
    let of = |source: &Source| record.sources.iter().find(|known| known.digest == source.digest).unwrap().tries;
    assert_eq!((of(&home), of(&work)), (Some(Tries { failures: 2, last_at: NOW }), None));
    assert_eq!(record.common, None);
    assert_eq!(store.list_tries(&email, 1, NOW).await.unwrap(), [Tries { failures: 2, last_at: NOW }]);
    // A sign-in from there resets the counter.
    store.note_source(1, &home, NOW).await.unwrap();
    assert!(store.list_tries(&email, 1, NOW).await.unwrap().is_empty());
    let nobody = store.find_record(&email, None, &[home], NOW).await.unwrap();
    assert!(nobody.sources.is_empty());
}

async fn the_oldest_sources_are_forgotten(app: TestApp) {
    let store = &app.store;
    let email = EmailKey::of("admin@example.com").digest();
    let random = Random::system();
    let first = Source::device(1, &DeviceValue::make(&random));
    store.note_source(1, &first, NOW).await.unwrap();
    for second in 1..=MOST_OF_A_KIND {
        let another = Source::device(1, &DeviceValue::make(&random));
        store.note_source(1, &another, NOW.plus_seconds(second)).await.unwrap();
    }
    assert!(store.find_record(&email, Some(1), &[first], NOW).await.unwrap().sources.is_empty());
    let long_after = NOW.plus_seconds(KNOWN_FOR_SECONDS + MOST_OF_A_KIND);
    assert_eq!(i64::try_from(store.delete_forgotten_sources(long_after).await.unwrap()).unwrap(), MOST_OF_A_KIND);
    assert_eq!(store.delete_forgotten_sources(long_after).await.unwrap(), 0);
}

async fn marked_keys_become_canonical(mut app: TestApp) {
    let ada = app.store.insert_person(1, &new_person("ada@example.com"), &by()).await.unwrap().unwrap();
    let set = format!(
        "update person set email = 'ada@xn--mnchen-3ya.de', email_key = 'ada@xn--mnchen-3ya.de' where id = {}",
        ada.id
    );
    app.tamper(&set).await;
    app.tamper(&format!("insert into email_key_review (person_id) values ({})", ada.id)).await;
    app.store.review_email_keys().await.unwrap();
    let key = Email::parse("ada@m\u{fc}nchen.de").unwrap().key();
    let found = app.store.find_person_by_email(&key).await.unwrap().unwrap();
    assert_eq!(found.person.id, ada.id);
    assert_eq!(app.look("select cast(count(*) as text) from email_key_review").await.as_deref(), Some("0"));
}
