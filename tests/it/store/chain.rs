//! The chain of events: whatever is altered, taken out, put in or cut off is found.

use tokenward::{
    domain::{
        event::{Action, Details},
        setting::{Key, Value},
        time::Timestamp,
    },
    service::audit::{Finding, verify},
    store::{EventFilter, EventStart, Store, Told},
};

use super::{NOW, at, by, new_person};
use crate::support::TestApp;

on_both!(
    what_was_left_alone_is_found_so,
    an_altered_event_is_found,
    a_missing_event_is_found,
    an_event_put_behind_the_end_and_a_chain_taken_away_are_found,
    an_event_from_nowhere_is_found,
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
