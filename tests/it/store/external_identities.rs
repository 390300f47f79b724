//! External identities: creating, linking, and the changes of a directory.

use rstest::rstest;
use rstest_reuse::apply;
use tokenward::{
    domain::{
        event::{AuditContext, RequestContext},
        external_identity::DIRECTORY_ISSUER,
        id::WorkspaceId,
        invalidation::Invalidation,
        person::{Email, Person, TokenAccess},
        random::Random,
        time::Timestamp,
    },
    store::{
        Error, FoundIdentity, LinkOutcome, NewExternalIdentity, NewExternalPerson, ProviderChange,
        ProviderChangeOutcome, Store, UpdateOutcome,
    },
};
use uuid::Uuid;

use super::{ADMIN, NOW, NoCache, RecordingBarrier, WORKSPACE, new_person, operator_mutation};
use crate::support::{Engine, TestApp, both_databases};

fn new_identity(provider: &str, subject: &str) -> NewExternalIdentity {
    NewExternalIdentity {
        id: Uuid::from_bytes(Random::system().bytes()),
        provider: provider.to_owned(),
        issuer: DIRECTORY_ISSUER.to_owned(),
        subject: subject.to_owned(),
        label: format!("{subject}-login"),
    }
}

async fn insert(store: &Store, workspace_id: WorkspaceId, email: &str, subject: &str, is_admin: bool) -> Person {
    let mut person = new_person(email);
    (person.password_hash, person.is_admin) = (None, is_admin);
    let identity = new_identity("company", subject);
    let new = NewExternalPerson { person, token_access: TokenAccess::Enabled, identity };
    store.insert_external_person(workspace_id, &new, &operator_mutation()).await.unwrap().unwrap()
}

async fn find(store: &Store, subject: &str) -> Option<FoundIdentity> {
    store.find_identity("company", DIRECTORY_ISSUER, subject).await.unwrap()
}

fn admitted(grants_admin: bool) -> ProviderChange {
    ProviderChange { disabled_for: None, grants_admin, email: None }
}

fn gone() -> ProviderChange {
    ProviderChange { disabled_for: Some("gone"), grants_admin: false, email: None }
}

async fn apply_change(store: &Store, subject: &str, change: &ProviderChange) -> ProviderChangeOutcome {
    let found = find(store, subject).await.unwrap();
    let applied = store.apply_provider_change(&found, change, &operator_mutation()).await;
    applied.unwrap().wait_for(&NoCache).await
}

#[apply(both_databases)]
async fn a_person_is_created_with_an_identity(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada = insert(store, WORKSPACE, "ada@example.com", "s1", false).await;
    assert_eq!((ada.provider.as_deref(), ada.sso_principal.as_deref()), (Some("company"), Some("s1-login")));
    assert_eq!((ada.token_access, ada.has_password, ada.admin_by_directory), (TokenAccess::Enabled, false, false));
    let found = find(store, "s1").await.unwrap();
    assert_eq!((found.person, found.identity.linked_at), (ada.clone(), NOW));
    assert_eq!(store.list_identities_of(ada.id).await.unwrap(), std::slice::from_ref(&found.identity));
    assert_eq!(store.list_identities("company").await.unwrap().len(), 1);
    assert_eq!(store.count_identities().await.unwrap(), [("company".to_owned(), 1)]);
    // Another provider, issuer or subject is another identity.
    assert!(store.find_identity("other", DIRECTORY_ISSUER, "s1").await.unwrap().is_none());
    assert!(store.find_identity("company", "other", "s1").await.unwrap().is_none());
    assert!(find(store, "s2").await.is_none());
    // Neither the identity nor the address is given twice, and nothing is left behind.
    for (email, subject) in [("other@example.com", "s1"), ("ADA@example.com", "s2")] {
        let mut person = new_person(email);
        person.password_hash = None;
        let identity = new_identity("company", subject);
        let new = NewExternalPerson { person, token_access: TokenAccess::Default, identity };
        let result = store.insert_external_person(WORKSPACE, &new, &operator_mutation()).await;
        assert!(matches!(result, Err(Error::Conflict)), "{email}");
    }
    assert_eq!(store.count_identities().await.unwrap(), [("company".to_owned(), 1)]);
    // A removed person leaves the identity.
    store.delete_person(WORKSPACE, ada.id, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    assert!(find(store, "s1").await.is_none());
    insert(store, WORKSPACE, "ada@example.com", "s1", false).await;
}

#[apply(both_databases)]
async fn a_person_is_linked_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let person = store.insert_person(WORKSPACE, &new_person("ada@example.com"), &operator_mutation()).await;
    let ada = person.unwrap().unwrap();
    let admin = store.find_person(WORKSPACE, ADMIN).await.unwrap().unwrap();
    let mutation = operator_mutation();
    let link = |person: Person, new: NewExternalIdentity| {
        let mutation = mutation.clone();
        async move { store.link_identity(&person, &new, &mutation).await.unwrap().wait_for(&NoCache).await }
    };
    assert_eq!(link(admin.clone(), new_identity("company", "s0")).await, LinkOutcome::LastLocalAdministrator);
    assert!(find(store, "s0").await.is_none());
    assert_eq!(link(ada.clone(), new_identity("company", "s1")).await, LinkOutcome::Linked);
    let linked = find(store, "s1").await.unwrap().person;
    assert_eq!((linked.id, linked.has_password), (ada.id, false));
    assert_eq!(link(ada.clone(), new_identity("other", "s2")).await, LinkOutcome::AlreadyLinked);
    assert_eq!(link(admin.clone(), new_identity("company", "s1")).await, LinkOutcome::AlreadyLinked);
    let unknown = Person { id: 77.into(), ..ada };
    assert_eq!(link(unknown, new_identity("company", "s3")).await, LinkOutcome::PersonNotFound);
}

