//! People and their passwords.

use rstest::rstest;
use rstest_reuse::apply;
use tokenward::domain::id::WorkspaceId;
use tokenward::domain::person::Email;
use tokenward::domain::person::EmailKey;
use tokenward::domain::person::TokenAccess;
use tokenward::domain::time::Timestamp;
use tokenward::store::Error;
use tokenward::store::PersonChange;
use tokenward::store::PersonFilter;
use tokenward::store::UpdateOutcome;

use super::{ADMIN, NOW, NoCache, WORKSPACE, audit_context_at, mutation_at, new_person, operator_mutation};
use crate::support::Engine;
use crate::support::TestApp;
use crate::support::both_databases;

#[apply(both_databases)]
async fn people_are_inserted_found_listed_changed_and_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada =
        store.insert_person(WORKSPACE, &new_person("Ada@example.com"), &operator_mutation()).await.unwrap().unwrap();
    assert_eq!(store.find_person(WORKSPACE, ada.id).await.unwrap(), Some(ada.clone()));
    assert_eq!(store.find_person(WorkspaceId::new(2), ada.id).await.unwrap(), None);
    assert!(
        store
            .insert_person(WorkspaceId::new(99), &new_person("x@example.com"), &operator_mutation())
            .await
            .unwrap()
            .is_none()
    );
    let found = store.find_person_by_email(&EmailKey::from_text("ADA@example.com")).await.unwrap().unwrap();
    assert_eq!((found.person, found.password_hash.as_deref()), (ada.clone(), Some("hash")));
    assert!(store.find_person_by_email(&EmailKey::from_text("a\0b")).await.unwrap().is_none());
    let filter =
        PersonFilter { email: Some(EmailKey::from_text("ada@EXAMPLE.com")), is_disabled: Some(false), kind: None };
    assert_eq!(store.list_people_after(WORKSPACE, &filter, None, (10, 0)).await.unwrap(), vec![ada.clone()]);
    assert_eq!(store.count_people(WORKSPACE, &filter).await.unwrap(), 1);
    assert_eq!(store.count_people(WORKSPACE, &PersonFilter::default()).await.unwrap(), 2);
    let change =
        PersonChange { token_access: Some(TokenAccess::Disabled), is_admin: Some(true), ..PersonChange::default() };
    let later = NOW.plus_seconds(1);
    assert_eq!(
        store.update_person(WORKSPACE, ada.id, &change, &mutation_at(later)).await.unwrap().wait_for(&NoCache).await,
        UpdateOutcome::Changed
    );
    let changed = store.find_person(WORKSPACE, ada.id).await.unwrap().unwrap();
    assert_eq!((changed.token_access, changed.is_admin, changed.updated_at), (TokenAccess::Disabled, true, later));
    assert_eq!((changed.name, changed.email), (ada.name, ada.email));
    assert_eq!(
        store
            .update_person(WorkspaceId::new(2), ada.id, &change, &mutation_at(later))
            .await
            .unwrap()
            .wait_for(&NoCache)
            .await,
        UpdateOutcome::NotFound
    );
    assert_eq!(
        store.delete_person(WorkspaceId::new(2), ada.id, &mutation_at(later)).await.unwrap().wait_for(&NoCache).await,
        UpdateOutcome::NotFound
    );
    assert_eq!(
        store.delete_person(WORKSPACE, ada.id, &mutation_at(later)).await.unwrap().wait_for(&NoCache).await,
        UpdateOutcome::Changed
    );
    assert_eq!(store.find_person(WORKSPACE, ada.id).await.unwrap(), None);
}

#[apply(both_databases)]
async fn emails_are_unique_in_the_whole_store(engine: Engine) {
    let app = TestApp::start(engine).await;
    let again = app.store.insert_person(WORKSPACE, &new_person("Admin@Example.COM"), &operator_mutation()).await;
    assert!(matches!(again, Err(Error::Conflict)));
    let ada = app
        .store
        .insert_person(WORKSPACE, &new_person("ada@example.com"), &operator_mutation())
        .await
        .unwrap()
        .unwrap();
    let change = PersonChange { email: Some(Email::parse("ADMIN@example.com").unwrap()), ..PersonChange::default() };
    assert!(matches!(
        app.store.update_person(WORKSPACE, ada.id, &change, &operator_mutation()).await,
        Err(Error::Conflict)
    ));
}

#[apply(both_databases)]
async fn the_last_administrator_is_kept(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let disable = PersonChange { is_disabled: Some(true), ..PersonChange::default() };
    assert_eq!(store.count_administrators(WORKSPACE).await.unwrap(), (1, 1));
    assert_eq!(
        store.update_person(WORKSPACE, ADMIN, &disable, &operator_mutation()).await.unwrap().wait_for(&NoCache).await,
        UpdateOutcome::LastAdministrator
    );
    assert_eq!(
        store.delete_person(WORKSPACE, ADMIN, &operator_mutation()).await.unwrap().wait_for(&NoCache).await,
        UpdateOutcome::LastAdministrator
    );
    let mut second = new_person("bob@example.com");
    second.is_admin = true;
    let bob = store.insert_person(WORKSPACE, &second, &operator_mutation()).await.unwrap().unwrap();
    assert_eq!(
        store.delete_person(WORKSPACE, ADMIN, &operator_mutation()).await.unwrap().wait_for(&NoCache).await,
        UpdateOutcome::LastPlatformAdministrator
    );
    assert_eq!(store.count_administrators(WORKSPACE).await.unwrap(), (2, 1));
    assert_eq!(
        store.update_person(WORKSPACE, bob.id, &disable, &operator_mutation()).await.unwrap().wait_for(&NoCache).await,
        UpdateOutcome::Changed
    );
    assert!(!store.find_person(WORKSPACE, ADMIN).await.unwrap().unwrap().is_disabled, "a rejected change is not made");
}

#[apply(both_databases)]
async fn the_last_login_time_only_moves_forward(engine: Engine) {
    let app = TestApp::start(engine).await;
    let last_login_at = || async { app.store.find_person(WORKSPACE, ADMIN).await.unwrap().unwrap().last_login_at };
    let admin = app.store.find_person(WORKSPACE, ADMIN).await.unwrap().unwrap();
    let note = |moment: Timestamp| {
        let (store, admin) = (app.store.clone(), admin.clone());
        async move { store.record_sign_in(&admin, &audit_context_at(moment), moment.plus_seconds(-60), true).await.unwrap() }
    };
    note(NOW).await;
    note(NOW.plus_seconds(59)).await;
    assert_eq!(last_login_at().await, Some(NOW));
    note(NOW.plus_seconds(61)).await;
    assert_eq!(last_login_at().await, Some(NOW.plus_seconds(61)));
}

#[apply(both_databases)]
async fn a_password_hash_is_replaced_only_if_unchanged(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app
        .store
        .insert_person(WORKSPACE, &new_person("ada@example.com"), &operator_mutation())
        .await
        .unwrap()
        .unwrap();
    let password_hash_of = || async {
        app.store.find_person_by_email(&EmailKey::from_text("ada@example.com")).await.unwrap().unwrap().password_hash
    };
    app.store.replace_password_hash(ada.id, "other", "new").await.unwrap();
    assert_eq!(password_hash_of().await.as_deref(), Some("hash"));
    app.store.replace_password_hash(ada.id, "hash", "new").await.unwrap();
    assert_eq!(password_hash_of().await.as_deref(), Some("new"));
}
