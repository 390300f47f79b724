//! Maintained counts, and lists that are read page by page.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;
use tokenward::{
    domain::{
        event::Action,
        id::{PersonId, WorkspaceId},
        person::EmailKey,
        token::Lifetime,
        token_filter::TokenFilter,
        token_query::{Sort, SortKey},
        workspace::WorkspaceName,
    },
    store::{
        EventFilter, EventPageStart, OwnerScope, PersonChange, PersonFilter, ReaderRights, Store, TokenCounts,
        TokenListQuery, WorkspaceWithCounts,
    },
};
use uuid::Uuid;

use super::{
    ADMIN, ALL_TOKENS, NOW, NoCache, WORKSPACE, issue_token, new_person, operator_mutation, sessions::create_session,
};
use crate::support::{Engine, TestApp, both_databases};

fn token_filter(owner: OwnerScope) -> TokenListQuery {
    TokenListQuery { scope: owner, filter: TokenFilter::default(), now: NOW }
}

/// Asserts that the maintained counts match the rows, and returns the numbers of people and tokens.
#[track_caller]
fn assert_counts_match<'a>(
    store: &'a Store,
    workspace_id: WorkspaceId,
    people: &'a [PersonId],
) -> impl Future<Output = (i64, i64)> + 'a {
    let caller = std::panic::Location::caller();
    async move {
        let rows = |owner| async move {
            i64::try_from(store.list_tokens(&token_filter(owner), &ALL_TOKENS).await.unwrap().len()).unwrap()
        };
        let counted = store.count_people_and_tokens(workspace_id).await.unwrap();
        let list_token_ids =
            store.list_people_after(workspace_id, &PersonFilter::default(), None, (1_000, 0)).await.unwrap();
        let workspace = OwnerScope::Workspace(workspace_id);
        assert_eq!(counted, (i64::try_from(list_token_ids.len()).unwrap(), rows(workspace).await), "{caller}");
        assert_eq!(store.count_tokens(&token_filter(workspace)).await.unwrap(), counted.1, "{caller}");
        for &person_id in people {
            let owner = OwnerScope::Person { workspace_id, person_id };
            assert_eq!(store.count_tokens(&token_filter(owner)).await.unwrap(), rows(owner).await, "{caller}");
        }
        counted
    }
}