#[apply(both_databases)]
async fn an_identity_moves_to_another_provider(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada = insert(store, WORKSPACE, "ada@example.com", "s1", true).await;
    insert(store, WORKSPACE, "grace@example.com", "s2", false).await;
    let (ada_identity, grace_identity) = (find(store, "s1").await.unwrap(), find(store, "s2").await.unwrap());
    let disabled = store.apply_provider_change(&ada_identity, &gone(), &operator_mutation()).await.unwrap();
    disabled.wait_for(&NoCache).await;
    let mutation = operator_mutation();
    let move_to = async |found: &FoundIdentity, subject: &str| {
        store.move_identity(found, &new_identity("other", subject), &mutation).await.unwrap().wait_for(&NoCache).await
    };
    assert_eq!(move_to(&ada_identity, "new").await, LinkOutcome::Linked);
    assert_eq!(move_to(&grace_identity, "new").await, LinkOutcome::AlreadyLinked);
    assert_eq!(move_to(&ada_identity, "newer").await, LinkOutcome::PersonNotFound, "it has moved already");
    assert!(find(store, "s1").await.is_none() && find(store, "s2").await.is_some());
    let moved = store.list_identities("other").await.unwrap().remove(0);
    assert_eq!((moved.identity.subject.as_str(), moved.person.id), ("new", ada.id));
    assert_eq!(moved.identity.last_sign_in_at, None);
    // What the directory disabled stays so; the new provider does not lift it.
    let disabled_by = moved.person.disabled_by;
    assert_eq!((disabled_by.administrator, disabled_by.directory), (true, false));
}

#[apply(both_databases)]
async fn a_directory_disables_and_enables_and_grants_the_role(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada = insert(store, WORKSPACE, "ada@example.com", "s1", true).await;
    assert!(ada.is_admin && ada.admin_by_directory);
    let recorder = RecordingBarrier::default();
    let found = find(store, "s1").await.unwrap();
    let disabled = store.apply_provider_change(&found, &gone(), &operator_mutation()).await.unwrap();
    assert_eq!(disabled.wait_for(&recorder).await, ProviderChangeOutcome::Changed);
    assert_eq!(recorder.invalidations(), [Invalidation::Person(ada.id)]);
    let person = find(store, "s1").await.unwrap().person;
    assert_eq!((person.is_disabled, person.disabled_by.directory, person.is_admin), (true, true, false));
    assert!(gone().is_needed(&ada) && !gone().is_needed(&person));
    assert_eq!(apply_change(store, "s1", &gone()).await, ProviderChangeOutcome::Unchanged);
    assert_eq!(apply_change(store, "s1", &admitted(true)).await, ProviderChangeOutcome::Changed);
    let person = find(store, "s1").await.unwrap().person;
    assert_eq!((person.is_disabled, person.is_admin, person.admin_by_directory), (false, true, true));
    // The address follows the directory, unless another account has it.
    let email = |text: &str| ProviderChange { email: Some(Email::parse(text).unwrap()), ..admitted(true) };
    assert_eq!(apply_change(store, "s1", &email("lovelace@example.com")).await, ProviderChangeOutcome::Changed);
    let found = find(store, "s1").await.unwrap();
    assert_eq!(found.person.email, "lovelace@example.com");
    let taken = store.apply_provider_change(&found, &email("admin@example.com"), &operator_mutation()).await;
    assert!(matches!(taken, Err(Error::Conflict)));
}

