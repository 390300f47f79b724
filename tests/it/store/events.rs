//! Events: every change is recorded with its actor, and a rejected change is not.

use rstest::rstest;
use rstest_reuse::apply;
use tokenward::{
    domain::{
        authority::Mutation,
        event::{Action, AuditContext, Event, RequestContext},
        id::{PersonId, WorkspaceId},
        person::PersonName,
        setting::{SettingKey, SettingValue},
        token::Lifetime,
        workspace::WorkspaceName,
    },
    store::{EventFilter, EventPageStart, OwnerScope, PersonChange, Store},
};
use uuid::Uuid;

use super::{ADMIN, DEFAULT_SETTINGS, NOW, NoCache, WORKSPACE, issue_token, new_person, new_token, operator_mutation};
use crate::support::{Engine, TestApp, both_databases};

fn workspace_filter(workspace_id: WorkspaceId) -> EventFilter {
    EventFilter::all(workspace_id)
}

async fn list_events(store: &Store) -> Vec<Event> {
    store.list_events(&workspace_filter(WORKSPACE), EventPageStart::default(), 100).await.unwrap()
}

/// Returns the latest event: action, person, label and details.
async fn last_event(store: &Store) -> (Action, Option<PersonId>, String, String) {
    let event = list_events(store).await.remove(0);
    assert_eq!(event.context.at, NOW);
    (event.action, event.person_id, event.label, event.details.to_json_string())
}

fn expected_event(
    action: Action,
    person_id: impl Into<Option<PersonId>>,
    label: &str,
    details: &str,
) -> (Action, Option<PersonId>, String, String) {
    (action, person_id.into(), label.to_owned(), details.to_owned())
}

