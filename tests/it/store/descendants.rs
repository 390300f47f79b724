//! Bulk revocation, families, tombstones, and idempotent creation.

use rstest::rstest;
use rstest_reuse::apply;
use tokenward::{
    domain::{
        event::Action,
        id::{PersonId, WorkspaceId},
        invalidation::Invalidation,
        token::{IssueError, Lifetime, Token},
    },
    store::{IdempotentRequest, IssueOutcome, OwnerScope, ReplayedToken, Store, TokenLabel, TokenListQuery},
};
use tokenward_guard::token_format::TokenDigest;
use uuid::Uuid;

use super::{
    ADMIN, ALL_TOKENS, DEFAULT_SETTINGS, NOW, NoCache, RecordingBarrier, WORKSPACE, issue_token, mutation_at,
    new_person, new_token, operator_mutation,
};
use crate::support::{Engine, TestApp, both_databases};

async fn is_unrevoked(store: &Store, digest: TokenDigest) -> bool {
    !store.find_by_digests(&[digest]).await.unwrap().is_empty()
}

#[apply(both_databases)]
async fn one_update_revokes_all_tokens_of_a_person(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada =
        store.insert_person(WORKSPACE, &new_person("ada@example.com"), &operator_mutation()).await.unwrap().unwrap().id;
    store
        .update_person(
            WORKSPACE,
            ada,
            &tokenward::store::PersonChange { is_admin: Some(true), ..Default::default() },
            &operator_mutation(),
        )
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    let (own, id) = issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    issue_token(store, ADMIN, Lifetime::Seconds(1), NOW.plus_seconds(-5)).await;
    let (adas, _) = issue_token(store, ada, Lifetime::Forever, NOW).await;
    assert_eq!(
        store
            .revoke_all_tokens(WORKSPACE, ADMIN, &mutation_at(NOW.plus_seconds(1)))
            .await
            .unwrap()
            .wait_for(&NoCache)
            .await,
        Some(2)
    );
    assert!(!is_unrevoked(store, own.digest()).await && is_unrevoked(store, adas.digest()).await);
    // No method finds revoked tokens, although their rows still exist.
    assert_eq!(store.find_token(OwnerScope::Workspace(WORKSPACE), id).await.unwrap(), None);
    let filter = TokenListQuery {
        scope: OwnerScope::Person { workspace_id: WORKSPACE, person_id: ADMIN },
        filter: Default::default(),
        now: NOW,
    };
    assert_eq!(
        (store.list_tokens(&filter, &ALL_TOKENS).await.unwrap(), store.count_tokens(&filter).await.unwrap()),
        (vec![], 0)
    );
    assert_eq!(
        store
            .delete_token(OwnerScope::Workspace(WORKSPACE), id, &operator_mutation())
            .await
            .unwrap()
            .wait_for(&NoCache)
            .await,
        None
    );
    assert_eq!(store.count_people_and_tokens(WORKSPACE).await.unwrap(), (2, 1));
    assert_eq!(store.count_token_holders(WORKSPACE, Some(ADMIN), NOW).await.unwrap().tokens, 0);
    assert_eq!(
        store.revoke_all_tokens(WORKSPACE, ADMIN, &operator_mutation()).await.unwrap().wait_for(&NoCache).await,
        Some(0),
        "no tokens are left"
    );
    assert_eq!(
        (
            store
                .revoke_all_tokens(WORKSPACE, PersonId::new(9), &operator_mutation())
                .await
                .unwrap()
                .wait_for(&NoCache)
                .await,
            store
                .revoke_all_tokens(WorkspaceId::new(2), ADMIN, &operator_mutation())
                .await
                .unwrap()
                .wait_for(&NoCache)
                .await
        ),
        (None, None)
    );
    assert_eq!((store.purge_revoked(1).await.unwrap(), store.purge_revoked(9).await.unwrap()), (1, 1));
    assert_eq!(store.purge_revoked(9).await.unwrap(), 0);
    let mut app = app;
    assert_eq!(app.query_text("select cast(count(*) as text) from token").await.as_deref(), Some("1"));
}

