//! Web sessions, and the forms that belong to them.

use tokenward::{
    domain::{
        person::{EmailKey, PersonName},
        random::Random,
        session::{SessionValue, UserAgent},
        setting::{Key, Value},
        time::Timestamp,
        token::{Lifetime, NotIssued},
    },
    store::{Form, NewSession, NewToken, PersonChange, Rank, Store},
};
use uuid::Uuid;

use super::{DEFAULTS, NOW, by, new_person, new_token};
use crate::support::TestApp;

on_both!(
    a_session_begins_only_while_its_proof_holds,
    sessions_are_found_noted_renewed_listed_and_ended,
    a_new_password_and_being_disabled_end_sessions,
    another_role_ends_sessions_and_the_same_does_not,
    a_proof_that_is_over_changes_nothing,
    a_form_makes_one_token,
    sessions_that_are_over_are_removed,
);

/// A session for somebody whose password hash is `hash`; gives its value and id.
async fn begin(store: &Store, person_id: i64, at: Timestamp) -> Option<(SessionValue, Uuid)> {
    let random = Random::system();
    let value = SessionValue::make(&random);
    let id = Uuid::from_bytes(random.bytes());
    let user_agent = UserAgent::of("a browser");
    let new = NewSession {
        id,
        digest: value.digest(),
        workspace_id: 1,
        person_id,
        email: "ada@example.com".into(),
        at,
        user_agent,
        origin: tokenward::domain::event::Origin::default(),
    };
    store.begin_session(&new, "hash").await.unwrap().then_some((value, id))
}

async fn a_session_begins_only_while_its_proof_holds(app: TestApp) {
    let store = &app.store;
    let ada = store.insert_person(1, &new_person("ada@example.com"), &by()).await.unwrap().unwrap();
    assert!(begin(store, ada.id, NOW).await.is_some());
    assert!(begin(store, 99, NOW).await.is_none());
    let disable = |is_disabled| PersonChange { is_disabled: Some(is_disabled), ..PersonChange::default() };
    store.update_person(1, ada.id, &disable(true), &by()).await.unwrap();
    assert!(begin(store, ada.id, NOW).await.is_none());
    store.update_person(1, ada.id, &disable(false), &by()).await.unwrap();
    let change = PersonChange { password_hash: Some("another".into()), ..PersonChange::default() };
    store.update_person(1, ada.id, &change, &by()).await.unwrap();
    assert!(begin(store, ada.id, NOW).await.is_none());
}

async fn sessions_are_found_noted_renewed_listed_and_ended(app: TestApp) {
    let store = &app.store;
    let ada = store.insert_person(1, &new_person("ada@example.com"), &by()).await.unwrap().unwrap();
    let (value, id) = begin(store, ada.id, NOW).await.unwrap();
    let (other, other_id) = begin(store, ada.id, NOW).await.unwrap();
    let found = store.find_session(&value.digest()).await.unwrap().unwrap();
    assert_eq!((found.person, found.workspace_name.as_str()), (ada.clone(), "Workspace 1"));
    assert_eq!((found.session.id, found.session.user_agent.as_str(), found.session.begun_at), (id, "a browser", NOW));
    let later = NOW.plus_seconds(60);
    store.note_session(id, later).await.unwrap();
    store.note_session(id, NOW).await.unwrap();
    assert_eq!(store.find_session(&value.digest()).await.unwrap().unwrap().session.seen_at, later);
    let sessions = store.list_sessions(1, ada.id).await.unwrap();
    assert_eq!(sessions.iter().map(|session| session.id).collect::<Vec<_>>(), [id, other_id]);
    let renewed = SessionValue::make(&Random::system());
    assert!(store.renew_session(id, &renewed.digest(), later).await.unwrap());
    assert!(store.find_session(&value.digest()).await.unwrap().is_none());
    assert_eq!(store.find_session(&renewed.digest()).await.unwrap().unwrap().session.proven_at, later);
    assert!(!store.end_session(1, 1, id, &by()).await.unwrap());
    assert_eq!(store.end_sessions(1, ada.id, Some(id), &by()).await.unwrap(), 1);
    assert!(store.find_session(&other.digest()).await.unwrap().is_none());
    assert!(
        store.end_session(1, ada.id, id, &by()).await.unwrap()
            && !store.end_session(1, ada.id, id, &by()).await.unwrap()
    );
    assert!(!store.renew_session(id, &value.digest(), later).await.unwrap());
}

