//! Password links: single use, expiry, and everything that voids them.

use futures_util::future::join_all;
use rstest::rstest;
use rstest_reuse::apply;
use tokenward::{
    domain::{
        event::AuditContext,
        id::{PersonId, WorkspaceId},
        password_link::{LinkDigest, LinkKind, LinkValue},
        person::{Email, EmailKey, Person, PersonName},
        random::Random,
        time::Timestamp,
    },
    store::{InviteOutcome, NewPasswordLink, PersonChange, PersonSearch, Store},
};

use super::{ADMIN, NOW, NoCache, WORKSPACE, new_person, operator_mutation};
use crate::support::{Engine, TestApp, both_databases};

const KIND: LinkKind = LinkKind::Invite;

fn new_link() -> (LinkDigest, NewPasswordLink) {
    let digest = LinkValue::generate(&Random::system()).digest();
    (digest, NewPasswordLink { kind: KIND, digest, expires_at: KIND.expires_at(NOW) })
}

/// Adds a person without a password, and returns the digest of the link.
async fn invite_person(store: &Store, email: &str) -> (Person, LinkDigest) {
    let (digest, link) = new_link();
    let mut new = new_person(email);
    (new.password_hash, new.invite) = (None, Some(link));
    let person = store.insert_person(WORKSPACE, &new, &operator_mutation()).await.unwrap().unwrap();
    (person, digest)
}

async fn is_valid(store: &Store, digest: &LinkDigest) -> bool {
    store.find_password_link(KIND, digest, NOW).await.unwrap().is_some()
}

async fn redeem(store: &Store, digest: &LinkDigest, at: Timestamp) -> bool {
    let context = AuditContext::for_link_holder(at, Default::default());
    store.redeem_password_link(WORKSPACE, (KIND, digest), "chosen", &context).await.unwrap()
}

async fn password_hash(store: &Store, email: &str) -> Option<String> {
    store.find_person_by_email(&EmailKey::from_text(email)).await.unwrap().unwrap().password_hash
}

#[apply(both_databases)]
async fn a_link_sets_the_password_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (person, digest) = invite_person(&app.store, "ada@example.com").await;
    assert!(!person.has_password && password_hash(&app.store, "ada@example.com").await.is_none());
    let found = app.store.find_password_link(KIND, &digest, NOW).await.unwrap().unwrap();
    assert_eq!((&found.person, found.workspace_name.as_str()), (&person, "Workspace 1"));
    assert_eq!(app.store.find_link_expiry(person.id, KIND).await.unwrap(), Some(KIND.expires_at(NOW)));
    assert_eq!(app.store.find_link_expiry(ADMIN, KIND).await.unwrap(), None);
    // Another workspace does not redeem it.
    let context = AuditContext::for_link_holder(NOW, Default::default());
    for other in [WorkspaceId::new(2), WorkspaceId::new(99)] {
        let link = (KIND, &digest);
        assert!(!app.store.redeem_password_link(other, link, "chosen", &context).await.unwrap());
    }
    assert!(redeem(&app.store, &digest, NOW).await);
    assert_eq!(password_hash(&app.store, "ada@example.com").await.as_deref(), Some("chosen"));
    assert!(!is_valid(&app.store, &digest).await && !redeem(&app.store, &digest, NOW).await);
    assert_eq!(app.store.find_link_expiry(person.id, KIND).await.unwrap(), None);
    let found = app.store.find_person(WORKSPACE, person.id).await.unwrap().unwrap();
    assert!(found.has_password && !found.force_password_change);
    let unknown = LinkValue::generate(&Random::system()).digest();
    assert!(!is_valid(&app.store, &unknown).await && !redeem(&app.store, &unknown, NOW).await);
}

#[apply(both_databases)]
async fn one_of_many_concurrent_uses_succeeds(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (_, digest) = invite_person(&app.store, "ada@example.com").await;
    let uses = join_all((0..20).map(|_| redeem(&app.store, &digest, NOW))).await;
    assert_eq!(uses.into_iter().filter(|is_used| *is_used).count(), 1);
}

#[apply(both_databases)]
async fn a_link_expires_to_the_millisecond_and_is_purged(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (_, early) = invite_person(&app.store, "ada@example.com").await;
    let (_, late) = invite_person(&app.store, "eve@example.com").await;
    let end = KIND.expires_at(NOW);
    let before = Timestamp::from_millis(end.as_millis() - 1);
    assert!(app.store.find_password_link(KIND, &early, before).await.unwrap().is_some());
    assert!(app.store.find_password_link(KIND, &early, end).await.unwrap().is_none());
    assert!(!redeem(&app.store, &early, end).await);
    assert_eq!(app.store.purge_password_links(before).await.unwrap(), 0);
    assert!(redeem(&app.store, &early, before).await);
    assert_eq!(app.store.purge_password_links(end).await.unwrap(), 1);
    assert!(!redeem(&app.store, &late, before).await);
}

