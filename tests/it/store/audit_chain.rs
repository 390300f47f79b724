//! The audit hash chain: altered, deleted, inserted and truncated events are found.

use rstest::rstest;
use rstest_reuse::apply;
use tokenward::{
    domain::{
        event::{Action, Details},
        id::WorkspaceId,
        setting::{SettingKey, SettingValue},
        time::Timestamp,
        workspace::WorkspaceName,
    },
    service::audit_verify::{Finding, verify},
    store::{EventFilter, EventPageStart, NewEvent, Store},
};

use super::{ADMIN, NOW, NoCache, WORKSPACE, mutation_at, new_person, operator_mutation};
use crate::support::{Engine, TestApp, both_databases};

/// Records `times` events, one second apart, by changing a setting to 1, 2, 3 … days.
async fn record_events(store: &Store, iterations: i64) {
    for n in 1..=iterations {
        record_event(store, n).await;
    }
}

async fn record_event(store: &Store, n: i64) {
    store
        .set_settings(
            WORKSPACE,
            &[(SettingKey::MaxLifetimeDays, SettingValue::Days(n))],
            &mutation_at(NOW.plus_seconds(n)),
        )
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
}

async fn list_findings(store: &Store) -> Vec<Finding> {
    verify(store).await.unwrap().findings
}