#[apply(both_databases)]
async fn tokens_created_after_a_revocation_are_valid_despite_clock_skew(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    // A token from a node whose clock is ahead is revoked as well.
    let (ahead, _) = issue_token(store, ADMIN, Lifetime::Forever, NOW.plus_seconds(100)).await;
    store.revoke_all_tokens(WORKSPACE, ADMIN, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    assert!(!is_unrevoked(store, ahead.digest()).await);
    // The token is revoked and its row not purged yet: its use is recognized all the same.
    assert_eq!(store.find_revoked(&[ahead.digest()]).await.unwrap().len(), 1);
    assert_eq!(store.find_unrevoked(&ahead.digest()).await.unwrap(), None);
    // A token created now gets a creation time after the revocation.
    let (value, new) = new_token(ADMIN, Lifetime::Seconds(10), NOW);
    let Ok(IssueOutcome::Created(Token { created_at, expires_at, .. })) =
        store.issue_token(&new, DEFAULT_SETTINGS).await.unwrap().wait_for(&NoCache).await
    else {
        panic!()
    };
    assert_eq!(created_at.as_millis(), NOW.plus_seconds(100).as_millis() + 1);
    assert_eq!(expires_at, Some(created_at.plus_seconds(10)));
    assert!(is_unrevoked(store, value.digest()).await);
    store.revoke_all_tokens(WORKSPACE, ADMIN, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    assert!(!is_unrevoked(store, value.digest()).await);
}

/// Creates a child token.
async fn issue_child(store: &Store, parent: Uuid) -> (TokenDigest, Uuid) {
    let (value, mut new) = new_token(ADMIN, Lifetime::Forever, NOW);
    new.mutation.context.token_id = Some(parent);
    store.issue_token(&new, DEFAULT_SETTINGS).await.unwrap().wait_for(&NoCache).await.unwrap();
    assert_eq!(
        store.find_token(OwnerScope::Workspace(WORKSPACE), new.id).await.unwrap().unwrap().parent_id,
        Some(parent)
    );
    (value.digest(), new.id)
}

#[apply(both_databases)]
async fn a_family_is_deleted_even_if_a_member_was_deleted_before(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let (other, _) = issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    let (root, root_id) = issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    let (middle, middle_id) = issue_child(store, root_id).await;
    let (leaf, leaf_id) = issue_child(store, middle_id).await;
    let (second, _) = issue_child(store, root_id).await;
    store
        .delete_token(OwnerScope::Workspace(WORKSPACE), middle_id, &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    let other_owner = OwnerScope::Person { workspace_id: WORKSPACE, person_id: PersonId::new(2) };
    assert_eq!(revoke_family(store, other_owner, root_id).await, []);
    assert_eq!(revoke_family(store, OwnerScope::Workspace(WorkspaceId::new(2)), root_id).await, []);
    let mut expected = [root.digest(), leaf, second];
    expected.sort_by_key(|digest| *digest.as_bytes());
    assert_eq!(revoke_family(store, OwnerScope::Workspace(WORKSPACE), root_id).await, expected);
    for digest in [root.digest(), middle, leaf, second] {
        assert!(!is_unrevoked(store, digest).await);
    }
    assert!(is_unrevoked(store, other.digest()).await);
    assert_eq!(revoke_family(store, OwnerScope::Workspace(WORKSPACE), root_id).await, []);
    let details = store.list_entries(WORKSPACE, 0, 100).await.unwrap().pop().unwrap().0.details;
    assert!(details.contains(&leaf_id.to_string()) && details.contains(r#""descendants":2"#), "{details}");
    // The root is deleted, its child is not.
    let (_, root_id) = issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    let (kept, _) = issue_child(store, root_id).await;
    store
        .delete_token(OwnerScope::Workspace(WORKSPACE), root_id, &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    assert_eq!(revoke_family(store, OwnerScope::Workspace(WORKSPACE), root_id).await, [kept]);
}

/// Deletes a family. Returns the digests that it invalidates, in order.
async fn revoke_family(store: &Store, owner: OwnerScope, root: Uuid) -> Vec<TokenDigest> {
    let barrier = RecordingBarrier::default();
    let deleted = store.delete_family(owner, root, Action::TokenDeleted, &operator_mutation()).await.unwrap();
    let deleted = deleted.wait_for(&barrier).await;
    let mut digests: Vec<TokenDigest> = barrier
        .invalidations()
        .into_iter()
        .map(|invalidation| match invalidation {
            Invalidation::Token(digest) => digest,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((deleted.deleted, deleted.is_purge_pending), (digests.len(), false));
    digests.sort_by_key(|digest| *digest.as_bytes());
    digests
}

#[apply(both_databases)]
async fn deleted_tokens_leave_a_tombstone_for_a_while(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let (deleted, id) = issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    let (living, living_id) = issue_child(store, id).await;
    store
        .delete_token(OwnerScope::Workspace(WORKSPACE), id, &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    let display_prefix = deleted.display_prefix().to_owned();
    let expected = (deleted.digest(), TokenLabel { id, workspace_id: WORKSPACE, person_id: ADMIN, display_prefix });
    assert_eq!(store.find_revoked(&[deleted.digest(), living]).await.unwrap(), [expected]);
    let now = tokenward::domain::time::Clock::system().now();
    assert_eq!(store.purge_tombstones(now.plus_seconds(60)).await.unwrap(), 0, "its child is unrevoked");
    store
        .delete_token(OwnerScope::Workspace(WORKSPACE), living_id, &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    assert_eq!(store.purge_tombstones(now.plus_seconds(-3_600)).await.unwrap(), 0, "not old enough");
    assert_eq!(store.purge_tombstones(now.plus_seconds(60)).await.unwrap(), 1);
    assert_eq!(store.purge_tombstones(now.plus_seconds(60)).await.unwrap(), 1);
    assert_eq!(store.find_revoked(&[deleted.digest()]).await.unwrap(), []);
}

#[apply(both_databases)]
async fn an_idempotent_request_returns_the_same_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let request = |key: u8, body: u8, seconds: i64| {
        let (_, mut new) = new_token(ADMIN, Lifetime::Seconds(60), NOW.plus_seconds(seconds));
        new.idempotency = Some(IdempotentRequest {
            key_digest: [key; 32],
            body_digest: [body; 32],
            encrypted_value: vec![key, body],
        });
        new
    };
    let first = request(1, 1, 0);
    let send = |new| async move { store.issue_token(&new, DEFAULT_SETTINGS).await.unwrap().wait_for(&NoCache).await };
    assert!(matches!(send(first.clone()).await, Ok(IssueOutcome::Created(_))));
    let Ok(IssueOutcome::Replayed(ReplayedToken { token, encrypted_value })) = send(request(1, 1, 599)).await else {
        panic!()
    };
    assert_eq!((token.id, token.created_at, encrypted_value), (first.id, NOW, vec![1, 1]));
    assert_eq!(send(request(1, 2, 1)).await, Err(IssueError::IdempotencyKeyReused));
    let deleted = request(3, 1, 0);
    assert!(send(deleted.clone()).await.is_ok());
    assert!(store.find_unrevoked(&deleted.digest).await.unwrap().is_some());
    store
        .delete_token(OwnerScope::Workspace(WORKSPACE), deleted.id, &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    assert_eq!(send(request(3, 1, 1)).await, Err(IssueError::IdempotentTokenDeleted));
    assert!(matches!(send(request(2, 1, 1)).await, Ok(IssueOutcome::Created(_))), "another idempotency key");
    assert!(matches!(send(request(1, 2, 600)).await, Ok(IssueOutcome::Created(_))), "the record has expired");
    assert_eq!(store.count_people_and_tokens(WORKSPACE).await.unwrap().1, 3);
    assert_eq!(store.purge_idempotency_records(NOW.plus_seconds(601)).await.unwrap(), 2);
    assert_eq!(store.purge_idempotency_records(NOW.plus_seconds(1_200)).await.unwrap(), 1);
}

#[apply(both_databases)]
async fn tokens_per_person_are_limited(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let limited = || {
        let mut new = new_token(ADMIN, Lifetime::Seconds(10), NOW).1;
        new.max_active = Some(2);
        new
    };
    for _ in 0..2 {
        assert!(store.issue_token(&limited(), DEFAULT_SETTINGS).await.unwrap().wait_for(&NoCache).await.is_ok());
    }
    assert_eq!(
        store.issue_token(&limited(), DEFAULT_SETTINGS).await.unwrap().wait_for(&NoCache).await,
        Err(IssueError::TooManyActiveTokens { max: 2 })
    );
    let mut later = limited();
    later.mutation.context.at = NOW.plus_seconds(10);
    assert!(
        store.issue_token(&later, DEFAULT_SETTINGS).await.unwrap().wait_for(&NoCache).await.is_ok(),
        "expired tokens do not count"
    );
}