#[apply(both_databases)]
async fn a_newer_link_replaces_the_older_one(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (person, first) = invite_person(&app.store, "ada@example.com").await;
    let (second, link) = new_link();
    let insert = async |workspace_id, id| {
        app.store.insert_password_link(workspace_id, id, &link, &operator_mutation()).await.unwrap()
    };
    assert_eq!(insert(WORKSPACE, PersonId::new(99)).await, InviteOutcome::NotFound);
    assert_eq!(insert(WorkspaceId::new(99), person.id).await, InviteOutcome::NotFound);
    assert!(is_valid(&app.store, &first).await);
    assert_eq!(insert(WORKSPACE, person.id).await, InviteOutcome::Created);
    assert!(!is_valid(&app.store, &first).await && is_valid(&app.store, &second).await);
    assert!(!redeem(&app.store, &first, NOW).await && redeem(&app.store, &second, NOW).await);
    let disable = PersonChange { is_disabled: Some(true), ..PersonChange::default() };
    let disabled = app.store.update_person(WORKSPACE, person.id, &disable, &operator_mutation()).await.unwrap();
    disabled.wait_for(&NoCache).await;
    assert_eq!(insert(WORKSPACE, person.id).await, InviteOutcome::Disabled);
}

#[apply(both_databases)]
async fn changes_of_the_account_void_its_link_for_good(engine: Engine) {
    let app = TestApp::start(engine).await;
    let apply = async |id: PersonId, change: &PersonChange| {
        let outcome = app.store.update_person(WORKSPACE, id, change, &operator_mutation()).await.unwrap();
        outcome.wait_for(&NoCache).await
    };
    let change = |email: Option<&str>| PersonChange {
        email: email.map(|text| Email::parse(text).unwrap()),
        ..PersonChange::default()
    };
    for (number, (void, undo)) in [
        (change(Some("other@example.com")), change(Some("ada0@example.com"))),
        (PersonChange { password_hash: Some("set".into()), ..change(None) }, change(None)),
        (
            PersonChange { is_disabled: Some(true), ..change(None) },
            PersonChange { is_disabled: Some(false), ..change(None) },
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let (person, digest) = invite_person(&app.store, &format!("ada{number}@example.com")).await;
        // Other changes do not void it.
        let name = PersonName::parse("Augusta").unwrap();
        apply(person.id, &PersonChange { name: Some(name), is_admin: Some(true), ..change(None) }).await;
        apply(person.id, &PersonChange { email: Some(Email::parse(&person.email).unwrap()), ..change(None) }).await;
        assert!(is_valid(&app.store, &digest).await, "{number}");
        for change in [&void, &undo] {
            apply(person.id, change).await;
            assert!(!is_valid(&app.store, &digest).await && !redeem(&app.store, &digest, NOW).await, "{number}");
        }
    }
    let (person, digest) = invite_person(&app.store, "gone@example.com").await;
    app.store.delete_person(WORKSPACE, person.id, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    assert!(!is_valid(&app.store, &digest).await && !redeem(&app.store, &digest, NOW).await);
}

/// The triggers see changes that no method of the store makes.
#[apply(both_databases)]
async fn changes_by_sql_void_the_link(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    let is_true = if engine == Engine::Postgres { "true" } else { "1" };
    for (number, set) in [
        "email_key = 'another'".to_owned(),
        "password_hash = 'another'".to_owned(),
        format!("is_disabled = {is_true}"),
        "removed_at = created_at".to_owned(),
        format!("is_platform_admin = {is_true}"),
    ]
    .into_iter()
    .enumerate()
    {
        let (person, digest) = invite_person(&app.store, &format!("ada{number}@example.com")).await;
        app.execute_sql(&format!("update person set name = 'x' where id = {}", person.id)).await;
        assert!(is_valid(&app.store, &digest).await, "{set}");
        app.execute_sql(&format!("update person set {set} where id = {}", person.id)).await;
        let rows = app.query_text("select cast(count(*) as text) from password_link").await;
        assert_eq!(rows.as_deref(), Some("0"), "{set}");
        assert!(!is_valid(&app.store, &digest).await, "{set}");
    }
}

#[apply(both_databases)]
async fn a_removed_workspace_voids_its_links(engine: Engine) {
    let app = TestApp::start(engine).await;
    let other = app.create_workspace_with_admin("eve").await;
    let (digest, link) = new_link();
    let (workspace_id, id) = (WorkspaceId::new(other.workspace_id), PersonId::new(other.id));
    app.store.insert_password_link(workspace_id, id, &link, &operator_mutation()).await.unwrap();
    assert!(is_valid(&app.store, &digest).await);
    app.admin().delete(&format!("/v4/workspaces/{}", other.workspace_id)).await.expect(204);
    assert!(!is_valid(&app.store, &digest).await);
    let context = AuditContext::for_link_holder(NOW, Default::default());
    assert!(!app.store.redeem_password_link(workspace_id, (KIND, &digest), "chosen", &context).await.unwrap());
}

#[apply(both_databases)]
async fn the_user_list_has_the_expiry_of_links(engine: Engine) {
    let app = TestApp::start(engine).await;
    invite_person(&app.store, "ada@example.com").await;
    let people = app
        .store
        .list_people_with_token_counts(WORKSPACE, &PersonSearch::default(), &Default::default(), NOW, 10)
        .await
        .unwrap();
    let expiries: Vec<Option<Timestamp>> = people.iter().map(|listed| listed.invite_expires_at).collect();
    assert_eq!(expiries, [Some(KIND.expires_at(NOW)), None]);
}
