//! Searchable lists for administrators and owners.

use rstest::rstest;
use rstest_reuse::apply;
use tokenward::{
    domain::{
        authority::AuthorizationLost,
        id::{PersonId, WorkspaceId},
        person::{EmailKey, PersonName},
        setting::{SettingKey, SettingValue},
        setting_conflict::SettingConflict,
        token::Lifetime,
        token_filter::TokenFilter,
        workspace::WorkspaceName,
    },
    store::{Error, NewPerson, OwnerScope, PageStart, PersonSearch, TokenHolderCounts, TokenListQuery},
};
use uuid::Uuid;

use super::{
    ADMIN, ALL_TOKENS, DEFAULT_SETTINGS, NOW, NoCache, WORKSPACE, issue_token, new_person, new_token,
    operator_mutation, token_mutation, token_use,
};
use crate::support::{Engine, TestApp, both_databases};

fn search_filter(text: &str) -> TokenFilter {
    TokenFilter { search: Some(text.to_owned()), ..TokenFilter::default() }
}

#[apply(both_databases)]
async fn token_lists_are_searched_and_filtered(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada =
        store.insert_person(WORKSPACE, &new_person("ada@example.com"), &operator_mutation()).await.unwrap().unwrap();
    store
        .set_settings(WORKSPACE, &[(SettingKey::AllowUsers, SettingValue::Switch(true))], &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    let mut ids = Vec::new();
    for (person_id, description) in [(ADMIN, "Nightly 50%_\\ off"), (ada.id, "laptop"), (ADMIN, "x")] {
        let lifetime = if description == "x" { Lifetime::Forever } else { Lifetime::Seconds(100) };
        let mut new = new_token(person_id, lifetime, NOW).1;
        new.description = Some(description.to_owned());
        store.issue_token(&new, DEFAULT_SETTINGS).await.unwrap().wait_for(&NoCache).await.unwrap();
        ids.push((new.id, new.display_prefix));
    }
    store.update_last_used(&[token_use(ids[1].0, NOW.plus_seconds(10))]).await.unwrap();
    let found = async |which: TokenFilter| -> Vec<usize> {
        let filter = TokenListQuery { scope: OwnerScope::Workspace(WORKSPACE), filter: which, now: NOW };
        let rows = store.list_tokens(&filter, &ALL_TOKENS).await.unwrap();
        assert_eq!(store.count_tokens(&filter).await.unwrap(), i64::try_from(rows.len()).unwrap());
        let place = |id: Uuid| ids.iter().position(|(other, _)| *other == id).unwrap();
        let mut places = rows.iter().map(|(token, _)| place(token.id)).collect::<Vec<_>>();
        places.sort_unstable();
        places
    };
    assert_eq!(found(search_filter("nightly")).await, [0]);
    assert_eq!(found(search_filter("50%_\\")).await, [0]);
    assert!(found(search_filter("5%_")).await.is_empty());
    assert_eq!(found(search_filter("ADA@")).await, [1]);
    assert_eq!(found(search_filter(&ids[2].0.to_string())).await, [2]);
    assert_eq!(found(search_filter(&ids[0].1)).await, [0]);
    assert!(found(search_filter("a\0b")).await.is_empty());
    assert_eq!(found(TokenFilter { unused_since: Some(NOW.plus_seconds(10)), ..TokenFilter::default() }).await, [0, 2]);
    assert_eq!(
        found(TokenFilter { unused_since: Some(NOW.plus_seconds(11)), ..TokenFilter::default() }).await,
        [0, 1, 2]
    );
}

#[apply(both_databases)]
async fn people_are_searched_and_listed_in_both_directions(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    for email in ["zoe@example.com", "Ben@example.com", "cem@example.org"] {
        store.insert_person(WORKSPACE, &new_person(email), &operator_mutation()).await.unwrap().unwrap();
    }
    store
        .insert_workspace(&WorkspaceName::parse("Lab").unwrap(), &new_person("eve@example.com"), &operator_mutation())
        .await
        .unwrap();
    issue_token(store, ADMIN, Lifetime::Seconds(10), NOW).await;
    issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    let list = |filter: PersonSearch, start: PageStart, limit: i64| async move {
        let members =
            store.list_people_with_token_counts(WORKSPACE, &filter, &start, NOW.plus_seconds(10), limit).await.unwrap();
        members.into_iter().map(|m| (m.person.email, m.active_tokens)).collect::<Vec<_>>()
    };
    let at = |text: &str, tokens: i64| (text.to_owned(), tokens);
    let [admin, ben, cem, zoe] =
        [at("admin@example.com", 1), at("Ben@example.com", 0), at("cem@example.org", 0), at("zoe@example.com", 0)];
    let everyone = PersonSearch::default;
    assert_eq!(list(everyone(), PageStart::default(), 2).await, [admin.clone(), ben.clone()]);
    assert_eq!(list(everyone(), PageStart::After(EmailKey::from_text("BEN@example.com")), 2).await, [cem.clone(), zoe]);
    assert_eq!(list(everyone(), PageStart::Before(EmailKey::from_text("cem@example.org")), 1).await, [ben]);
    let search = PersonSearch { search: Some("EXAMPLE.ORG".into()), ..everyone() };
    assert_eq!(list(search, PageStart::default(), 9).await, [cem]);
    assert_eq!(list(PersonSearch { is_admin: Some(true), ..everyone() }, PageStart::default(), 9).await, [admin]);
    assert_eq!(list(PersonSearch { is_disabled: Some(true), ..everyone() }, PageStart::default(), 9).await, []);
    let count = async |filter: PersonSearch| store.count_found_people(WORKSPACE, &filter).await.unwrap();
    assert_eq!(count(everyone()).await, 4);
    assert_eq!(count(PersonSearch { search: Some("EXAMPLE.ORG".into()), ..everyone() }).await, 1);
    assert_eq!(count(PersonSearch { is_admin: Some(true), ..everyone() }).await, 1);
    assert_eq!(count(PersonSearch { is_disabled: Some(true), ..everyone() }).await, 0);
}

#[apply(both_databases)]
async fn token_holders_are_counted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    assert_eq!(
        store.count_token_holders(WORKSPACE, None, NOW).await.unwrap(),
        TokenHolderCounts { people: 0, tokens: 0 }
    );
    issue_token(store, ADMIN, Lifetime::Seconds(10), NOW).await;
    issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    assert_eq!(
        store.count_token_holders(WORKSPACE, None, NOW).await.unwrap(),
        TokenHolderCounts { people: 1, tokens: 2 }
    );
    assert_eq!(
        store.count_token_holders(WORKSPACE, Some(ADMIN), NOW.plus_seconds(10)).await.unwrap(),
        TokenHolderCounts { people: 1, tokens: 1 }
    );
    assert_eq!(
        store.count_token_holders(WORKSPACE, Some(PersonId::new(2)), NOW).await.unwrap(),
        TokenHolderCounts { people: 0, tokens: 0 }
    );
    let query = |filter| TokenListQuery { scope: OwnerScope::Workspace(WORKSPACE), filter, now: NOW };
    let count = async |conflict: Option<SettingConflict>| {
        let filter = TokenFilter { conflict, ..TokenFilter::default() };
        store.count_tokens_and_owners(&query(filter)).await.unwrap()
    };
    let holders = |tokens: i64| TokenHolderCounts { people: i64::from(tokens > 0), tokens };
    assert_eq!(count(None).await, holders(2));
    assert_eq!(count(Some(SettingConflict::Unrestricted)).await, holders(2));
    assert_eq!(count(Some(SettingConflict::LongerThanDays(1))).await, holders(1));
}

