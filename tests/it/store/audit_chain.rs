//! The chain of events: whatever is altered, taken out, put in or cut off is found.

use tokenward::{
    domain::{
        event::{Action, Details},
        setting::{Key, Value},
        time::Timestamp,
        workspace::WorkspaceName,
    },
    service::audit_verify::{Finding, verify},
    store::{EventFilter, EventStart, Store, Told},
};

use super::{NOW, at, by, new_person};
use crate::support::{Engine, TestApp};

on_both!(
    what_was_left_alone_is_found_so,
    an_altered_event_is_found,
    a_missing_event_is_found,
    an_event_put_behind_the_end_and_a_chain_taken_away_are_found,
    an_event_from_nowhere_is_found,
    events_that_changed_places_are_found,
    events_from_before_the_chain_are_counted,
    a_chain_that_was_taken_apart_is_found,
    each_workspace_has_a_chain_from_its_beginning_on,
    a_chain_is_verified_while_it_grows,
    old_events_are_cut_off_and_the_rest_is_still_verified,
    writers_at_once_make_one_chain,
);

/// Sets a setting to 1, 2, 3 .. days, each a second after the other.
async fn happen(store: &Store, times: i64) {
    for n in 1..=times {
        happen_once(store, n).await;
    }
}

async fn happen_once(store: &Store, n: i64) {
    store.set_settings(1, &[(Key::MaxLifetimeDays, Value::Days(n))], &at(NOW.plus_seconds(n))).await.unwrap();
}

async fn findings(store: &Store) -> Vec<Finding> {
    verify(store).await.unwrap().findings
}

