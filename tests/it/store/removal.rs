//! Deletion of families, people and workspaces with many tokens: revoked by one row, purged in
//! batches.

use rstest::rstest;
use rstest_reuse::apply;
use tokenward::{
    domain::{
        authority::AuthorizationLost,
        event::Action,
        id::{PersonId, WorkspaceId},
        invalidation::Invalidation,
        person::EmailKey,
        token::Lifetime,
        workspace::WorkspaceName,
    },
    store::{DeletedFamily, Error, OwnerScope, Store, UpdateOutcome},
};
use tokenward_guard::token_format::TokenDigest;
use uuid::Uuid;

use super::{
    ADMIN, DEFAULT_SETTINGS, NOW, NoCache, RecordingBarrier, WORKSPACE, issue_token, new_person, new_token,
    operator_mutation, token_mutation,
};
use crate::support::{Engine, TestApp, both_databases};

/// More tokens than one statement deletes.
const FAMILY_SIZE: u32 = 1_500;

/// Inserts tokens by SQL: all of them children of `parent`, or a chain in which each is the child
/// of the one before. Token `n` has the digest `numbered_digest(n)` and the ID `numbered_id(n)`.
pub(super) async fn insert_numbered_tokens(
    app: &mut TestApp,
    workspace_id: WorkspaceId,
    person_id: PersonId,
    parent: Option<Uuid>,
    is_chain: bool,
) {
    let millis = NOW.as_millis();
    let hex = |id: Uuid| id.simple().to_string();
    let statement = match app.database.engine {
        Engine::Postgres => {
            let parent = parent.map_or("null".to_owned(), |id| format!("'{id}'::uuid"));
            let parent = if is_chain {
                format!("case n when 1 then {parent} else lpad((n - 1)::text, 32, '0')::uuid end")
            } else {
                parent
            };
            format!(
                "insert into token (id, workspace_id, person_id, digest, display_prefix, description, created_at, parent_id) \
                 select lpad(n::text, 32, '0')::uuid, {workspace_id}, {person_id}, convert_to(lpad(n::text, 32, '0'), 'UTF8'), \
                 'twd_many', '', to_timestamp({millis} / 1000.0), {parent} from generate_series(1, {FAMILY_SIZE}) n"
            )
        }
        Engine::Sqlite => {
            let parent = parent.map_or("null".to_owned(), |id| format!("x'{}'", hex(id)));
            let parent = if is_chain {
                format!("case n when 1 then {parent} else unhex(printf('%032d', n - 1)) end")
            } else {
                parent
            };
            format!(
                "with recursive s (n) as (select 1 union all select n + 1 from s where n < {FAMILY_SIZE}) \
                 insert into token (id, workspace_id, person_id, digest, display_prefix, description, created_at, parent_id) \
                 select unhex(printf('%032d', n)), {workspace_id}, {person_id}, cast(printf('%032d', n) as blob), \
                 'twd_many', '', {millis}, {parent} from s"
            )
        }
    };
    app.execute_sql(&statement).await;
}

pub(super) fn numbered_digest(n: u32) -> TokenDigest {
    TokenDigest::from_bytes(format!("{n:032}").as_bytes().try_into().unwrap())
}

fn numbered_id(n: u32) -> Uuid {
    Uuid::parse_str(&format!("{n:032}")).unwrap()
}

async fn is_unrevoked(store: &Store, digest: TokenDigest) -> bool {
    !store.find_by_digests(&[digest]).await.unwrap().is_empty()
}

