//! Web sessions and their forms.

use rstest::rstest;
use rstest_reuse::apply;
use tokenward::{
    domain::{
        authority::{PasswordHash, VerifiedCredential},
        draft_key::DraftKey,
        event::RequestContext,
        id::PersonId,
        person::{EmailKey, Person, PersonName},
        random::Random,
        session::{SessionValue, UserAgent},
        setting::{SettingKey, SettingValue},
        time::Timestamp,
        token::{IssueError, Lifetime},
    },
    store::{ConsumedForm, NewSession, NewToken, PersonChange, Store, UpdateOutcome},
};
use uuid::Uuid;

use super::{ADMIN, DEFAULT_SETTINGS, NOW, NoCache, WORKSPACE, new_person, new_token, operator_mutation};
use crate::support::{Engine, TestApp, both_databases};

/// Creates a session of a person whose password hash is `hash`; returns its value and ID.
pub(super) async fn create_session(store: &Store, person_id: PersonId, at: Timestamp) -> Option<(SessionValue, Uuid)> {
    let random = Random::system();
    let value = SessionValue::generate(&random);
    let id = Uuid::from_bytes(random.bytes());
    let user_agent = UserAgent::from_header("a browser");
    let new = NewSession {
        id,
        digest: value.digest(),
        workspace_id: WORKSPACE,
        person_id,
        email: "ada@example.com".into(),
        created_at: at,
        provider_authenticated_at: None,
        user_agent,
        draft_key: DraftKey::generate(&random),
        provider_session_id: None,
        origin: RequestContext { client_ip: "192.0.2.1".parse().ok(), ..RequestContext::default() },
    };
    store
        .insert_session(&new, &VerifiedCredential::Password(PasswordHash("hash".to_owned())))
        .await
        .unwrap()
        .then_some((value, id))
}

