//! Issuing, finding, listing and deleting tokens.

use std::collections::HashSet;

use rstest::rstest;
use rstest_reuse::apply;
use tokenward::domain::id::PersonId;
use tokenward::domain::id::WorkspaceId;
use tokenward::domain::random::Random;
use tokenward::domain::setting::SettingKey;
use tokenward::domain::setting::SettingValue;
use tokenward::domain::setting::Settings;
use tokenward::domain::token::IssueError;
use tokenward::domain::token::Lifetime;
use tokenward::domain::token::TokenStatus;
use tokenward::domain::token_filter::TokenFilter;
use tokenward::domain::token_use::TokenUse;
use tokenward::store::OwnerScope;
use tokenward::store::TokenListQuery;
use tokenward_guard::token_format::TokenFormat;
use uuid::Uuid;

use super::{
    ADMIN, ALL_TOKENS, DEFAULT_SETTINGS, NOW, NoCache, WORKSPACE, issue_token, new_person, new_token,
    operator_mutation, token_use,
};
use crate::support::Engine;
use crate::support::TestApp;
use crate::support::both_databases;

#[apply(both_databases)]
async fn a_token_is_issued_by_the_rules_in_force(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada =
        store.insert_person(WORKSPACE, &new_person("ada@example.com"), &operator_mutation()).await.unwrap().unwrap();
    let attempt = |person_id: PersonId, lifetime: Lifetime| async move {
        store
            .issue_token(&new_token(person_id, lifetime, NOW).1, DEFAULT_SETTINGS)
            .await
            .unwrap()
            .wait_for(&NoCache)
            .await
    };
    assert!(attempt(ADMIN, Lifetime::Forever).await.is_ok());
    assert_eq!(attempt(ada.id, Lifetime::Forever).await, Err(IssueError::AdministratorsOnly));
    assert_eq!(attempt(PersonId::new(99), Lifetime::Forever).await, Err(IssueError::PersonUnavailable));
    store
        .set_settings(WORKSPACE, &[(SettingKey::MaxLifetimeDays, SettingValue::Days(1))], &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    assert!(matches!(attempt(ADMIN, Lifetime::Forever).await, Err(IssueError::Lifetime(_))));
    assert!(attempt(ADMIN, Lifetime::Seconds(86_400)).await.is_ok());
    store
        .set_settings(WORKSPACE, &[(SettingKey::Enabled, SettingValue::Switch(false))], &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    assert_eq!(attempt(ADMIN, Lifetime::Seconds(1)).await, Err(IssueError::FeatureOff));
    assert_eq!(store.count_people_and_tokens(WORKSPACE).await.unwrap().1, 2);
    store
        .reset_settings(WORKSPACE, &[SettingKey::Enabled], &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    let off_by_default = Settings::defaults(false);
    let result = store
        .issue_token(&new_token(ADMIN, Lifetime::Seconds(1), NOW).1, &off_by_default)
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    assert_eq!(result, Err(IssueError::FeatureOff));
}

#[apply(both_databases)]
async fn a_digest_finds_token_owner_and_setting(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let (value, id) = issue_token(store, ADMIN, Lifetime::Seconds(60), NOW).await;
    let find = |digest| async move {
        let found = store.find_by_digests(&[digest]).await.unwrap();
        assert!(found.iter().all(|(of, _)| *of == digest) && found.len() < 2);
        found.into_iter().next().map(|(_, found)| found)
    };
    let found = find(value.digest()).await.unwrap();
    assert_eq!((found.token_id, found.ends_at, found.enabled), (id, Some(NOW.plus_seconds(60)), None));
    assert_eq!((found.person_id, found.workspace_id, found.email.as_str()), (ADMIN, WORKSPACE, "admin@example.com"));
    assert!(found.is_admin && found.is_platform_admin && !found.is_disabled);
    store
        .set_settings(WORKSPACE, &[(SettingKey::Enabled, SettingValue::Switch(false))], &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    assert_eq!(find(value.digest()).await.unwrap().enabled, Some(false));
    let unknown = TokenFormat::default().generate(|bytes| Random::system().fill(bytes));
    assert!(find(unknown.digest()).await.is_none());
    assert!(!store.delete_by_digest(&unknown.digest(), &operator_mutation()).await.unwrap().wait_for(&NoCache).await);
    assert!(store.delete_by_digest(&value.digest(), &operator_mutation()).await.unwrap().wait_for(&NoCache).await);
    assert!(find(value.digest()).await.is_none());
}

#[apply(both_databases)]
async fn tokens_are_found_listed_counted_and_deleted_within_scope(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let (value, old) = issue_token(store, ADMIN, Lifetime::Seconds(10), NOW).await;
    let (_, young) = issue_token(store, ADMIN, Lifetime::Forever, NOW.plus_seconds(1)).await;
    let own_tokens = OwnerScope::Person { workspace_id: WORKSPACE, person_id: ADMIN };
    let other_tokens = OwnerScope::Person { workspace_id: WORKSPACE, person_id: PersonId::new(2) };
    for (owner, wait_until) in [
        (own_tokens, true),
        (OwnerScope::Workspace(WORKSPACE), true),
        (other_tokens, false),
        (OwnerScope::Workspace(WorkspaceId::new(2)), false),
    ] {
        assert_eq!(store.find_token(owner, old).await.unwrap().is_some(), wait_until, "{owner:?}");
        let filter = TokenListQuery { scope: owner, filter: TokenFilter::default(), now: NOW };
        assert_eq!(store.count_tokens(&filter).await.unwrap(), if wait_until { 2 } else { 0 });
        let ids: Vec<Uuid> =
            store.list_tokens(&filter, &ALL_TOKENS).await.unwrap().iter().map(|(token, _)| token.id).collect();
        assert_eq!(ids, if wait_until { vec![old, young] } else { vec![] });
    }
    let at_expiry = NOW.plus_seconds(10);
    for (status, id) in [(TokenStatus::Expired, old), (TokenStatus::Active, young)] {
        let filter = TokenListQuery {
            scope: own_tokens,
            filter: TokenFilter { status: Some(status), ..TokenFilter::default() },
            now: at_expiry,
        };
        assert_eq!(store.list_tokens(&filter, &ALL_TOKENS).await.unwrap()[0].0.id, id);
        assert_eq!(store.count_tokens(&filter).await.unwrap(), 1);
    }
    assert!(
        store.delete_token(other_tokens, old, &operator_mutation()).await.unwrap().wait_for(&NoCache).await.is_none()
            && store
                .delete_token(OwnerScope::Workspace(WorkspaceId::new(2)), old, &operator_mutation())
                .await
                .unwrap()
                .wait_for(&NoCache)
                .await
                .is_none()
    );
    assert_eq!(
        store.delete_token(own_tokens, old, &operator_mutation()).await.unwrap().wait_for(&NoCache).await,
        Some(value.digest())
    );
    assert_eq!(store.delete_token(own_tokens, old, &operator_mutation()).await.unwrap().wait_for(&NoCache).await, None);
}

#[apply(both_databases)]
async fn last_used_times_are_updated_in_bulk_and_only_forward(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let (_, id) = issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    let last_used_at =
        || async { store.find_token(OwnerScope::Workspace(WORKSPACE), id).await.unwrap().unwrap().last_used_at };
    let unknown_tokens = (0..25_000u128).map(|n| token_use(Uuid::from_u128(n), NOW));
    let many: Vec<_> = unknown_tokens.chain([token_use(id, NOW.plus_seconds(5))]).collect();
    store.update_last_used(&many).await.unwrap();
    assert_eq!(last_used_at().await, Some(NOW.plus_seconds(5)));
    store.update_last_used(&[token_use(id, NOW)]).await.unwrap();
    assert_eq!(last_used_at().await, Some(NOW.plus_seconds(5)));
    store.update_last_used(&[]).await.unwrap();
}

#[apply(both_databases)]
async fn the_address_of_the_latest_use_is_kept(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let (_, id) = issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    let record = async |seconds: i64, address: Option<&str>| {
        let address = address.map(|text| text.parse().unwrap());
        let used = TokenUse { address, ..token_use(id, NOW.plus_seconds(seconds)) };
        store.update_last_used(&[used]).await.unwrap();
        let token = store.find_token(OwnerScope::Workspace(WORKSPACE), id).await.unwrap().unwrap();
        token.last_used_from.map(|address| address.to_string())
    };
    assert_eq!(record(1, Some("192.0.2.1")).await.as_deref(), Some("192.0.2.1"));
    assert_eq!(record(0, Some("192.0.2.2")).await.as_deref(), Some("192.0.2.1"), "an earlier use");
    assert_eq!(record(1, Some("192.0.2.3")).await.as_deref(), Some("192.0.2.1"), "the same use again");
    assert_eq!(record(2, None).await, None, "the address of the latest use is unknown");
    assert_eq!(record(2, Some("2001:db8::4")).await.as_deref(), Some("2001:db8::4"), "it follows");
    assert_eq!(record(3, Some("192.0.2.5")).await.as_deref(), Some("192.0.2.5"));
    let off = [(SettingKey::RecordAddresses, SettingValue::Switch(false))];
    store.set_settings(WORKSPACE, &off, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    assert_eq!(record(0, None).await, None, "not shown");
    assert_eq!(record(4, Some("192.0.2.6")).await, None);
    store
        .reset_settings(WORKSPACE, &[SettingKey::RecordAddresses], &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    assert_eq!(record(0, None).await, None, "not stored");
}

#[apply(both_databases)]
async fn expired_tokens_are_deleted_in_batches(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    for _ in 0..3 {
        issue_token(store, ADMIN, Lifetime::Seconds(10), NOW).await;
    }
    let (_, kept) = issue_token(store, ADMIN, Lifetime::Seconds(11), NOW).await;
    issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    let before = NOW.plus_seconds(11);
    let mut counts = Vec::new();
    for _ in 0..3 {
        counts.push(store.delete_expired(before, 2).await.unwrap().wait_for(&NoCache).await);
    }
    assert_eq!(counts, [2, 1, 0]);
    assert!(store.find_token(OwnerScope::Workspace(WORKSPACE), kept).await.unwrap().is_some());
}

#[apply(both_databases)]
async fn many_digests_are_found_at_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let mut digests = Vec::new();
    for _ in 0..300 {
        digests.push(issue_token(&app.store, ADMIN, Lifetime::Forever, NOW).await.0.digest());
    }
    digests.push(TokenFormat::default().generate(|bytes| Random::system().fill(bytes)).digest());
    let found = app.store.find_by_digests(&digests).await.unwrap();
    let of: HashSet<_> = found.iter().map(|(digest, _)| *digest).collect();
    assert_eq!((found.len(), of), (300, digests[..300].iter().copied().collect()));
    assert!(app.store.find_by_digests(&[]).await.unwrap().is_empty());
}
