//! Credentials and users of provisioning clients.

use rstest::rstest;
use rstest_reuse::apply;
use tokenward::{
    domain::{
        authority::AuthorizationLost,
        external_identity::DIRECTORY_ISSUER,
        id::PersonId,
        invalidation::Invalidation,
        random::Random,
        scim::{CredentialName, ScimAttributes, ScimCredential, ScimFilter, ScimProvider, ScimUser, credential_format},
    },
    store::{Error, NewScimCredential, NewScimUser, ScimUserChange, ScimUserOutcome, Store},
};
use tokenward_guard::token_format::TokenDigest;
use uuid::Uuid;

use super::{NOW, NoCache, RecordingBarrier, WORKSPACE, operator_mutation};
use crate::support::{Engine, TestApp, both_databases};

fn new_credential(name: &str, provider: Option<&str>) -> NewScimCredential {
    let random = Random::system();
    let value = credential_format().generate(|bytes| random.fill(bytes));
    NewScimCredential {
        id: Uuid::from_bytes(random.bytes()),
        workspace_id: WORKSPACE,
        name: CredentialName::parse(name).unwrap(),
        provider: provider.map(|name| ScimProvider { name: name.to_owned(), issuer: DIRECTORY_ISSUER.to_owned() }),
        digest: value.digest(),
        display_prefix: value.display_prefix().to_owned(),
    }
}

async fn insert_credential(store: &Store, name: &str, provider: Option<&str>) -> ScimCredential {
    let new = new_credential(name, provider);
    store.insert_scim_credential(&new, &operator_mutation()).await.unwrap().unwrap()
}

fn attributes(user_name: &str, external_id: Option<&str>) -> ScimAttributes {
    ScimAttributes {
        user_name: user_name.to_owned(),
        external_id: external_id.map(str::to_owned),
        ..ScimAttributes::default()
    }
}

async fn insert_user(
    store: &Store,
    credential: &ScimCredential,
    user_name: &str,
    external_id: Option<&str>,
) -> Result<ScimUserOutcome, Error> {
    let new = NewScimUser {
        attributes: attributes(user_name, external_id).validate().unwrap(),
        is_active: true,
        identity_id: Uuid::from_bytes(Random::system().bytes()),
    };
    let inserted = store.insert_scim_user(credential, &new, &operator_mutation()).await?;
    Ok(inserted.wait_for(&NoCache).await)
}

async fn new_user(store: &Store, credential: &ScimCredential, name: &str, external_id: Option<&str>) -> ScimUser {
    match insert_user(store, credential, name, external_id).await.unwrap() {
        ScimUserOutcome::Changed(id) => store.find_scim_user(credential, id).await.unwrap().unwrap(),
        outcome => panic!("{outcome:?}"),
    }
}

/// Returns a change of the state only.
fn state_change(user: &ScimUser, is_active: bool) -> ScimUserChange {
    ScimUserChange {
        attributes: user.attributes.clone(),
        changed: Vec::new(),
        email: None,
        name: None,
        is_active: Some(is_active),
        deletes: false,
        expected_revision: user.revision,
    }
}

#[apply(both_databases)]
async fn a_credential_is_found_by_its_digest_until_it_is_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let new = new_credential("okta", Some("company"));
    let created = store.insert_scim_credential(&new, &operator_mutation()).await.unwrap().unwrap();
    assert_eq!((created.id, created.created_at, created.last_used_at), (new.id, NOW, None));
    assert_eq!((&created.provider, created.provider_key()), (&new.provider, "company"));
    assert_eq!(store.find_scim_credential(&new.digest).await.unwrap().as_ref(), Some(&created));
    assert_eq!(store.find_scim_credential(&TokenDigest::from_bytes([7; 32])).await.unwrap(), None);
    let again = store.insert_scim_credential(&new_credential("okta", None), &operator_mutation()).await;
    assert!(matches!(again, Err(Error::Conflict)));
    let nowhere = NewScimCredential { workspace_id: 77.into(), ..new_credential("okta", None) };
    assert_eq!(store.insert_scim_credential(&nowhere, &operator_mutation()).await.unwrap(), None);
    let second = insert_credential(store, "second", None).await;
    assert_eq!((second.provider.clone(), second.provider_key()), (None, ""));
    let listed = store.list_scim_credentials(WORKSPACE).await.unwrap();
    assert_eq!(listed.len(), 2);
    let delete = async |workspace: i64| {
        store.delete_scim_credential(workspace.into(), created.id, None, &operator_mutation()).await.unwrap()
    };
    assert_eq!((delete(77).await, delete(1).await, delete(1).await), (false, true, false));
    assert_eq!(store.list_scim_credentials(WORKSPACE).await.unwrap(), [second]);
}

#[apply(both_databases)]
async fn the_use_of_a_credential_moves_forward_only(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let id = insert_credential(store, "okta", None).await.id;
    let last_used = async || store.list_scim_credentials(WORKSPACE).await.unwrap()[0].last_used_at;
    let record = async |seconds: i64| {
        let at = NOW.plus_seconds(seconds);
        store.record_scim_credential_use(id, at, at.plus_seconds(-60)).await.unwrap();
    };
    record(100).await;
    assert_eq!(last_used().await, Some(NOW.plus_seconds(100)));
    for seconds in [50, 150] {
        record(seconds).await;
        assert_eq!(last_used().await, Some(NOW.plus_seconds(100)), "{seconds}");
    }
    record(161).await;
    assert_eq!(last_used().await, Some(NOW.plus_seconds(161)));
}