async fn what_was_left_alone_is_found_so(app: TestApp) {
    happen(&app.store, 3).await;
    app.store.insert_person(1, &new_person("ada@example.com"), &by()).await.unwrap().unwrap();
    let verdict = verify(&app.store).await.unwrap();
    assert_eq!((verdict.events, verdict.findings.len(), verdict.ends.len()), (4, 0, 1));
    let chain = app.store.list_chains().await.unwrap()[0];
    assert_eq!(verdict.ends[0], (1, 4, chain.hash));
    let entries = app.store.list_entries(1, 0, 9).await.unwrap();
    assert_eq!(entries.iter().map(|(entry, _)| entry.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(app.store.list_chainless().await.unwrap().is_empty());
}

async fn an_altered_event_is_found(mut app: TestApp) {
    happen(&app.store, 4).await;
    for column in ["actor", "action", "target", "label", "details", "user_agent", "request_id", "address"] {
        let before: Option<String> = app.look(&format!("select {column} from event where seq = 2")).await;
        app.tamper(&format!("update event set {column} = 'x' where seq = 2")).await;
        assert_eq!(findings(&app.store).await, [Finding::Altered { workspace_id: 1, seq: 2 }], "{column}");
        let back = before.map_or("null".to_owned(), |text| format!("'{text}'"));
        app.tamper(&format!("update event set {column} = {back} where seq = 2")).await;
        assert_eq!(findings(&app.store).await, [], "{column}");
    }
    app.tamper("update event set person_id = 7 where seq = 3").await;
    assert_eq!(findings(&app.store).await, [Finding::Altered { workspace_id: 1, seq: 3 }]);
    // Its hash taken away or taken from another: the event itself and the one behind it tell.
    app.tamper("update event set hash = (select hash from event where seq = 1) where seq = 3").await;
    let two = [3, 4].map(|seq| Finding::Altered { workspace_id: 1, seq });
    assert_eq!(findings(&app.store).await, two);
}

async fn a_missing_event_is_found(mut app: TestApp) {
    happen(&app.store, 5).await;
    app.tamper("delete from event where seq in (2, 3)").await;
    assert_eq!(findings(&app.store).await, [Finding::Missing { workspace_id: 1, from: 2, to: 3 }]);
    app.tamper("delete from event where seq = 5").await;
    let missing = |from, to| Finding::Missing { workspace_id: 1, from, to };
    assert_eq!(findings(&app.store).await, [missing(2, 3), missing(5, 5)]);
    app.tamper("delete from event").await;
    assert_eq!(findings(&app.store).await, [missing(1, 5)]);
}

async fn an_event_put_behind_the_end_and_a_chain_taken_away_are_found(mut app: TestApp) {
    happen(&app.store, 2).await;
    app.tamper("update event_chain set seq = 1").await;
    let found = findings(&app.store).await;
    assert!(found.contains(&Finding::Surplus { workspace_id: 1, seq: 2 }), "{found:?}");
    app.tamper("update event_chain set seq = 2, hash = anchor_hash").await;
    assert_eq!(findings(&app.store).await, [Finding::End { workspace_id: 1 }]);
    // Somebody cuts the chain and moves its beginning.
    app.tamper("update event_chain set hash = (select hash from event where seq = 2)").await;
    app.tamper("update event_chain set anchor_seq = 1, anchor_hash = (select hash from event where seq = 1)").await;
    let found = findings(&app.store).await;
    assert!(found.contains(&Finding::Cut { workspace_id: 1, seq: 1 }), "{found:?}");
    assert!(
        found.contains(&Finding::Outside { workspace_id: 1, count: 1 }),
        "what was cut off and is there: {found:?}"
    );
    app.tamper("delete from event_chain").await;
    assert_eq!(findings(&app.store).await, [Finding::Chainless { workspace_id: 1 }]);
}

async fn an_event_from_nowhere_is_found(mut app: TestApp) {
    happen(&app.store, 2).await;
    app.tamper(
        "insert into event (workspace_id, at, actor, action, target, label, details) \
         select workspace_id, at, 'me', 'token.deleted', '', '', '{}' from event where seq = 1",
    )
    .await;
    assert_eq!(findings(&app.store).await, [Finding::Outside { workspace_id: 1, count: 1 }]);
    let chain = app.store.list_chains().await.unwrap()[0];
    assert_eq!(app.store.count_outside(&chain).await.unwrap(), 1);
}

/// Lets ids be changed, as the owner of the table may.
async fn free_the_ids(app: &mut TestApp) {
    if app.database.engine == Engine::Postgres {
        app.tamper("alter table event alter column id set generated by default").await;
    }
}

/// Lists go by id, which the hash does not cover.
async fn events_that_changed_places_are_found(mut app: TestApp) {
    free_the_ids(&mut app).await;
    happen(&app.store, 4).await;
    app.store
        .insert_workspace(&WorkspaceName::parse("Lab").unwrap(), &new_person("e@example.com"), &by())
        .await
        .unwrap();
    assert_eq!(findings(&app.store).await, [], "ids go on in another workspace meanwhile");
    let displaced = |seq| Finding::Displaced { workspace_id: 1, seq };
    app.tamper("update event set id = 1000 where seq = 2 and workspace_id = 1").await;
    assert_eq!(findings(&app.store).await, [displaced(3)]);
    app.tamper("update event set id = 2 where seq = 2 and workspace_id = 1").await;
    for (one, two) in [(2, 3), (1, 4), (4, 5)] {
        let of = |seq| format!("(select id from event where workspace_id = 1 and seq = {seq})");
        let ids = app.look(&format!("select cast({} * 1000 + {} as text)", of(one), of(two))).await.unwrap();
        let ids: i64 = ids.parse().unwrap();
        let (first, second) = (ids / 1000, ids % 1000);
        let set = |seq, id| format!("update event set id = {id} where workspace_id = 1 and seq = {seq}");
        for statement in [set(one, 9_999), set(two, first), set(one, second)] {
            app.tamper(&statement).await;
        }
        let found = findings(&app.store).await;
        assert!(!found.is_empty() && found.iter().all(|found| matches!(found, Finding::Displaced { .. })), "{found:?}");
        for statement in [set(one, 9_999), set(two, second), set(one, first)] {
            app.tamper(&statement).await;
        }
        assert_eq!(findings(&app.store).await, []);
    }
}

/// As a database has them that was there before its events were chained.
async fn events_from_before_the_chain_are_counted(mut app: TestApp) {
    free_the_ids(&mut app).await;
    let older = "insert into event (workspace_id, at, actor, action, target, label, details) \
         select 1, at, 'me', 'token.deleted', '', '', '{}' from event where seq = 1";
    happen(&app.store, 3).await;
    for _ in 0..3 {
        app.tamper(older).await;
    }
    assert_eq!(findings(&app.store).await, [Finding::Outside { workspace_id: 1, count: 3 }]);
    // Moved to before the first event of the chain they look as if they were older.
    app.tamper("update event set id = id - 100 where seq is null").await;
    assert_eq!(findings(&app.store).await, [Finding::Older { workspace_id: 1, found: 3, expected: 0 }]);
    // What the migration writes where they are.
    let begin =
        "update event_chain set unchained_count = 3, unchained_id = (select max(id) from event where seq is null)";
    app.tamper(begin).await;
    let verdict = verify(&app.store).await.unwrap();
    assert_eq!((verdict.events, verdict.findings), (6, vec![]));
    let chain = app.store.list_chains().await.unwrap()[0];
    assert_eq!((app.store.count_unchained(&chain).await.unwrap(), chain.unchained_count), (3, 3));
    app.tamper("delete from event where id = (select max(id) from event where seq is null)").await;
    assert_eq!(findings(&app.store).await, [Finding::Older { workspace_id: 1, found: 2, expected: 3 }]);
    app.tamper("update event_chain set unchained_count = 2").await;
    assert_eq!(app.store.prune_events(1, NOW.plus_seconds(2), 10, &at(NOW.plus_seconds(9)).act).await.unwrap(), 3);
    assert_eq!(findings(&app.store).await, [], "those that are pruned are counted off");
    assert_eq!(app.store.list_chains().await.unwrap()[0].unchained_count, 0);
}

async fn a_chain_that_was_taken_apart_is_found(mut app: TestApp) {
    free_the_ids(&mut app).await;
    happen(&app.store, 3).await;
    app.tamper("update event set seq = null").await;
    let found = findings(&app.store).await;
    assert!(found.contains(&Finding::Missing { workspace_id: 1, from: 1, to: 3 }), "{found:?}");
    app.tamper("delete from event_chain").await;
    assert_eq!(findings(&app.store).await, [Finding::Chainless { workspace_id: 1 }]);
    app.tamper("delete from event").await;
    assert_eq!(findings(&app.store).await, [Finding::Chainless { workspace_id: 1 }], "also without an event");
    // The next event begins another chain; what is left of the first is none of it.
    happen(&app.store, 1).await;
    assert_eq!(findings(&app.store).await, []);
    app.tamper(
        "insert into event (workspace_id, at, actor, action, target, label, details) \
         select 1, at, 'me', 'token.deleted', '', '', '{}' from event where seq = 1",
    )
    .await;
    app.tamper("update event set id = id - 100 where seq is null").await;
    assert_eq!(findings(&app.store).await, [Finding::Older { workspace_id: 1, found: 1, expected: 0 }]);
}

async fn each_workspace_has_a_chain_from_its_beginning_on(app: TestApp) {
    assert_eq!(app.store.list_chains().await.unwrap().len(), 1, "nothing has happened yet");
    assert_eq!(findings(&app.store).await, []);
    let name = WorkspaceName::parse("Lab").unwrap();
    app.store.insert_workspace(&name, &new_person("eve@example.com"), &by()).await.unwrap();
    assert_eq!(app.store.list_chains().await.unwrap().len(), 2);
    assert!(app.store.list_chainless().await.unwrap().is_empty());
    app.store.delete_workspace(2, &by()).await.unwrap();
    assert_eq!((app.store.list_chains().await.unwrap().len(), findings(&app.store).await), (1, vec![]));
}

/// PostgreSQL counts microseconds, of which nothing is shown.
#[tokio::test]
async fn a_time_that_was_moved_within_its_millisecond_is_found() {
    let mut app = TestApp::start(Engine::Postgres).await;
    happen(&app.store, 3).await;
    for moved in ["at + interval '400 microseconds'", "at - interval '1 microsecond'", "'infinity'", "'-infinity'"] {
        app.tamper("create table kept as select at from event where seq = 2").await;
        app.tamper(&format!("update event set at = {moved} where seq = 2")).await;
        assert_eq!(findings(&app.store).await, [Finding::Altered { workspace_id: 1, seq: 2 }], "{moved}");
        app.tamper("update event set at = (select at from kept) where seq = 2; drop table kept").await;
        assert_eq!(findings(&app.store).await, []);
    }
}

async fn a_chain_is_verified_while_it_grows(app: TestApp) {
    happen(&app.store, 1).await;
    let writing = async {
        for n in 2..60 {
            happen_once(&app.store, n).await;
        }
    };
    let verifying = async {
        for _ in 0..20 {
            assert_eq!(findings(&app.store).await, []);
        }
    };
    tokio::join!(writing, verifying);
}

async fn old_events_are_cut_off_and_the_rest_is_still_verified(mut app: TestApp) {
    let store = &app.store;
    happen(store, 6).await;
    assert_eq!(store.prune_events(1, NOW, 10, &by().act).await.unwrap(), 0, "nothing is old");
    assert_eq!(store.prune_events(9, NOW, 10, &by().act).await.unwrap(), 0, "nothing is there");
    assert_eq!(store.prune_events(1, NOW.plus_seconds(4), 2, &at(NOW.plus_seconds(9)).act).await.unwrap(), 2);
    assert_eq!(store.prune_events(1, NOW.plus_seconds(4), 2, &at(NOW.plus_seconds(9)).act).await.unwrap(), 1);
    let verdict = verify(store).await.unwrap();
    assert_eq!((verdict.events, verdict.findings), (5, vec![]), "4, 5, 6 and two that tell of the cuts");
    let newest = store
        .list_events(&EventFilter { workspace_id: 1, ..EventFilter::default() }, EventStart::default(), 1)
        .await
        .unwrap()
        .remove(0);
    assert_eq!((newest.action, newest.target.as_str()), (Action::EventsPruned, "3"));
    app.tamper("update event set details = '{}' where seq = 8").await;
    let store = &app.store;
    let found = findings(store).await;
    assert!(found.contains(&Finding::Cut { workspace_id: 1, seq: 3 }), "{found:?}");
    assert_eq!(store.prune_events(1, Timestamp::LAST, 10, &by().act).await.unwrap(), 5, "also all of them");
    assert_eq!(verify(store).await.unwrap().events, 1);
    assert_eq!(store.prune_events(1, Timestamp::LAST, 10, &by().act).await.unwrap(), 0, "what tells of that stays");
    assert_eq!(findings(store).await, []);
}

async fn writers_at_once_make_one_chain(app: TestApp) {
    let told = |n: i64| Told {
        act: at(NOW.plus_seconds(n)).act,
        action: Action::PasswordRefused,
        person_id: Some(1),
        target: n.to_string(),
        label: String::new(),
        details: Details::default().with("count", n),
    };
    let writers = (0..20).map(|n| {
        let store = app.store.clone();
        async move { store.record(1, &told(n)).await.unwrap() }
    });
    futures_util::future::join_all(writers).await;
    let verdict = verify(&app.store).await.unwrap();
    assert_eq!((verdict.events, verdict.findings), (20, vec![]));
}