async fn insert_administrator(store: &Store, email: &str) -> PersonId {
    let id = store.insert_person(WORKSPACE, &new_person(email), &operator_mutation()).await.unwrap().unwrap().id;
    let change = PersonChange { is_admin: Some(true), ..PersonChange::default() };
    store.update_person(WORKSPACE, id, &change, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    id
}

#[apply(both_databases)]
async fn counts_follow_every_change(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    assert_eq!(assert_counts_match(store, WORKSPACE, &[ADMIN]).await, (1, 0));
    let ada = insert_administrator(store, "ada@example.com").await;
    let everyone = [ADMIN, ada];
    let (_, first) = issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    issue_token(store, ADMIN, Lifetime::Seconds(1), NOW.plus_seconds(-5)).await;
    let (reported, _) = issue_token(store, ada, Lifetime::Forever, NOW).await;
    issue_token(store, ada, Lifetime::Forever, NOW).await;
    assert_eq!(assert_counts_match(store, WORKSPACE, &everyone).await, (2, 4), "expired tokens are counted");
    store
        .delete_token(OwnerScope::Workspace(WORKSPACE), first, &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await
        .unwrap();
    assert_eq!(assert_counts_match(store, WORKSPACE, &everyone).await, (2, 3));
    assert!(store.delete_by_digest(&reported.digest(), &operator_mutation()).await.unwrap().wait_for(&NoCache).await);
    assert_eq!(assert_counts_match(store, WORKSPACE, &everyone).await, (2, 2));
    assert_eq!(store.delete_expired(NOW, 10).await.unwrap().wait_for(&NoCache).await, 1);
    assert_eq!(assert_counts_match(store, WORKSPACE, &everyone).await, (2, 1));
    issue_token(store, ada, Lifetime::Forever, NOW).await;
    assert_eq!(
        store.revoke_all_tokens(WORKSPACE, ada, &operator_mutation()).await.unwrap().wait_for(&NoCache).await,
        Some(2)
    );
    assert_eq!(
        assert_counts_match(store, WORKSPACE, &everyone).await,
        (2, 0),
        "the rows of revoked tokens still exist"
    );
    issue_token(store, ada, Lifetime::Forever, NOW.plus_seconds(1)).await;
    assert_eq!(assert_counts_match(store, WORKSPACE, &everyone).await, (2, 1));
    assert_eq!(store.purge_revoked(10).await.unwrap(), 2);
    assert_eq!(assert_counts_match(store, WORKSPACE, &everyone).await, (2, 1), "a revoked token is subtracted once");
    let (_, parent) = issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    store
        .delete_family(OwnerScope::Workspace(WORKSPACE), parent, Action::TokenDeleted, &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    assert_eq!(assert_counts_match(store, WORKSPACE, &everyone).await, (2, 1));
    store.delete_person(WORKSPACE, ada, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    assert_eq!(assert_counts_match(store, WORKSPACE, &[ADMIN]).await, (1, 0));
    assert_eq!(
        store
            .count_tokens(&token_filter(OwnerScope::Person { workspace_id: WORKSPACE, person_id: ada }))
            .await
            .unwrap(),
        0
    );
    let lab = WorkspaceName::parse("Lab").unwrap();
    let (lab, _) = store.insert_workspace(&lab, &new_person("eve@example.com"), &operator_mutation()).await.unwrap();
    assert_eq!(assert_counts_match(store, lab.id, &[]).await, (1, 0));
    assert_eq!(store.count_all_people().await.unwrap(), 2);
    assert!(store.delete_workspace(lab.id, &operator_mutation()).await.unwrap().wait_for(&NoCache).await);
    assert_eq!(store.count_people_and_tokens(lab.id).await.unwrap(), (0, 0));
    assert_eq!(store.count_all_people().await.unwrap(), 1);
}

/// Triggers maintain the counts, so statements of an operator are counted as well.
#[apply(both_databases)]
async fn counts_follow_manual_sql_changes(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    let ada = insert_administrator(&app.store, "ada@example.com").await;
    for n in 0..5 {
        issue_token(&app.store, if n < 2 { ADMIN } else { ada }, Lifetime::Forever, NOW.plus_seconds(n)).await;
    }
    let second = if app.database.engine == Engine::Postgres {
        "timestamptz '2026-01-01 00:00:02.5+00'"
    } else {
        "1767225602500"
    };
    for (statement, tokens) in [
        (format!("update person set tokens_revoked_before = {second} where id = {ada}"), 4),
        (format!("update person set tokens_revoked_before = null where id = {ada}"), 5),
        (format!("update token set person_id = 1 where person_id = {ada} and created_at > {second}"), 5),
        ("delete from token where person_id = 1".to_owned(), 1),
        ("delete from token".to_owned(), 0),
    ] {
        app.execute_sql(&statement).await;
        assert_eq!(assert_counts_match(&app.store, WORKSPACE, &[ADMIN, ada]).await, (2, tokens), "{statement}");
    }
    if app.database.engine == Engine::Postgres {
        issue_token(&app.store, ada, Lifetime::Forever, NOW).await;
        app.execute_sql("truncate token").await;
        assert_eq!(assert_counts_match(&app.store, WORKSPACE, &[ADMIN, ada]).await, (2, 0));
    }
}

/// Concurrent single deletions and bulk revocation count each token once.
#[apply(both_databases)]
async fn counts_are_correct_after_concurrent_changes(engine: Engine) {
    let app = TestApp::start(engine).await;
    for round in 0..10 {
        let now = NOW.plus_seconds(100 * round);
        let mut tokens = Vec::new();
        for _ in 0..8 {
            tokens.push(issue_token(&app.store, ADMIN, Lifetime::Forever, now).await.1);
        }
        let deletions = tokens.into_iter().map(|id| {
            let store = app.store.clone();
            tokio::spawn(async move {
                store
                    .delete_token(OwnerScope::Workspace(WORKSPACE), id, &operator_mutation())
                    .await
                    .unwrap()
                    .wait_for(&NoCache)
                    .await;
            })
        });
        let mut tasks: Vec<_> = deletions.collect();
        let store = app.store.clone();
        tasks.insert(
            4,
            tokio::spawn(async move {
                store.revoke_all_tokens(WORKSPACE, ADMIN, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
            }),
        );
        let store = app.store.clone();
        tasks.push(tokio::spawn(async move {
            store.purge_revoked(3).await.unwrap();
        }));
        let store = app.store.clone();
        tasks.push(tokio::spawn(async move {
            drop(issue_token(&store, ADMIN, Lifetime::Forever, now.plus_seconds(60)).await);
        }));
        for task in tasks {
            task.await.unwrap();
        }
        assert_counts_match(&app.store, WORKSPACE, &[ADMIN]).await;
    }
}

#[apply(both_databases)]
async fn workspaces_are_read_with_their_counts(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    assert!(store.max_concurrent_lists() >= 1);
    let name = WorkspaceName::parse("Lab").unwrap();
    let (lab, _) = store.insert_workspace(&name, &new_person("eve@example.com"), &operator_mutation()).await.unwrap();
    issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    let first = WorkspaceWithCounts {
        workspace: store.find_workspace(WORKSPACE).await.unwrap().unwrap(),
        people: 1,
        tokens: 1,
    };
    let second = WorkspaceWithCounts { workspace: lab, people: 1, tokens: 0 };
    assert_eq!(store.find_workspace_with_counts(WORKSPACE).await.unwrap().as_ref(), Some(&first));
    assert_eq!(store.find_workspace_with_counts(WorkspaceId::new(9)).await.unwrap(), None);
    assert_eq!(store.list_workspaces_with_counts(5, 0).await.unwrap(), [first, second.clone()]);
    assert_eq!(store.list_workspaces_with_counts(5, 1).await.unwrap(), [second]);
}

#[apply(both_databases)]
async fn people_and_events_are_read_page_by_page(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    for n in 0..6 {
        store
            .insert_person(WORKSPACE, &new_person(&format!("p{n}@example.com")), &operator_mutation())
            .await
            .unwrap()
            .unwrap();
    }
    let everyone = PersonFilter::default();
    let all = store.list_people_after(WORKSPACE, &everyone, None, (100, 0)).await.unwrap();
    assert_eq!(store.count_people(WORKSPACE, &everyone).await.unwrap(), 7);
    assert_eq!(store.list_people_after(WORKSPACE, &everyone, Some(all[2].id), (2, 0)).await.unwrap(), all[3..5]);
    assert_eq!(store.list_people_after(WORKSPACE, &everyone, None, (2, 4)).await.unwrap(), all[4..6]);
    let one = PersonFilter { email: Some(EmailKey::from_text("p3@example.com")), is_disabled: Some(false), kind: None };
    assert_eq!(store.count_people(WORKSPACE, &one).await.unwrap(), 1);
    let of_workspace = EventFilter::all(WORKSPACE);
    let events = store.list_events(&of_workspace, EventPageStart::default(), 100).await.unwrap();
    let (mut after, mut read) = (i64::MAX, Vec::new());
    loop {
        let page = store.list_event_page(&of_workspace, after, 4).await.unwrap();
        read.extend(page.events);
        match page.next {
            Some(EventPageStart::After(id)) => after = id,
            Some(EventPageStart::Before(_)) => panic!("the page goes backwards"),
            None => break,
        }
    }
    assert_eq!(read, events);
    assert!(read.len() > 4);
}

#[apply(both_databases)]
async fn tokens_are_read_by_their_ids(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let (_, own_id) = issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    let own = token_filter(OwnerScope::Person { workspace_id: WORKSPACE, person_id: ADMIN });
    let others = token_filter(OwnerScope::Person { workspace_id: WORKSPACE, person_id: PersonId::new(9) });
    let ids = [own_id, Uuid::nil()];
    assert_eq!(store.list_tokens_by_id(&own, &ids).await.unwrap()[0].0.id, own_id);
    assert!(store.list_tokens_by_id(&others, &ids).await.unwrap().is_empty());
    assert!(store.list_tokens_by_id(&own, &[]).await.unwrap().is_empty());
    let by_id = tokenward::domain::token_query::TokenPageQuery {
        sort: Sort { key: SortKey::TokenId, descending: true },
        ..ALL_TOKENS
    };
    assert_eq!(store.list_tokens(&own, &by_id).await.unwrap().len(), 1);
}

#[apply(both_databases)]
async fn a_reader_has_the_current_rights(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada = insert_administrator(store, "ada@example.com").await;
    let reader = ReaderRights {
        is_admin: true,
        is_platform_admin: false,
        is_disabled: false,
        password_hash: Some("hash".into()),
        has_identity: false,
        has_session: false,
    };
    assert!(store.find_reader_rights(WORKSPACE, ada, None).await.unwrap() == Some(reader.clone()));
    let (_, session) = create_session(store, ada, NOW).await.unwrap();
    let with_session = ReaderRights { has_session: true, ..reader.clone() };
    assert!(store.find_reader_rights(WORKSPACE, ada, Some(session)).await.unwrap() == Some(with_session));
    assert!(!store.find_reader_rights(WORKSPACE, ADMIN, Some(session)).await.unwrap().unwrap().has_session);
    store.delete_sessions(WORKSPACE, ada, None, &operator_mutation()).await.unwrap();
    assert!(store.find_reader_rights(WORKSPACE, ada, Some(session)).await.unwrap() == Some(reader.clone()));
    let change = PersonChange { is_admin: Some(false), is_disabled: Some(true), ..PersonChange::default() };
    store.update_person(WORKSPACE, ada, &change, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    assert!(
        store.find_reader_rights(WORKSPACE, ada, None).await.unwrap()
            == Some(ReaderRights { is_admin: false, is_disabled: true, ..reader })
    );
    assert!(store.find_reader_rights(WorkspaceId::new(2), ada, None).await.unwrap().is_none());
}

#[apply(both_databases)]
async fn tokens_are_counted_by_expiry(engine: Engine) {
    const WEEK: i64 = 7 * 86_400;
    let app = TestApp::start(engine).await;
    let statistics = app.state.token_statistics();
    assert_eq!(statistics.latest(), None);
    for seconds in [1, WEEK + 1, WEEK + 2, -1] {
        app.admin().create_token_with(json!({"lifetimeSeconds": seconds})).await;
    }
    let other = app.create_workspace_with_admin("eve").await;
    let deleted = other.create_token().await;
    other.create_token().await;
    deleted.delete(&deleted.token_path()).await.expect(204);
    app.advance_seconds(1);
    let expected = TokenCounts { active: 4, expired: 1, expiring: 2 };
    statistics.refresh().await.unwrap();
    assert_eq!(statistics.latest(), Some(expected));
    let now = app.state.tokens().now();
    assert_eq!(app.store.count_tokens_by_expiry(now, now.plus_seconds(WEEK)).await.unwrap(), expected);
    // The tokens of a removed workspace do not count, even before they are purged.
    app.admin().delete(&format!("/v4/workspaces/{}", other.workspace_id)).await.expect(204);
    statistics.refresh().await.unwrap();
    assert_eq!(statistics.latest(), Some(TokenCounts { active: 3, expired: 1, expiring: 1 }));
    app.store.close().await;
    assert!(statistics.refresh().await.is_err());
    assert_eq!(statistics.latest(), None);
}