#[apply(both_databases)]
async fn a_session_is_created_only_while_the_password_is_current(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada =
        store.insert_person(WORKSPACE, &new_person("ada@example.com"), &operator_mutation()).await.unwrap().unwrap();
    assert!(create_session(store, ada.id, NOW).await.is_some());
    assert!(create_session(store, PersonId::new(99), NOW).await.is_none());
    let disable = |is_disabled| PersonChange { is_disabled: Some(is_disabled), ..PersonChange::default() };
    store
        .update_person(WORKSPACE, ada.id, &disable(true), &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    assert!(create_session(store, ada.id, NOW).await.is_none());
    store
        .update_person(WORKSPACE, ada.id, &disable(false), &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    let change = PersonChange { password_hash: Some("another".into()), ..PersonChange::default() };
    store.update_person(WORKSPACE, ada.id, &change, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    assert!(create_session(store, ada.id, NOW).await.is_none());
}

#[apply(both_databases)]
async fn sessions_are_found_updated_renewed_listed_and_ended(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada =
        store.insert_person(WORKSPACE, &new_person("ada@example.com"), &operator_mutation()).await.unwrap().unwrap();
    let (value, id) = create_session(store, ada.id, NOW).await.unwrap();
    let (other, other_id) = create_session(store, ada.id, NOW).await.unwrap();
    let found = store.find_session(&value.digest()).await.unwrap().unwrap();
    let signed_in = Person { last_sign_in_at: Some(NOW), ..ada.clone() };
    assert_eq!((found.person, found.workspace_name.as_str()), (signed_in, "Workspace 1"));
    assert_eq!((found.session.id, found.session.user_agent.as_str(), found.session.created_at), (id, "a browser", NOW));
    let later = NOW.plus_seconds(60);
    assert_eq!(
        (found.session.address.as_deref(), found.session.last_address),
        (Some("192.0.2.1"), Some("192.0.2.1".into()))
    );
    let [first, second] = ["2001:db8::1", "192.0.2.3"].map(|address| address.parse().ok());
    store.record_session_use(id, later, first).await.unwrap();
    store.record_session_use(id, NOW, second).await.unwrap();
    let used = store.find_session(&value.digest()).await.unwrap().unwrap().session;
    assert_eq!((used.last_seen_at, used.last_address.as_deref()), (later, Some("2001:db8::1")));
    assert_eq!(used.address.as_deref(), Some("192.0.2.1"));
    let sessions = store.list_sessions(WORKSPACE, ada.id).await.unwrap();
    assert_eq!(sessions.iter().map(|session| session.id).collect::<Vec<_>>(), [id, other_id]);
    let renewed = SessionValue::generate(&Random::system());
    assert!(store.rotate_session(id, &renewed.digest(), later).await.unwrap());
    assert!(store.find_session(&value.digest()).await.unwrap().is_none());
    assert_eq!(store.find_session(&renewed.digest()).await.unwrap().unwrap().session.authenticated_at, later);
    assert!(!store.delete_session(WORKSPACE, ADMIN, id, &operator_mutation()).await.unwrap());
    assert_eq!(store.delete_sessions(WORKSPACE, ada.id, Some(id), &operator_mutation()).await.unwrap(), 1);
    assert!(store.find_session(&other.digest()).await.unwrap().is_none());
    assert!(
        store.delete_session(WORKSPACE, ada.id, id, &operator_mutation()).await.unwrap()
            && !store.delete_session(WORKSPACE, ada.id, id, &operator_mutation()).await.unwrap()
    );
    assert!(!store.rotate_session(id, &value.digest(), later).await.unwrap());
}

#[apply(both_databases)]
async fn a_session_records_the_last_sign_in_of_its_person(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada =
        store.insert_person(WORKSPACE, &new_person("ada@example.com"), &operator_mutation()).await.unwrap().unwrap();
    let last_sign_in = async || store.find_person(WORKSPACE, ada.id).await.unwrap().unwrap().last_sign_in_at;
    assert_eq!((ada.last_sign_in_at, last_sign_in().await), (None, None));
    create_session(store, ada.id, NOW).await.unwrap();
    create_session(store, ada.id, NOW.plus_seconds(-5)).await.unwrap();
    assert_eq!(last_sign_in().await, Some(NOW));
    store.delete_sessions(WORKSPACE, ada.id, None, &operator_mutation()).await.unwrap();
    assert_eq!(last_sign_in().await, Some(NOW), "it outlives the session");
    assert_eq!(store.find_person(WORKSPACE, ADMIN).await.unwrap().unwrap().last_sign_in_at, None);
}

#[apply(both_databases)]
async fn a_draft_key_is_found_for_its_session_and_person(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada =
        store.insert_person(WORKSPACE, &new_person("ada@example.com"), &operator_mutation()).await.unwrap().unwrap();
    let (value, id) = create_session(store, ada.id, NOW).await.unwrap();
    let (other, _) = create_session(store, ada.id, NOW).await.unwrap();
    let (found, person_id, key) = store.find_draft_key(&value.digest()).await.unwrap().unwrap();
    assert_eq!((found, person_id), (id, ada.id));
    let again = store.find_draft_key_of(id, ada.id).await.unwrap().unwrap();
    assert_eq!(again.as_bytes(), key.as_bytes());
    assert_ne!(store.find_draft_key(&other.digest()).await.unwrap().unwrap().2.as_bytes(), key.as_bytes());
    assert!(store.find_draft_key_of(id, ADMIN).await.unwrap().is_none());
    assert!(store.find_draft_key_of(Uuid::nil(), ada.id).await.unwrap().is_none());
    store.delete_session(WORKSPACE, ada.id, id, &operator_mutation()).await.unwrap();
    assert!(store.find_draft_key(&value.digest()).await.unwrap().is_none());
    assert!(store.find_draft_key_of(id, ada.id).await.unwrap().is_none());
}

#[apply(both_databases)]
async fn a_new_password_and_disabling_end_sessions(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada =
        store.insert_person(WORKSPACE, &new_person("ada@example.com"), &operator_mutation()).await.unwrap().unwrap();
    let ends = [
        PersonChange { is_disabled: Some(true), ..PersonChange::default() },
        PersonChange { password_hash: Some("another".into()), ..PersonChange::default() },
    ];
    let (value, _) = create_session(store, ada.id, NOW).await.unwrap();
    let name =
        PersonChange { name: PersonName::parse("Ada L.").ok(), is_disabled: Some(false), ..PersonChange::default() };
    store.update_person(WORKSPACE, ada.id, &name, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    assert!(store.find_session(&value.digest()).await.unwrap().is_some());
    for change in ends {
        let back =
            PersonChange { is_disabled: Some(false), password_hash: Some("hash".into()), ..PersonChange::default() };
        store.update_person(WORKSPACE, ada.id, &back, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
        let (value, _) = create_session(store, ada.id, NOW).await.unwrap();
        store.update_person(WORKSPACE, ada.id, &change, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
        assert!(store.find_session(&value.digest()).await.unwrap().is_none());
    }
}

#[apply(both_databases)]
async fn a_role_change_ends_sessions(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada =
        store.insert_person(WORKSPACE, &new_person("ada@example.com"), &operator_mutation()).await.unwrap().unwrap();
    let (value, _) = create_session(store, ada.id, NOW).await.unwrap();
    let role = |is_admin| PersonChange { is_admin: Some(is_admin), ..PersonChange::default() };
    store.update_person(WORKSPACE, ada.id, &role(false), &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    assert!(store.find_session(&value.digest()).await.unwrap().is_some());
    store.update_person(WORKSPACE, ada.id, &role(true), &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    assert!(store.find_session(&value.digest()).await.unwrap().is_none());
}

#[apply(both_databases)]
async fn an_outdated_password_proof_changes_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada =
        store.insert_person(WORKSPACE, &new_person("ada@example.com"), &operator_mutation()).await.unwrap().unwrap();
    let set = |proven: &str, new: &str| PersonChange {
        password_hash: Some(new.into()),
        expected_password_hash: Some(proven.into()),
        ..PersonChange::default()
    };
    assert_eq!(
        store
            .update_person(WORKSPACE, ada.id, &set("hash", "reset"), &operator_mutation())
            .await
            .unwrap()
            .wait_for(&NoCache)
            .await,
        UpdateOutcome::Changed
    );
    assert_eq!(
        store
            .update_person(WORKSPACE, ada.id, &set("hash", "thief"), &operator_mutation())
            .await
            .unwrap()
            .wait_for(&NoCache)
            .await,
        UpdateOutcome::StaleCredential
    );
    let found = store.find_person_by_email(&EmailKey::from_text("ada@example.com")).await.unwrap().unwrap();
    assert_eq!(found.password_hash.as_deref(), Some("reset"));
}

#[apply(both_databases)]
async fn a_form_creates_one_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let change = PersonChange { password_hash: Some("hash".into()), ..PersonChange::default() };
    store.update_person(WORKSPACE, ADMIN, &change, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    let (_, session_id) = create_session(store, ADMIN, NOW).await.unwrap();
    let form = ConsumedForm { session_id, id: Uuid::from_u128(7) };
    let send = |form: ConsumedForm, lifetime: Lifetime| async move {
        let new = NewToken { form: Some(form), ..new_token(ADMIN, lifetime, NOW).1 };
        store.issue_token(&new, DEFAULT_SETTINGS).await.unwrap().wait_for(&NoCache).await
    };
    store
        .set_settings(WORKSPACE, &[(SettingKey::MaxLifetimeDays, SettingValue::Days(1))], &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    assert!(matches!(send(form, Lifetime::Forever).await, Err(IssueError::Lifetime(_))));
    assert!(send(form, Lifetime::Seconds(9)).await.is_ok());
    assert_eq!(send(form, Lifetime::Seconds(9)).await, Err(IssueError::FormConsumed));
    let elsewhere = ConsumedForm { session_id: Uuid::from_u128(1), ..form };
    assert_eq!(send(elsewhere, Lifetime::Seconds(9)).await, Err(IssueError::FormConsumed));
    assert_eq!(store.count_people_and_tokens(WORKSPACE).await.unwrap().1, 1);
}

#[apply(both_databases)]
async fn ended_sessions_are_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada =
        store.insert_person(WORKSPACE, &new_person("ada@example.com"), &operator_mutation()).await.unwrap().unwrap();
    let (old, _) = create_session(store, ada.id, NOW).await.unwrap();
    let (new, _) = create_session(store, ada.id, NOW.plus_seconds(10)).await.unwrap();
    assert_eq!(store.purge_sessions(NOW.plus_seconds(-1), NOW.plus_seconds(-1)).await.unwrap(), 0);
    assert_eq!(store.purge_sessions(NOW, NOW.plus_seconds(-1)).await.unwrap(), 1);
    assert!(store.find_session(&old.digest()).await.unwrap().is_none());
    assert_eq!(store.purge_sessions(NOW, NOW.plus_seconds(10)).await.unwrap(), 1);
    assert!(store.find_session(&new.digest()).await.unwrap().is_none());
}