#[apply(both_databases)]
async fn an_unmodified_chain_is_verified(engine: Engine) {
    let app = TestApp::start(engine).await;
    record_events(&app.store, 3).await;
    app.store.insert_person(WORKSPACE, &new_person("ada@example.com"), &operator_mutation()).await.unwrap().unwrap();
    let verdict = verify(&app.store).await.unwrap();
    assert_eq!((verdict.events, verdict.findings.len(), verdict.ends.len()), (4, 0, 1));
    let chain = app.store.list_chains().await.unwrap()[0];
    assert_eq!(verdict.ends[0], (WORKSPACE, 4, chain.hash));
    let entries = app.store.list_entries(WORKSPACE, 0, 9).await.unwrap();
    assert_eq!(entries.iter().map(|(entry, _)| entry.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(app.store.list_workspaces_without_chain().await.unwrap().is_empty());
}

#[apply(both_databases)]
async fn an_altered_event_is_found(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    record_events(&app.store, 4).await;
    for column in ["actor", "action", "target", "label", "details", "user_agent", "request_id", "address"] {
        let before: Option<String> = app.query_text(&format!("select {column} from event where seq = 2")).await;
        app.execute_sql(&format!("update event set {column} = 'x' where seq = 2")).await;
        assert_eq!(list_findings(&app.store).await, [Finding::Altered { workspace_id: WORKSPACE, seq: 2 }], "{column}");
        let back = before.map_or("null".to_owned(), |text| format!("'{text}'"));
        app.execute_sql(&format!("update event set {column} = {back} where seq = 2")).await;
        assert_eq!(list_findings(&app.store).await, [], "{column}");
    }
    app.execute_sql("update event set person_id = 7 where seq = 3").await;
    assert_eq!(list_findings(&app.store).await, [Finding::Altered { workspace_id: WORKSPACE, seq: 3 }]);
    // A replaced hash invalidates the event and its successor.
    app.execute_sql("update event set hash = (select hash from event where seq = 1) where seq = 3").await;
    let two = [3, 4].map(|seq| Finding::Altered { workspace_id: WORKSPACE, seq });
    assert_eq!(list_findings(&app.store).await, two);
}

#[apply(both_databases)]
async fn a_missing_event_is_found(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    record_events(&app.store, 5).await;
    app.execute_sql("delete from event where seq in (2, 3)").await;
    assert_eq!(list_findings(&app.store).await, [Finding::Missing { workspace_id: WORKSPACE, from: 2, to: 3 }]);
    app.execute_sql("delete from event where seq = 5").await;
    let missing = |from, to| Finding::Missing { workspace_id: WORKSPACE, from, to };
    assert_eq!(list_findings(&app.store).await, [missing(2, 3), missing(5, 5)]);
    app.execute_sql("delete from event").await;
    assert_eq!(list_findings(&app.store).await, [missing(1, 5)]);
}

#[apply(both_databases)]
async fn appended_events_and_deleted_chains_are_found(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    record_events(&app.store, 2).await;
    app.execute_sql("update event_chain set seq = 1").await;
    let found = list_findings(&app.store).await;
    assert!(found.contains(&Finding::BeyondEnd { workspace_id: WORKSPACE, seq: 2 }), "{found:?}");
    app.execute_sql("update event_chain set seq = 2, hash = anchor_hash").await;
    assert_eq!(list_findings(&app.store).await, [Finding::HeadMismatch { workspace_id: WORKSPACE }]);
    // An attacker truncates the chain and moves its anchor.
    app.execute_sql("update event_chain set hash = (select hash from event where seq = 2)").await;
    app.execute_sql("update event_chain set anchor_seq = 1, anchor_hash = (select hash from event where seq = 1)")
        .await;
    let found = list_findings(&app.store).await;
    assert!(found.contains(&Finding::UnrecordedPrune { workspace_id: WORKSPACE, seq: 1 }), "{found:?}");
    assert!(
        found.contains(&Finding::BeforeAnchor { workspace_id: WORKSPACE, count: 1 }),
        "a truncated event that still exists: {found:?}"
    );
    let chain = app.store.list_chains().await.unwrap()[0];
    assert_eq!(app.store.count_events_before_anchor(&chain).await.unwrap(), 1);
    app.execute_sql("delete from event_chain").await;
    assert_eq!(list_findings(&app.store).await, [Finding::MissingChain { workspace_id: WORKSPACE }]);
}

/// Allows updates of IDs, as the owner of the table may.
async fn allow_id_updates(app: &mut TestApp) {
    if app.database.engine == Engine::Postgres {
        app.execute_sql("alter table event alter column id set generated by default").await;
    }
}

/// Lists are ordered by ID, which the hash does not cover.
#[apply(both_databases)]
async fn reordered_events_are_found(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    allow_id_updates(&mut app).await;
    record_events(&app.store, 4).await;
    app.store
        .insert_workspace(&WorkspaceName::parse("Lab").unwrap(), &new_person("e@example.com"), &operator_mutation())
        .await
        .unwrap();
    assert_eq!(list_findings(&app.store).await, [], "another workspace may use IDs in between");
    let displaced = |seq| Finding::Reordered { workspace_id: WORKSPACE, seq };
    app.execute_sql("update event set id = 1000 where seq = 2 and workspace_id = 1").await;
    assert_eq!(list_findings(&app.store).await, [displaced(3)]);
    app.execute_sql("update event set id = 2 where seq = 2 and workspace_id = 1").await;
    for (one, two) in [(2, 3), (1, 4), (4, 5)] {
        let of = |seq| format!("(select id from event where workspace_id = 1 and seq = {seq})");
        let ids = app.query_text(&format!("select cast({} * 1000 + {} as text)", of(one), of(two))).await.unwrap();
        let ids: i64 = ids.parse().unwrap();
        let (first, second) = (ids / 1000, ids % 1000);
        let set = |seq, id| format!("update event set id = {id} where workspace_id = 1 and seq = {seq}");
        for statement in [set(one, 9_999), set(two, first), set(one, second)] {
            app.execute_sql(&statement).await;
        }
        let found = list_findings(&app.store).await;
        assert!(!found.is_empty() && found.iter().all(|found| matches!(found, Finding::Reordered { .. })), "{found:?}");
        for statement in [set(one, 9_999), set(two, second), set(one, first)] {
            app.execute_sql(&statement).await;
        }
        assert_eq!(list_findings(&app.store).await, []);
    }
}

#[apply(both_databases)]
async fn a_dismantled_chain_is_found(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    record_events(&app.store, 3).await;
    app.execute_sql("delete from event_chain").await;
    assert_eq!(list_findings(&app.store).await, [Finding::MissingChain { workspace_id: WORKSPACE }]);
    app.execute_sql("delete from event").await;
    assert_eq!(
        list_findings(&app.store).await,
        [Finding::MissingChain { workspace_id: WORKSPACE }],
        "also without an event"
    );
    // The next event starts another chain.
    record_events(&app.store, 1).await;
    assert_eq!(list_findings(&app.store).await, []);
}

#[apply(both_databases)]
async fn each_workspace_has_a_chain_from_its_creation(engine: Engine) {
    let app = TestApp::start(engine).await;
    assert_eq!(app.store.list_chains().await.unwrap().len(), 1, "without events there is one chain");
    assert_eq!(list_findings(&app.store).await, []);
    let name = WorkspaceName::parse("Lab").unwrap();
    app.store.insert_workspace(&name, &new_person("eve@example.com"), &operator_mutation()).await.unwrap();
    assert_eq!(app.store.list_chains().await.unwrap().len(), 2);
    assert!(app.store.list_workspaces_without_chain().await.unwrap().is_empty());
    app.store.delete_workspace(WorkspaceId::new(2), &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    assert_eq!((app.store.list_chains().await.unwrap().len(), list_findings(&app.store).await), (1, vec![]));
}

/// PostgreSQL stores microseconds, which no output shows.
#[tokio::test]
async fn a_sub_millisecond_time_change_is_found() {
    let mut app = TestApp::start(Engine::Postgres).await;
    record_events(&app.store, 3).await;
    for moved in [
        "occurred_at + interval '400 microseconds'",
        "occurred_at - interval '1 microsecond'",
        "'infinity'",
        "'-infinity'",
    ] {
        app.execute_sql("create table kept as select occurred_at from event where seq = 2").await;
        app.execute_sql(&format!("update event set occurred_at = {moved} where seq = 2")).await;
        assert_eq!(list_findings(&app.store).await, [Finding::Altered { workspace_id: WORKSPACE, seq: 2 }], "{moved}");
        app.execute_sql("update event set occurred_at = (select occurred_at from kept) where seq = 2; drop table kept")
            .await;
        assert_eq!(list_findings(&app.store).await, []);
    }
}

#[apply(both_databases)]
async fn a_chain_is_verified_while_it_grows(engine: Engine) {
    let app = TestApp::start(engine).await;
    record_events(&app.store, 1).await;
    let writing = async {
        for n in 2..60 {
            record_event(&app.store, n).await;
        }
    };
    let verifying = async {
        for _ in 0..20 {
            assert_eq!(list_findings(&app.store).await, []);
        }
    };
    tokio::join!(writing, verifying);
}

#[apply(both_databases)]
async fn pruned_chains_are_still_verified(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    let store = &app.store;
    record_events(store, 6).await;
    assert_eq!(
        store.prune_events(WORKSPACE, NOW, 10, &operator_mutation().context).await.unwrap(),
        0,
        "no event is old enough"
    );
    assert_eq!(
        store.prune_events(WorkspaceId::new(9), NOW, 10, &operator_mutation().context).await.unwrap(),
        0,
        "the workspace has no events"
    );
    assert_eq!(
        store.prune_events(WORKSPACE, NOW.plus_seconds(4), 2, &mutation_at(NOW.plus_seconds(9)).context).await.unwrap(),
        2
    );
    assert_eq!(
        store.prune_events(WORKSPACE, NOW.plus_seconds(4), 2, &mutation_at(NOW.plus_seconds(9)).context).await.unwrap(),
        1
    );
    let verdict = verify(store).await.unwrap();
    assert_eq!((verdict.events, verdict.findings), (5, vec![]), "events 4, 5, 6 and two that record the pruning");
    let newest = store.list_events(&EventFilter::all(WORKSPACE), EventPageStart::default(), 1).await.unwrap().remove(0);
    assert_eq!((newest.action, newest.target.as_str()), (Action::EventsPruned, "3"));
    app.execute_sql("update event set details = '{}' where seq = 8").await;
    let store = &app.store;
    let found = list_findings(store).await;
    assert!(found.contains(&Finding::UnrecordedPrune { workspace_id: WORKSPACE, seq: 3 }), "{found:?}");
    assert_eq!(
        store.prune_events(WORKSPACE, Timestamp::MAX, 10, &operator_mutation().context).await.unwrap(),
        5,
        "all events can be pruned"
    );
    assert_eq!(verify(store).await.unwrap().events, 1);
    assert_eq!(
        store.prune_events(WORKSPACE, Timestamp::MAX, 10, &operator_mutation().context).await.unwrap(),
        0,
        "the event that records the pruning is kept"
    );
    assert_eq!(list_findings(store).await, []);
}

#[apply(both_databases)]
async fn concurrent_writers_produce_one_chain(engine: Engine) {
    let app = TestApp::start(engine).await;
    let event = |n: i64| NewEvent {
        context: mutation_at(NOW.plus_seconds(n)).context,
        action: Action::LoginFailed,
        person_id: Some(ADMIN),
        target: n.to_string(),
        label: String::new(),
        details: Details::default().with("count", n),
    };
    let writers = (0..20).map(|n| {
        let store = app.store.clone();
        async move { store.insert_event(WORKSPACE, &event(n)).await.unwrap() }
    });
    futures_util::future::join_all(writers).await;
    let verdict = verify(&app.store).await.unwrap();
    assert_eq!((verdict.events, verdict.findings), (20, vec![]));
}