#[apply(both_databases)]
async fn administrators_are_found(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    for (email, is_admin) in [("ben@example.com", true), ("cem@example.com", false), ("aya@example.com", true)] {
        let person = NewPerson { is_admin, ..new_person(email) };
        store.insert_person(WORKSPACE, &person, &operator_mutation()).await.unwrap().unwrap();
    }
    assert_eq!(store.list_administrator_emails(WORKSPACE, 2).await.unwrap(), ["admin@example.com", "aya@example.com"]);
    assert!(store.list_administrator_emails(WorkspaceId::new(2), 9).await.unwrap().is_empty());
}

#[apply(both_databases)]
async fn non_ascii_text_is_found_as_written(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let mut new = new_token(ADMIN, Lifetime::Forever, NOW).1;
    new.description = Some("Übersicht".to_owned());
    store.issue_token(&new, DEFAULT_SETTINGS).await.unwrap().wait_for(&NoCache).await.unwrap();
    let person = NewPerson { name: PersonName::parse("Émilie").unwrap(), ..new_person("emilie@example.com") };
    store.insert_person(WORKSPACE, &person, &operator_mutation()).await.unwrap().unwrap();
    let filter = TokenListQuery { scope: OwnerScope::Workspace(WORKSPACE), filter: search_filter("Übers"), now: NOW };
    assert_eq!(store.count_tokens(&filter).await.unwrap(), 1);
    let filter = PersonSearch { search: Some("Émi".into()), ..PersonSearch::default() };
    assert_eq!(
        store.list_people_with_token_counts(WORKSPACE, &filter, &PageStart::default(), NOW, 9).await.unwrap().len(),
        1
    );
}

#[apply(both_databases)]
async fn a_deleted_token_creates_no_child_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let (_, parent) = issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    let child = || {
        let mut new = new_token(ADMIN, Lifetime::Forever, NOW).1;
        new.mutation = token_mutation(ADMIN, parent);
        new
    };
    assert!(store.issue_token(&child(), DEFAULT_SETTINGS).await.unwrap().wait_for(&NoCache).await.is_ok());
    store
        .delete_token(OwnerScope::Workspace(WORKSPACE), parent, &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    let issued = store.issue_token(&child(), DEFAULT_SETTINGS).await;
    assert!(matches!(issued, Err(Error::AuthorizationLost(AuthorizationLost::CallerRevoked))), "{issued:?}");
}
