//! What happened: every change is written down with who did it, and nothing that did not happen.

use tokenward::{
    domain::{
        authority::Mutation,
        event::{Act, Action, Event, Origin},
        person::PersonName,
        setting::{Key, Value},
        token::Lifetime,
        workspace::WorkspaceName,
    },
    store::{EventFilter, EventStart, Owner, PersonChange, Store},
};
use uuid::Uuid;

use super::{DEFAULTS, NOW, by, issue, new_person, new_token};
use crate::support::TestApp;

on_both!(
    every_change_is_written_down,
    what_was_not_done_is_not_written_down,
    events_are_listed_both_ways_for_a_workspace_and_for_a_person,
    the_last_change_of_a_setting_is_found,
);

fn all_of(workspace_id: i64) -> EventFilter {
    EventFilter { workspace_id, ..EventFilter::default() }
}

async fn events(store: &Store) -> Vec<Event> {
    store.list_events(&all_of(1), EventStart::default(), 100).await.unwrap()
}

/// What was done last: the action, whom it is about, what the target was called, and more.
async fn last(store: &Store) -> (Action, Option<i64>, String, String) {
    let event = events(store).await.remove(0);
    assert_eq!(event.act.at, NOW);
    (event.action, event.person_id, event.label, event.details.to_text())
}

fn told(
    action: Action,
    person_id: impl Into<Option<i64>>,
    label: &str,
    details: &str,
) -> (Action, Option<i64>, String, String) {
    (action, person_id.into(), label.to_owned(), details.to_owned())
}