#[apply(both_databases)]
async fn the_last_local_administrator_is_protected_and_the_last_of_a_directory_is_not(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let boss = app.create_workspace_with_admin("boss").await;
    let workspace_id = WorkspaceId::new(boss.workspace_id);
    let delete = async || {
        let deleted = store.delete_person(workspace_id, boss.id.into(), &operator_mutation()).await.unwrap();
        deleted.wait_for(&NoCache).await
    };
    assert_eq!(delete().await, UpdateOutcome::LastAdministrator);
    insert(store, workspace_id, "ada@example.com", "s1", true).await;
    assert_eq!(delete().await, UpdateOutcome::LastLocalAdministrator);
    // Without the local administrator, as an older node may leave a workspace.
    let remove = format!("update person set is_admin = {} where id = {}", literal(engine, false), boss.id);
    let app = app.restart_after_sql(&remove).await;
    let outcome = apply_change(&app.store, "s1", &gone()).await;
    assert_eq!(outcome, ProviderChangeOutcome::ChangedLastAdministrator);
    assert!(find(&app.store, "s1").await.unwrap().person.is_disabled);
}

fn literal(engine: Engine, flag: bool) -> &'static str {
    match (engine, flag) {
        (Engine::Postgres, true) => "true",
        (Engine::Postgres, false) => "false",
        (Engine::Sqlite, true) => "1",
        (Engine::Sqlite, false) => "0",
    }
}

#[apply(both_databases)]
async fn an_unlinked_person_keeps_the_state(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada = insert(store, WORKSPACE, "ada@example.com", "s1", true).await;
    apply_change(store, "s1", &gone()).await;
    assert!(store.unlink_identities(&ada, &operator_mutation()).await.unwrap());
    assert!(!store.unlink_identities(&ada, &operator_mutation()).await.unwrap());
    assert!(find(store, "s1").await.is_none());
    let person = store.find_person(WORKSPACE, ada.id).await.unwrap().unwrap();
    assert_eq!(
        (person.is_disabled, person.disabled_by.administrator, person.disabled_by.directory),
        (true, true, false)
    );
    // The entry can be linked again.
    let linked = store.link_identity(&person, &new_identity("company", "s1"), &operator_mutation()).await;
    assert_eq!(linked.unwrap().wait_for(&NoCache).await, LinkOutcome::Linked);
}

#[apply(both_databases)]
async fn a_sign_in_is_recorded_once_per_interval(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    insert(store, WORKSPACE, "ada@example.com", "s1", false).await;
    let found = find(store, "s1").await.unwrap();
    let record = async |at: Timestamp, label: &str| {
        let context = AuditContext::for_named_actor("ada", at, RequestContext::default());
        store.record_identity_sign_in(&found, label, &context, at.plus_seconds(-60), true).await.unwrap();
        find(store, "s1").await.unwrap().identity
    };
    let first = record(NOW, "renamed").await;
    assert_eq!((first.last_sign_in_at, first.label.as_str()), (Some(NOW), "renamed"));
    assert_eq!(record(NOW.plus_seconds(59), "again").await.last_sign_in_at, Some(NOW));
    let later = NOW.plus_seconds(61);
    assert_eq!(record(later, "again").await.last_sign_in_at, Some(later));
    // A sync has seen the entry.
    let seen = later.plus_seconds(1);
    store.record_identities_seen(&[found.identity.id], seen).await.unwrap();
    store.record_identities_seen(&[], seen.plus_seconds(1)).await.unwrap();
    assert_eq!(find(store, "s1").await.unwrap().identity.seen_at, Some(seen));
}