#[apply(both_databases)]
async fn every_change_is_recorded(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada =
        store.insert_person(WORKSPACE, &new_person("ada@example.com"), &operator_mutation()).await.unwrap().unwrap().id;
    assert_eq!(
        last_event(store).await,
        expected_event(Action::PersonAdded, ada, "ada@example.com", r#"{"role":"user"}"#)
    );
    store
        .set_settings(WORKSPACE, &[(SettingKey::AllowUsers, SettingValue::Switch(true))], &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    assert_eq!(
        last_event(store).await,
        expected_event(
            Action::SettingChanged,
            None,
            SettingKey::AllowUsers.label(),
            r#"{"from":"default","to":"true"}"#
        )
    );
    store
        .reset_settings(WORKSPACE, &[SettingKey::AllowUsers], &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    assert_eq!(
        last_event(store).await,
        expected_event(
            Action::SettingChanged,
            None,
            SettingKey::AllowUsers.label(),
            r#"{"from":"true","to":"default"}"#
        )
    );
    let (_, token_id) = issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    let mut new = new_token(ADMIN, Lifetime::Forever, NOW).1;
    new.description = Some("laptop".to_owned());
    new.mutation.context.token_id = Some(token_id);
    store.issue_token(&new, DEFAULT_SETTINGS).await.unwrap().wait_for(&NoCache).await.unwrap();
    assert_eq!(
        last_event(store).await,
        expected_event(Action::TokenCreated, ADMIN, &new.display_prefix, r#"{"by":"token","description":"laptop"}"#)
    );
    assert_eq!(
        list_events(store).await[0].context,
        AuditContext { token_id: Some(token_id), ..operator_mutation().context }
    );
    store
        .delete_token(OwnerScope::Workspace(WORKSPACE), new.id, &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    assert_eq!(
        last_event(store).await,
        expected_event(Action::TokenDeleted, ADMIN, &new.display_prefix, r#"{"description":"laptop"}"#)
    );
    assert_eq!(list_events(store).await[0].target, new.id.to_string());
    let (value, _) = issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    store
        .delete_by_digest(
            &value.digest(),
            &Mutation::without_caller(AuditContext::for_token_holder(NOW, RequestContext::default())),
        )
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    assert_eq!(
        (list_events(store).await[0].action, list_events(store).await[0].context.actor_id),
        (Action::TokenDeleted, None)
    );
    issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    store.revoke_all_tokens(WORKSPACE, ADMIN, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    assert_eq!(last_event(store).await, expected_event(Action::TokensDeleted, ADMIN, "2 tokens", r#"{"count":2}"#));
    let change = PersonChange {
        name: PersonName::parse("Ada L.").ok(),
        is_disabled: Some(true),
        password_hash: Some("another".into()),
        is_admin: Some(true),
        ..PersonChange::default()
    };
    store.update_person(WORKSPACE, ada, &change, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    let three: Vec<_> = list_events(store)
        .await
        .into_iter()
        .take(3)
        .map(|event| (event.action, event.details.to_json_string()))
        .collect();
    let expected = [
        (Action::PersonChanged, r#"{"name":"Ada L.","role":"administrator"}"#.to_owned()),
        (Action::PersonDisabled, "{}".to_owned()),
        (Action::PasswordChanged, "{}".to_owned()),
    ];
    assert_eq!(three, expected);
    store.delete_person(WORKSPACE, ada, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    assert_eq!(last_event(store).await, expected_event(Action::PersonRemoved, ada, "ada@example.com", "{}"));
    store.rename_workspace(WORKSPACE, &WorkspaceName::parse("Lab").unwrap(), &operator_mutation()).await.unwrap();
    assert_eq!(last_event(store).await, expected_event(Action::WorkspaceRenamed, None, "Lab", "{}"));
    store
        .insert_workspace(&WorkspaceName::parse("Two").unwrap(), &new_person("eve@example.com"), &operator_mutation())
        .await
        .unwrap();
    assert_eq!(last_event(store).await, expected_event(Action::WorkspaceCreated, None, "Two", "{}"));
    let other = store.list_events(&workspace_filter(WorkspaceId::new(2)), EventPageStart::default(), 9).await.unwrap();
    assert_eq!(
        other.iter().map(|event| event.action).collect::<Vec<_>>(),
        [Action::PersonAdded],
        "the new workspace has its own event"
    );
    store.delete_workspace(WorkspaceId::new(2), &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    assert_eq!(last_event(store).await, expected_event(Action::WorkspaceRemoved, None, "Two", "{}"));
}

#[apply(both_databases)]
async fn rejected_changes_are_not_recorded(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    assert!(store.insert_person(WORKSPACE, &new_person("admin@example.com"), &operator_mutation()).await.is_err());
    let demote = PersonChange { is_admin: Some(false), ..PersonChange::default() };
    store.update_person(WORKSPACE, ADMIN, &demote, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    store.delete_person(WORKSPACE, ADMIN, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    store
        .reset_settings(WORKSPACE, &[SettingKey::AllowUsers], &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    store
        .delete_token(OwnerScope::Workspace(WORKSPACE), Uuid::from_u128(7), &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    store.revoke_all_tokens(WORKSPACE, ADMIN, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    store
        .rename_workspace(WorkspaceId::new(9), &WorkspaceName::parse("Lab").unwrap(), &operator_mutation())
        .await
        .unwrap();
    assert_eq!(list_events(store).await, []);
}

#[apply(both_databases)]
async fn events_are_listed_in_both_directions_by_workspace_and_person(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    for email in ["a@example.com", "b@example.com", "c@example.com"] {
        store.insert_person(WORKSPACE, &new_person(email), &operator_mutation()).await.unwrap().unwrap();
    }
    let all = list_events(store).await;
    assert_eq!(
        all.iter().map(|event| event.label.as_str()).collect::<Vec<_>>(),
        ["c@example.com", "b@example.com", "a@example.com"]
    );
    let part =
        |start: EventPageStart| async move { store.list_events(&workspace_filter(WORKSPACE), start, 1).await.unwrap() };
    assert_eq!(part(EventPageStart::default()).await, all[..1]);
    assert_eq!(part(EventPageStart::After(all[0].id)).await, all[1..2]);
    assert_eq!(part(EventPageStart::Before(all[2].id)).await, all[1..2]);
    let own = EventFilter { person_id: all[1].person_id, ..workspace_filter(WORKSPACE) };
    assert_eq!(store.list_events(&own, EventPageStart::default(), 9).await.unwrap(), all[1..2]);
    assert_eq!(store.list_events(&own, EventPageStart::Before(0), 9).await.unwrap(), all[1..2]);
    let elsewhere = EventFilter { workspace_id: WorkspaceId::new(2), ..own.clone() };
    assert_eq!(store.list_events(&elsewhere, EventPageStart::default(), 9).await.unwrap(), []);
}

#[apply(both_databases)]
async fn events_of_a_token_are_those_about_it_and_with_it(engine: Engine) {
    let app = TestApp::start(engine).await;
    let parent = app.admin().create_token().await;
    app.advance_seconds(1);
    app.admin().create_token().await;
    let bearer = app.client_with_authorization(&[&format!("Bearer {}", parent.value)]);
    let child = bearer.post("/v4/apiAccessTokens", &crate::support::one_hour_token()).await.expect(201);
    let id = |text: &str| Some(Uuid::try_parse(text).unwrap());
    let targets = async |token_id: Option<Uuid>| {
        let filter = EventFilter { token_id, action: Some(Action::TokenCreated), ..workspace_filter(WORKSPACE) };
        let events = app.store.list_events(&filter, EventPageStart::default(), 9).await.unwrap();
        events.into_iter().map(|event| event.target).collect::<Vec<_>>()
    };
    let child_id = child.json["tokenInfo"]["tokenId"].as_str().unwrap();
    assert_eq!(targets(id(&parent.token_id)).await, [child_id, parent.token_id.as_str()]);
    assert_eq!(targets(id(child_id)).await, [child_id]);
    assert_eq!(targets(None).await.len(), 3);
}

#[apply(both_databases)]
async fn the_last_change_of_a_setting_is_found(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    assert_eq!(store.find_last_setting_change(WORKSPACE, SettingKey::Enabled).await.unwrap(), None);
    for days in [1, 2] {
        store
            .set_settings(WORKSPACE, &[(SettingKey::MaxLifetimeDays, SettingValue::Days(days))], &operator_mutation())
            .await
            .unwrap()
            .wait_for(&NoCache)
            .await;
    }
    store
        .set_settings(WORKSPACE, &[(SettingKey::Enabled, SettingValue::Switch(true))], &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    let found = store.find_last_setting_change(WORKSPACE, SettingKey::MaxLifetimeDays).await.unwrap().unwrap();
    assert_eq!(
        (found.details.to_json_string().as_str(), found.context),
        (r#"{"from":"1","to":"2"}"#, operator_mutation().context)
    );
}