async fn a_new_password_and_being_disabled_end_sessions(app: TestApp) {
    let store = &app.store;
    let ada = store.insert_person(1, &new_person("ada@example.com"), &by()).await.unwrap().unwrap();
    let ends = [
        PersonChange { is_disabled: Some(true), ..PersonChange::default() },
        PersonChange { password_hash: Some("another".into()), ..PersonChange::default() },
    ];
    let (value, _) = begin(store, ada.id, NOW).await.unwrap();
    let name =
        PersonChange { name: PersonName::parse("Ada L.").ok(), is_disabled: Some(false), ..PersonChange::default() };
    store.update_person(1, ada.id, &name, &by()).await.unwrap();
    assert!(store.find_session(&value.digest()).await.unwrap().is_some());
    for change in ends {
        let back =
            PersonChange { is_disabled: Some(false), password_hash: Some("hash".into()), ..PersonChange::default() };
        store.update_person(1, ada.id, &back, &by()).await.unwrap();
        let (value, _) = begin(store, ada.id, NOW).await.unwrap();
        store.update_person(1, ada.id, &change, &by()).await.unwrap();
        assert!(store.find_session(&value.digest()).await.unwrap().is_none());
    }
}

async fn another_role_ends_sessions_and_the_same_does_not(app: TestApp) {
    let store = &app.store;
    let ada = store.insert_person(1, &new_person("ada@example.com"), &by()).await.unwrap().unwrap();
    let (value, _) = begin(store, ada.id, NOW).await.unwrap();
    let role = |is_admin| PersonChange { is_admin: Some(is_admin), ..PersonChange::default() };
    store.update_person(1, ada.id, &role(false), &by()).await.unwrap();
    assert!(store.find_session(&value.digest()).await.unwrap().is_some());
    store.update_person(1, ada.id, &role(true), &by()).await.unwrap();
    assert!(store.find_session(&value.digest()).await.unwrap().is_none());
}

async fn a_proof_that_is_over_changes_nothing(app: TestApp) {
    let store = &app.store;
    let ada = store.insert_person(1, &new_person("ada@example.com"), &by()).await.unwrap().unwrap();
    let set = |proven: &str, new: &str| PersonChange {
        password_hash: Some(new.into()),
        proven_hash: Some(proven.into()),
        ..PersonChange::default()
    };
    assert_eq!(store.update_person(1, ada.id, &set("hash", "reset"), &by()).await.unwrap(), Rank::Changed);
    assert_eq!(store.update_person(1, ada.id, &set("hash", "thief"), &by()).await.unwrap(), Rank::ProofOver);
    let found = store.find_person_by_email(&EmailKey::of("ada@example.com")).await.unwrap().unwrap();
    assert_eq!(found.password_hash, "reset");
}

async fn a_form_makes_one_token(app: TestApp) {
    let store = &app.store;
    let change = PersonChange { password_hash: Some("hash".into()), ..PersonChange::default() };
    store.update_person(1, 1, &change, &by()).await.unwrap();
    let (_, session_id) = begin(store, 1, NOW).await.unwrap();
    let form = Form { session_id, id: Uuid::from_u128(7) };
    let send = |form: Form, lifetime: Lifetime| async move {
        let new = NewToken { form: Some(form), ..new_token(1, lifetime, NOW).1 };
        store.issue_token(&new, DEFAULTS).await.unwrap()
    };
    store.set_settings(1, &[(Key::MaxLifetimeDays, Value::Days(1))], &by()).await.unwrap();
    assert!(matches!(send(form, Lifetime::Forever).await, Err(NotIssued::Lifetime(_))));
    assert!(send(form, Lifetime::Seconds(9)).await.is_ok());
    assert_eq!(send(form, Lifetime::Seconds(9)).await, Err(NotIssued::FormSpent));
    let elsewhere = Form { session_id: Uuid::from_u128(1), ..form };
    assert_eq!(send(elsewhere, Lifetime::Seconds(9)).await, Err(NotIssued::FormSpent));
    assert_eq!(store.count_members(1).await.unwrap().1, 1);
}

async fn sessions_that_are_over_are_removed(app: TestApp) {
    let store = &app.store;
    let ada = store.insert_person(1, &new_person("ada@example.com"), &by()).await.unwrap().unwrap();
    let (old, _) = begin(store, ada.id, NOW).await.unwrap();
    let (new, _) = begin(store, ada.id, NOW.plus_seconds(10)).await.unwrap();
    assert_eq!(store.delete_sessions_over(NOW.plus_seconds(-1), NOW.plus_seconds(-1)).await.unwrap(), 0);
    assert_eq!(store.delete_sessions_over(NOW, NOW.plus_seconds(-1)).await.unwrap(), 1);
    assert!(store.find_session(&old.digest()).await.unwrap().is_none());
    assert_eq!(store.delete_sessions_over(NOW, NOW.plus_seconds(10)).await.unwrap(), 1);
    assert!(store.find_session(&new.digest()).await.unwrap().is_none());
}