/// Deletes the family of `root`, and asserts that its members are revoked at once and `other` is
/// not.
async fn assert_family_is_revoked(app: &mut TestApp, root: Uuid, root_digest: TokenDigest, other: TokenDigest) {
    let store = &app.store;
    assert!(is_unrevoked(store, numbered_digest(FAMILY_SIZE)).await);
    let barrier = RecordingBarrier::default();
    let deleted =
        store.delete_family(OwnerScope::Workspace(WORKSPACE), root, Action::TokenLeaked, &operator_mutation()).await;
    let deleted = deleted.unwrap().wait_for(&barrier).await;
    assert_eq!(deleted, DeletedFamily { deleted: 0, is_purge_pending: true });
    assert_eq!(barrier.invalidations(), [Invalidation::Person(ADMIN)]);
    for member in [root_digest, numbered_digest(1), numbered_digest(FAMILY_SIZE)] {
        assert!(!is_unrevoked(store, member).await);
    }
    assert!(is_unrevoked(store, other).await, "a token of the same person, but of another family");
    let mut child = new_token(ADMIN, Lifetime::Forever, NOW).1;
    child.mutation = token_mutation(ADMIN, numbered_id(FAMILY_SIZE));
    let created = store.issue_token(&child, DEFAULT_SETTINGS).await;
    assert!(matches!(created, Err(Error::AuthorizationLost(AuthorizationLost::CallerRevoked))), "{created:?}");
    let again = store
        .delete_family(OwnerScope::Workspace(WORKSPACE), root, Action::TokenDeleted, &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    assert!(again.is_empty(), "the family is already revoked");
    let event = store.list_entries(WORKSPACE, 0, 100).await.unwrap().pop().unwrap().0;
    assert_eq!((event.action.as_str(), event.target), ("token.leaked", root.to_string()));
    // Another process can resume the purge.
    assert_eq!(store.list_revoked_families().await.unwrap(), [root]);
    assert_eq!(store.purge_family(root).await.unwrap(), u64::from(FAMILY_SIZE));
    assert!(store.list_revoked_families().await.unwrap().is_empty());
    assert!(is_unrevoked(store, other).await && !is_unrevoked(store, numbered_digest(FAMILY_SIZE)).await);
    assert_eq!(app.query_text("select cast(count(*) as text) from token").await.as_deref(), Some("1"));
}

#[apply(both_databases)]
async fn a_large_family_is_revoked_by_one_row_and_purged_later(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    let (other, _) = issue_token(&app.store, ADMIN, Lifetime::Forever, NOW).await;
    let (root, root_id) = issue_token(&app.store, ADMIN, Lifetime::Forever, NOW).await;
    insert_numbered_tokens(&mut app, WORKSPACE, ADMIN, Some(root_id), false).await;
    assert_family_is_revoked(&mut app, root_id, root.digest(), other.digest()).await;
}

#[apply(both_databases)]
async fn a_deep_family_is_revoked_by_one_row_and_purged_later(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    let (other, _) = issue_token(&app.store, ADMIN, Lifetime::Forever, NOW).await;
    let (root, root_id) = issue_token(&app.store, ADMIN, Lifetime::Forever, NOW).await;
    insert_numbered_tokens(&mut app, WORKSPACE, ADMIN, Some(root_id), true).await;
    assert_family_is_revoked(&mut app, root_id, root.digest(), other.digest()).await;
}

async fn purge_all(store: &Store) {
    while store.purge_revoked(400).await.unwrap() + store.purge_removed(400).await.unwrap() > 0 {}
}

#[apply(both_databases)]
async fn a_person_with_many_tokens_is_deleted_at_once(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    let ada = app
        .store
        .insert_person(WORKSPACE, &new_person("ada@example.com"), &operator_mutation())
        .await
        .unwrap()
        .unwrap()
        .id;
    insert_numbered_tokens(&mut app, WORKSPACE, ada, None, false).await;
    let store = &app.store;
    assert_eq!(
        store.delete_person(WORKSPACE, ada, &operator_mutation()).await.unwrap().wait_for(&NoCache).await,
        UpdateOutcome::Changed
    );
    assert!(!is_unrevoked(store, numbered_digest(1)).await && !is_unrevoked(store, numbered_digest(FAMILY_SIZE)).await);
    assert_eq!(store.find_person(WORKSPACE, ada).await.unwrap(), None);
    assert!(store.find_person_by_email(&EmailKey::from_text("ada@example.com")).await.unwrap().is_none());
    assert_eq!(store.list_people_after(WORKSPACE, &Default::default(), None, (10, 0)).await.unwrap().len(), 1);
    assert_eq!(store.count_people_and_tokens(WORKSPACE).await.unwrap(), (1, 0));
    assert_eq!(
        store.delete_person(WORKSPACE, ada, &operator_mutation()).await.unwrap().wait_for(&NoCache).await,
        UpdateOutcome::NotFound
    );
    assert_eq!(
        store
            .update_person(WORKSPACE, ada, &Default::default(), &operator_mutation())
            .await
            .unwrap()
            .wait_for(&NoCache)
            .await,
        UpdateOutcome::NotFound
    );
    assert_eq!(
        store.revoke_all_tokens(WORKSPACE, ada, &operator_mutation()).await.unwrap().wait_for(&NoCache).await,
        None
    );
    let again =
        store.insert_person(WORKSPACE, &new_person("ada@example.com"), &operator_mutation()).await.unwrap().unwrap();
    assert_ne!(again.id, ada, "the e-mail is available again");
    purge_all(store).await;
    assert_eq!(store.count_people_and_tokens(WORKSPACE).await.unwrap(), (2, 0));
    assert_eq!(store.find_person(WORKSPACE, again.id).await.unwrap().map(|person| person.id), Some(again.id));
    assert_eq!(app.query_text("select cast(count(*) as text) from token").await.as_deref(), Some("0"));
    assert_eq!(app.query_text("select cast(count(*) as text) from person").await.as_deref(), Some("2"));
}

#[apply(both_databases)]
async fn a_workspace_with_many_tokens_is_deleted_at_once(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    let name = WorkspaceName::parse("Lab").unwrap();
    let (lab, eve) =
        app.store.insert_workspace(&name, &new_person("eve@example.com"), &operator_mutation()).await.unwrap();
    insert_numbered_tokens(&mut app, lab.id, eve.id, None, false).await;
    let store = &app.store;
    assert!(is_unrevoked(store, numbered_digest(1)).await);
    assert!(store.delete_workspace(lab.id, &operator_mutation()).await.unwrap().wait_for(&NoCache).await);
    assert!(!is_unrevoked(store, numbered_digest(1)).await && !is_unrevoked(store, numbered_digest(FAMILY_SIZE)).await);
    assert_eq!(store.find_workspace(lab.id).await.unwrap(), None);
    assert_eq!((store.list_workspaces(10, 0).await.unwrap().len(), store.count_workspaces().await.unwrap()), (1, 1));
    assert!(store.find_person_by_email(&EmailKey::from_text("eve@example.com")).await.unwrap().is_none());
    assert!(store.insert_person(lab.id, &new_person("x@example.com"), &operator_mutation()).await.unwrap().is_none());
    assert!(!store.delete_workspace(lab.id, &operator_mutation()).await.unwrap().wait_for(&NoCache).await);
    assert!(!store.rename_workspace(lab.id, &name, &operator_mutation()).await.unwrap());
    purge_all(store).await;
    store.insert_person(WORKSPACE, &new_person("eve@example.com"), &operator_mutation()).await.unwrap().unwrap();
    for table in ["token", "event where workspace_id <> 1"] {
        let count = app.query_text(&format!("select cast(count(*) as text) from {table}")).await;
        assert_eq!(count.as_deref(), Some("0"), "{table}");
    }
}
