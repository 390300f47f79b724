//! Warnings of tokens that expire soon.

use rstest::rstest;
use rstest_reuse::apply;
use tokenward::{
    domain::{
        event::{Action, AuditContext},
        expiry_warning::ExpiryWarningDays,
        id::PersonId,
        setting::{SettingKey, SettingValue},
        token::Lifetime,
    },
    store::{EventFilter, EventPageStart, ExpiringToken, WarningQuery},
};

use super::{ADMIN, NOW, NoCache, WORKSPACE, issue_token, operator_mutation};
use crate::support::{Engine, TestApp, both_databases};

const DAY: i64 = 86_400;

#[apply(both_databases)]
async fn a_warning_is_listed_until_it_is_recorded(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let (_, soon) = issue_token(store, ADMIN, Lifetime::Seconds(31 * DAY), NOW).await;
    issue_token(store, ADMIN, Lifetime::Seconds(30 * DAY), NOW).await;
    issue_token(store, ADMIN, Lifetime::Seconds(90 * DAY), NOW).await;
    issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    let now = NOW.plus_seconds(DAY);
    let query = WarningQuery { workspace_id: None, days: 30, more_than_days: 7, now };
    let ids = |tokens: &[ExpiringToken]| tokens.iter().map(|token| token.id).collect::<Vec<_>>();
    let found = store.list_expiring_tokens(&query, 10).await.unwrap();
    assert_eq!(ids(&found), [soon]);
    let of_workspace = WarningQuery { workspace_id: Some(WORKSPACE), ..query };
    assert_eq!(store.list_expiring_tokens(&of_workspace, 10).await.unwrap(), found);
    let early = WarningQuery { now: now.plus_seconds(-1), ..query };
    assert!(store.list_expiring_tokens(&early, 10).await.unwrap().is_empty());
    let context = AuditContext::for_system(now);
    assert!(store.warn_of_expiry(&found[0], 30, &context).await.unwrap());
    assert!(!store.warn_of_expiry(&found[0], 30, &context).await.unwrap());
    assert!(store.list_expiring_tokens(&query, 10).await.unwrap().is_empty());
    let events = store.list_events(&EventFilter::all(WORKSPACE), EventPageStart::default(), 1).await.unwrap();
    assert_eq!((events[0].action, &events[0].target), (Action::TokenExpiring, &soon.to_string()));
    let deleted = ExpiringToken { id: uuid::Uuid::from_bytes([7; 16]), ..found[0].clone() };
    assert!(!store.warn_of_expiry(&deleted, 30, &context).await.unwrap());
}

#[apply(both_databases)]
async fn a_workspace_with_days_of_its_own_is_not_in_the_default_list(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    issue_token(store, ADMIN, Lifetime::Seconds(31 * DAY), NOW).await;
    let days = SettingValue::DayList(ExpiryWarningDays::new(&[30]).unwrap());
    let key = SettingKey::ExpiryWarningDays;
    assert!(store.list_setting_overrides(key).await.unwrap().is_empty());
    store.set_settings(WORKSPACE, &[(key, days)], &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    assert_eq!(store.list_setting_overrides(key).await.unwrap(), [(WORKSPACE, "30".to_owned())]);
    let query = WarningQuery { workspace_id: None, days: 30, more_than_days: 0, now: NOW.plus_seconds(2 * DAY) };
    assert!(store.list_expiring_tokens(&query, 10).await.unwrap().is_empty());
    let of_workspace = WarningQuery { workspace_id: Some(WORKSPACE), ..query };
    assert_eq!(store.list_expiring_tokens(&of_workspace, 10).await.unwrap().len(), 1);
}

#[apply(both_databases)]
async fn the_next_expiry_of_a_person_is_found_within_a_period_shorter_than_the_lifetime(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    for lifetime in [Lifetime::Seconds(8 * DAY), Lifetime::Seconds(7 * DAY), Lifetime::Forever] {
        issue_token(store, ADMIN, lifetime, NOW).await;
    }
    let (_, first) = issue_token(store, ADMIN, Lifetime::Seconds(8 * DAY - 1), NOW).await;
    let found = async |after: i64| {
        let next = store.find_next_expiry(WORKSPACE, ADMIN, NOW.plus_seconds(after), 7).await.unwrap();
        next.map(|next| (next.id == first, next.count))
    };
    assert_eq!(found(DAY - 2).await, None);
    assert_eq!(found(DAY - 1).await, Some((true, 1)));
    assert_eq!(found(DAY).await, Some((true, 2)));
    assert_eq!(found(8 * DAY - 1).await, Some((false, 1)));
    assert_eq!(found(8 * DAY).await, None);
    let other = store.find_next_expiry(WORKSPACE, PersonId::new(2), NOW.plus_seconds(DAY), 7).await.unwrap();
    assert_eq!(other, None);
}