#[apply(both_databases)]
async fn a_revoked_credential_writes_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let credential = insert_credential(store, "okta", None).await;
    let user = new_user(store, &credential, "ada@example.com", None).await;
    store.delete_scim_credential(WORKSPACE, credential.id, None, &operator_mutation()).await.unwrap();
    let lost = |error| matches!(error, Err(Error::AuthorizationLost(AuthorizationLost::CallerRevoked)));
    assert!(lost(insert_user(store, &credential, "eve@example.com", None).await));
    let change = state_change(&user, false);
    let changed = store.update_scim_user(&credential, user.person.id, &change, &operator_mutation()).await;
    assert!(lost(changed.map(|_| ScimUserOutcome::NotFound)));
    assert!(!store.find_person(WORKSPACE, user.person.id).await.unwrap().unwrap().is_disabled);
}

#[apply(both_databases)]
async fn users_are_listed_within_the_scope_of_the_credential(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let plain = insert_credential(store, "plain", None).await;
    let linked = insert_credential(store, "linked", Some("company")).await;
    let ada = new_user(store, &plain, "ada@example.com", Some("x")).await;
    let eve = new_user(store, &linked, "eve@example.com", Some("x")).await;
    let ids = async |credential: &ScimCredential, filter: Option<ScimFilter>, part: (i64, i64)| {
        let total = store.count_scim_users(credential, filter.as_ref()).await.unwrap();
        let users = store.list_scim_users(credential, filter.as_ref(), part).await.unwrap();
        (users.into_iter().map(|user| user.person.id).collect::<Vec<_>>(), total)
    };
    assert_eq!(ids(&plain, None, (10, 0)).await, (vec![ada.person.id], 1));
    assert_eq!(ids(&plain, None, (10, 1)).await, (vec![], 1));
    assert_eq!(ids(&linked, None, (0, 0)).await, (vec![], 1));
    let name = |name: &str| Some(ScimFilter::UserName(name.to_owned()));
    assert_eq!(ids(&plain, name("ADA@example.com"), (10, 0)).await, (vec![ada.person.id], 1));
    assert_eq!(ids(&linked, name("ADA@example.com"), (10, 0)).await, (vec![], 0));
    let external = |id: &str| Some(ScimFilter::ExternalId(id.to_owned()));
    assert_eq!(ids(&linked, external("x"), (10, 0)).await, (vec![eve.person.id], 1));
    assert_eq!(ids(&linked, external("X"), (10, 0)).await, (vec![], 0));
    assert_eq!(store.find_scim_user(&plain, eve.person.id).await.unwrap(), None);
    assert_eq!(store.find_scim_user(&plain, PersonId::new(1)).await.unwrap(), None);
}

#[apply(both_databases)]
async fn a_change_needs_the_current_revision_and_invalidates_the_person(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let credential = insert_credential(store, "okta", None).await;
    let user = new_user(store, &credential, "ada@example.com", None).await;
    let id = user.person.id;
    assert_eq!(user.revision, 1);
    let recorder = RecordingBarrier::default();
    let update = async |id: PersonId, change: ScimUserChange| {
        let updated = store.update_scim_user(&credential, id, &change, &operator_mutation()).await.unwrap();
        updated.wait_for(&recorder).await
    };
    assert_eq!(update(id, state_change(&user, true)).await, ScimUserOutcome::Changed(id));
    assert!(recorder.invalidations().is_empty());
    assert_eq!(update(id, state_change(&user, false)).await, ScimUserOutcome::Changed(id));
    assert_eq!(recorder.invalidations(), [Invalidation::Person(id)]);
    assert_eq!(update(id, state_change(&user, true)).await, ScimUserOutcome::Stale);
    assert_eq!(update(77.into(), state_change(&user, true)).await, ScimUserOutcome::NotFound);
    assert_eq!(update(1.into(), state_change(&user, false)).await, ScimUserOutcome::NotFound);
    let user = store.find_scim_user(&credential, id).await.unwrap().unwrap();
    assert!(user.person.is_disabled && user.person.disabled_by.scim && user.revision == 2);
    let deletion = ScimUserChange { deletes: true, ..state_change(&user, false) };
    assert_eq!(update(id, deletion.clone()).await, ScimUserOutcome::Changed(id));
    assert_eq!(update(id, deletion).await, ScimUserOutcome::NotFound);
    assert_eq!(store.find_scim_user(&credential, id).await.unwrap(), None);
    // The external ID is what finds the person again; a name does not.
    assert!(matches!(insert_user(store, &credential, "ada@example.com", None).await, Err(Error::Conflict)));
}

/// A node of an older version knows neither the flag nor the table.
#[tokio::test]
async fn an_older_node_does_not_lift_what_scim_disabled() {
    let mut app = TestApp::start(Engine::Postgres).await;
    let credential = insert_credential(&app.store, "okta", None).await;
    let user = new_user(&app.store, &credential, "ada@example.com", None).await;
    let change = state_change(&user, false);
    let updated = app.store.update_scim_user(&credential, user.person.id, &change, &operator_mutation()).await;
    updated.unwrap().wait_for(&NoCache).await;
    app.execute_sql("update person set is_disabled = false").await;
    let person = app.store.find_person(WORKSPACE, user.person.id).await.unwrap().unwrap();
    assert!(person.is_disabled && person.disabled_by.scim);
}
