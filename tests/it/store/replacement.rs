//! Limits and replacement of tokens in the database.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;
use tokenward::{
    domain::{
        event::Action,
        id::WorkspaceId,
        token::{GracePeriod, IssueError, Lifetime},
        token_limits::{AllowedNetworks, RequestedLimits, TokenLimits, parse_scopes},
    },
    store::{Committed, EventFilter, EventPageStart, IssueOutcome, OwnerScope, Replaces},
};

use super::{ADMIN, DEFAULT_SETTINGS, NOW, NoCache, RecordingBarrier, WORKSPACE, issue_token, mutation_at, new_token};
use crate::support::{Engine, TestApp, both_databases};

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[apply(both_databases)]
async fn limits_are_read_as_they_were_written(engine: Engine) {
    let app = TestApp::start(engine).await;
    for (scopes, networks) in [
        (None, None),
        (Some(vec![]), None),
        (Some(texts(&["b", "a:read"])), None),
        (None, Some(texts(&["10.0.0.0/8", "2001:db8::1"]))),
        (Some(texts(&["a"])), Some(texts(&["192.0.2.0/24"]))),
    ] {
        let requested = RequestedLimits {
            scopes: scopes.map(|words| parse_scopes(&words).unwrap()),
            networks: networks.map(|texts| AllowedNetworks::parse(&texts).unwrap()),
        };
        let expected = TokenLimits::NONE.for_child(&requested, &TokenLimits::NONE).unwrap();
        let (value, mut new) = new_token(ADMIN, Lifetime::Forever, NOW);
        new.limits = requested;
        let issued = app.store.issue_token(&new, DEFAULT_SETTINGS).await.unwrap().wait_for(&NoCache).await;
        let Ok(IssueOutcome::Created(token)) = issued else { panic!("{issued:?}") };
        assert_eq!(token.limits, expected);
        let found = app.store.find_by_digests(&[value.digest()]).await.unwrap();
        assert_eq!(found[0].1.limits, expected);
        let read = app.store.find_token(OwnerScope::Workspace(WORKSPACE), new.id).await.unwrap().unwrap();
        assert_eq!(read.limits, expected);
    }
}

#[apply(both_databases)]
async fn a_scheduled_deletion_is_due_at_its_time(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let (value, old) = issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    let (_, mut new) = new_token(ADMIN, Lifetime::Forever, NOW);
    new.replaces = Some(Replaces { token_id: old, grace: GracePeriod::from_seconds(60).unwrap() });
    new.lifetime = None;
    store.issue_token(&new, DEFAULT_SETTINGS).await.unwrap().wait_for(&NoCache).await.unwrap();
    let found = store.find_by_digests(&[value.digest()]).await.unwrap();
    assert_eq!((found[0].1.ends_at, found[0].1.is_replaced), (Some(NOW.plus_seconds(60)), true));
    let (before, due) = (NOW.plus_seconds(59), NOW.plus_seconds(60));
    assert_eq!(store.find_workspaces_with_due_tokens(before, 10).await.unwrap(), []);
    assert_eq!(store.find_workspaces_with_due_tokens(due, 10).await.unwrap(), [WORKSPACE]);
    assert_eq!(store.find_workspaces_with_due_tokens(due, 0).await.unwrap(), []);
    let delete = async |workspace_id, at, limit| {
        store.delete_due_tokens(workspace_id, limit, &mutation_at(at)).await.unwrap().wait_for(&NoCache).await
    };
    assert_eq!(delete(WORKSPACE, before, 10).await, 0);
    assert_eq!(delete(WorkspaceId::new(99), due, 10).await, 0);
    assert_eq!(delete(WORKSPACE, due, 0).await, 0);
    assert_eq!(store.find_by_digests(&[value.digest()]).await.unwrap().len(), 1);
    assert_eq!(delete(WORKSPACE, due, 10).await, 1);
    assert!(store.find_by_digests(&[value.digest()]).await.unwrap().is_empty());
    assert_eq!(store.find_workspaces_with_due_tokens(due, 10).await.unwrap(), []);
    let events = store.list_events(&EventFilter::all(WORKSPACE), EventPageStart::default(), 1).await.unwrap();
    assert_eq!((events[0].action, events[0].target.as_str()), (Action::TokenDeleted, old.to_string().as_str()));
}

#[apply(both_databases)]
async fn one_wait_covers_the_deletions_of_all_workspaces(engine: Engine) {
    let app = TestApp::start(engine).await;
    let other = app.create_workspace_with_admin("eve").await;
    let clients = [app.admin(), app.admin(), other];
    for client in &clients {
        let old = client.create_token().await;
        client.post("/v4/apiAccessTokens", &json!({"replaces": old.token_id, "graceSeconds": 60})).await.expect(201);
    }
    app.advance_seconds(60);
    let due = app.state.tokens().now();
    let workspaces = app.store.find_workspaces_with_due_tokens(due, 10).await.unwrap();
    assert_eq!(workspaces.len(), 2);
    let mut batches = Vec::new();
    for workspace_id in workspaces {
        batches.push(app.store.delete_due_tokens(workspace_id, 10, &mutation_at(due)).await.unwrap());
    }
    let barrier = RecordingBarrier::default();
    let counts: Vec<u64> = Committed::join(batches).wait_for(&barrier).await;
    assert_eq!((counts, barrier.invalidations().len()), (vec![2, 1], 3));
}

/// A node of an older version would ignore the limits of a token.
#[tokio::test]
async fn no_token_gets_limits_while_an_older_node_runs() {
    let mut app = TestApp::start(Engine::Postgres).await;
    app.execute_sql(
        "insert into node (id, lease_ms, renewals, lease_until) values (gen_random_uuid(), 1000, 0, now())",
    )
    .await;
    let (_, old) = issue_token(&app.store, ADMIN, Lifetime::Forever, NOW).await;
    let (_, mut limited) = new_token(ADMIN, Lifetime::Forever, NOW);
    limited.limits.scopes = Some(parse_scopes(&[]).unwrap());
    let (_, mut replacing) = new_token(ADMIN, Lifetime::Forever, NOW);
    replacing.replaces = Some(Replaces { token_id: old, grace: GracePeriod::DEFAULT });
    for new in [&limited, &replacing] {
        let issued = app.store.issue_token(new, DEFAULT_SETTINGS).await.unwrap().wait_for(&NoCache).await;
        assert_eq!(issued, Err(IssueError::OlderNodes));
    }
    app.execute_sql("delete from node where schema_version < 10").await;
    for new in [&limited, &replacing] {
        app.store.issue_token(new, DEFAULT_SETTINGS).await.unwrap().wait_for(&NoCache).await.unwrap();
    }
}