async fn every_change_is_written_down(app: TestApp) {
    let store = &app.store;
    let ada = store.insert_person(1, &new_person("ada@example.com"), &by()).await.unwrap().unwrap().id;
    assert_eq!(last(store).await, told(Action::PersonAdded, ada, "ada@example.com", r#"{"role":"user"}"#));
    store.set_settings(1, &[(Key::AllowUsers, Value::Switch(true))], &by()).await.unwrap();
    assert_eq!(
        last(store).await,
        told(Action::SettingChanged, None, Key::AllowUsers.label(), r#"{"from":"default","to":"true"}"#)
    );
    store.reset_settings(1, &[Key::AllowUsers], &by()).await.unwrap();
    assert_eq!(
        last(store).await,
        told(Action::SettingChanged, None, Key::AllowUsers.label(), r#"{"from":"true","to":"default"}"#)
    );
    let (_, token_id) = issue(store, 1, Lifetime::Forever, NOW).await;
    let mut new = new_token(1, Lifetime::Forever, NOW).1;
    new.description = "laptop".to_owned();
    new.mutation.act.token_id = Some(token_id);
    store.issue_token(&new, DEFAULTS).await.unwrap().unwrap();
    assert_eq!(last(store).await, told(Action::TokenCreated, 1, &new.hint, r#"{"by":"token","description":"laptop"}"#));
    assert_eq!(events(store).await[0].act, Act { token_id: Some(token_id), ..by().act });
    store.delete_token(Owner::Workspace(1), new.id, &by()).await.unwrap();
    assert_eq!(last(store).await, told(Action::TokenDeleted, 1, &new.hint, r#"{"description":"laptop"}"#));
    assert_eq!(events(store).await[0].target, new.id.to_string());
    let (value, _) = issue(store, 1, Lifetime::Forever, NOW).await;
    store
        .delete_by_digest(&value.digest(), &Mutation::without_caller(Act::of_holder(NOW, Origin::default())))
        .await
        .unwrap();
    assert_eq!((events(store).await[0].action, events(store).await[0].act.person_id), (Action::TokenDeleted, None));
    issue(store, 1, Lifetime::Forever, NOW).await;
    store.kill_tokens(1, 1, &by()).await.unwrap();
    assert_eq!(last(store).await, told(Action::TokensDeleted, 1, "2 tokens", r#"{"count":2}"#));
    let change = PersonChange {
        name: PersonName::parse("Ada L.").ok(),
        is_disabled: Some(true),
        password_hash: Some("another".into()),
        is_admin: Some(true),
        ..PersonChange::default()
    };
    store.update_person(1, ada, &change, &by()).await.unwrap();
    let three: Vec<_> =
        events(store).await.into_iter().take(3).map(|event| (event.action, event.details.to_text())).collect();
    let expected = [
        (Action::PersonChanged, r#"{"name":"Ada L.","role":"administrator"}"#.to_owned()),
        (Action::PersonDisabled, "{}".to_owned()),
        (Action::PasswordChanged, "{}".to_owned()),
    ];
    assert_eq!(three, expected);
    store.delete_person(1, ada, &by()).await.unwrap();
    assert_eq!(last(store).await, told(Action::PersonRemoved, ada, "ada@example.com", "{}"));
    store.rename_workspace(1, &WorkspaceName::parse("Lab").unwrap(), &by()).await.unwrap();
    assert_eq!(last(store).await, told(Action::WorkspaceRenamed, None, "Lab", "{}"));
    store.insert_workspace(&WorkspaceName::parse("Two").unwrap(), &new_person("eve@example.com"), &by()).await.unwrap();
    assert_eq!(last(store).await, told(Action::WorkspaceCreated, None, "Two", "{}"));
    let other = store.list_events(&all_of(2), EventStart::default(), 9).await.unwrap();
    assert_eq!(other.iter().map(|event| event.action).collect::<Vec<_>>(), [Action::PersonAdded], "its own");
    store.delete_workspace(2, &by()).await.unwrap();
    assert_eq!(last(store).await, told(Action::WorkspaceRemoved, None, "Two", "{}"));
}

async fn what_was_not_done_is_not_written_down(app: TestApp) {
    let store = &app.store;
    assert!(store.insert_person(1, &new_person("admin@example.com"), &by()).await.is_err());
    let demote = PersonChange { is_admin: Some(false), ..PersonChange::default() };
    store.update_person(1, 1, &demote, &by()).await.unwrap();
    store.delete_person(1, 1, &by()).await.unwrap();
    store.reset_settings(1, &[Key::AllowUsers], &by()).await.unwrap();
    store.delete_token(Owner::Workspace(1), Uuid::from_u128(7), &by()).await.unwrap();
    store.kill_tokens(1, 1, &by()).await.unwrap();
    store.rename_workspace(9, &WorkspaceName::parse("Lab").unwrap(), &by()).await.unwrap();
    assert_eq!(events(store).await, []);
}

async fn events_are_listed_both_ways_for_a_workspace_and_for_a_person(app: TestApp) {
    let store = &app.store;
    for email in ["a@example.com", "b@example.com", "c@example.com"] {
        store.insert_person(1, &new_person(email), &by()).await.unwrap().unwrap();
    }
    let all = events(store).await;
    assert_eq!(
        all.iter().map(|event| event.label.as_str()).collect::<Vec<_>>(),
        ["c@example.com", "b@example.com", "a@example.com"]
    );
    let part = |start: EventStart| async move { store.list_events(&all_of(1), start, 1).await.unwrap() };
    assert_eq!(part(EventStart::default()).await, all[..1]);
    assert_eq!(part(EventStart::After(all[0].id)).await, all[1..2]);
    assert_eq!(part(EventStart::Before(all[2].id)).await, all[1..2]);
    let own = EventFilter { person_id: all[1].person_id, ..all_of(1) };
    assert_eq!(store.list_events(&own, EventStart::default(), 9).await.unwrap(), all[1..2]);
    assert_eq!(store.list_events(&own, EventStart::Before(0), 9).await.unwrap(), all[1..2]);
    let elsewhere = EventFilter { workspace_id: 2, ..own.clone() };
    assert_eq!(store.list_events(&elsewhere, EventStart::default(), 9).await.unwrap(), []);
}

async fn the_last_change_of_a_setting_is_found(app: TestApp) {
    let store = &app.store;
    assert_eq!(store.find_setting_change(1, Key::Enabled).await.unwrap(), None);
    for days in [1, 2] {
        store.set_settings(1, &[(Key::MaxLifetimeDays, Value::Days(days))], &by()).await.unwrap();
    }
    store.set_settings(1, &[(Key::Enabled, Value::Switch(true))], &by()).await.unwrap();
    let found = store.find_setting_change(1, Key::MaxLifetimeDays).await.unwrap().unwrap();
    assert_eq!((found.details.to_text().as_str(), found.act), (r#"{"from":"1","to":"2"}"#, by().act));
}
