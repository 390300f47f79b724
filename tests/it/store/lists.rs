//! Lists that administrators and owners look through.

use tokenward::{
    domain::{
        authority::AuthorityLost,
        person::{EmailKey, PersonName},
        setting::{Key, Value},
        token::Lifetime,
        token_query::Which,
        workspace::WorkspaceName,
    },
    store::{Error, Holders, MemberFilter, NewPerson, Owner, Start, TokenFilter},
};
use uuid::Uuid;

use super::{ALL, DEFAULTS, NOW, by, by_token, issue, new_person, new_token};
use crate::support::TestApp;

on_both!(
    lists_of_tokens_are_searched_and_narrowed,
    members_are_searched_and_listed_both_ways,
    those_who_hold_tokens_are_counted,
    some_administrators_are_found,
    what_is_not_ascii_is_found_as_it_is_written,
    a_token_that_is_gone_makes_no_other,
);

fn by_search(text: &str) -> Which {
    Which { search: Some(text.to_owned()), ..Which::default() }
}

async fn lists_of_tokens_are_searched_and_narrowed(app: TestApp) {
    let store = &app.store;
    let ada = store.insert_person(1, &new_person("ada@example.com"), &by()).await.unwrap().unwrap();
    store.set_settings(1, &[(Key::AllowUsers, Value::Switch(true))], &by()).await.unwrap();
    let mut ids = Vec::new();
    for (person_id, description) in [(1, "Nightly 50%_\\ off"), (ada.id, "laptop"), (1, "x")] {
        let lifetime = if description == "x" { Lifetime::Forever } else { Lifetime::Seconds(100) };
        let mut new = new_token(person_id, lifetime, NOW).1;
        new.description = description.to_owned();
        store.issue_token(&new, DEFAULTS).await.unwrap().unwrap();
        ids.push((new.id, new.hint));
    }
    store.note_uses(&[(ids[1].0, NOW.plus_seconds(10))]).await.unwrap();
    let found = async |which: Which| -> Vec<usize> {
        let filter = TokenFilter { owner: Owner::Workspace(1), which, now: NOW };
        let rows = store.list_tokens(&filter, &ALL).await.unwrap();
        assert_eq!(store.count_tokens(&filter).await.unwrap(), i64::try_from(rows.len()).unwrap());
        let place = |id: Uuid| ids.iter().position(|(other, _)| *other == id).unwrap();
        let mut places = rows.iter().map(|(token, _)| place(token.id)).collect::<Vec<_>>();
        places.sort_unstable();
        places
    };
    assert_eq!(found(by_search("nightly")).await, [0]);
    assert_eq!(found(by_search("50%_\\")).await, [0]);
    assert!(found(by_search("5%_")).await.is_empty());
    assert_eq!(found(by_search("ADA@")).await, [1]);
    assert_eq!(found(by_search(&ids[2].0.to_string())).await, [2]);
    assert_eq!(found(by_search(&ids[0].1)).await, [0]);
    assert!(found(by_search("a\0b")).await.is_empty());
    assert_eq!(found(Which { expires_by: Some(NOW.plus_seconds(100)), ..Which::default() }).await, [0, 1]);
    assert_eq!(found(Which { unused_since: Some(NOW.plus_seconds(10)), ..Which::default() }).await, [0, 2]);
    assert_eq!(found(Which { unused_since: Some(NOW.plus_seconds(11)), ..Which::default() }).await, [0, 1, 2]);
}

async fn members_are_searched_and_listed_both_ways(app: TestApp) {
    let store = &app.store;
    for email in ["zoe@example.com", "Ben@example.com", "cem@example.org"] {
        store.insert_person(1, &new_person(email), &by()).await.unwrap().unwrap();
    }
    store.insert_workspace(&WorkspaceName::parse("Lab").unwrap(), &new_person("eve@example.com"), &by()).await.unwrap();
    issue(store, 1, Lifetime::Seconds(10), NOW).await;
    issue(store, 1, Lifetime::Forever, NOW).await;
    let list = |filter: MemberFilter, start: Start, limit: i64| async move {
        let members = store.list_members(1, &filter, &start, NOW.plus_seconds(10), limit).await.unwrap();
        members.into_iter().map(|m| (m.person.email, m.active_tokens)).collect::<Vec<_>>()
    };
    let at = |text: &str, tokens: i64| (text.to_owned(), tokens);
    let [admin, ben, cem, zoe] =
        [at("admin@example.com", 1), at("Ben@example.com", 0), at("cem@example.org", 0), at("zoe@example.com", 0)];
    let everybody = MemberFilter::default;
    assert_eq!(list(everybody(), Start::default(), 2).await, [admin.clone(), ben.clone()]);
    assert_eq!(list(everybody(), Start::After(EmailKey::of("BEN@example.com")), 2).await, [cem.clone(), zoe]);
    assert_eq!(list(everybody(), Start::Before(EmailKey::of("cem@example.org")), 1).await, [ben]);
    let search = MemberFilter { search: Some("EXAMPLE.ORG".into()), ..everybody() };
    assert_eq!(list(search, Start::default(), 9).await, [cem]);
    assert_eq!(list(MemberFilter { is_admin: Some(true), ..everybody() }, Start::default(), 9).await, [admin]);
    assert_eq!(list(MemberFilter { is_disabled: Some(true), ..everybody() }, Start::default(), 9).await, []);
}

async fn those_who_hold_tokens_are_counted(app: TestApp) {
    let store = &app.store;
    assert_eq!(store.count_holders(1, None, NOW).await.unwrap(), Holders { people: 0, tokens: 0 });
    issue(store, 1, Lifetime::Seconds(10), NOW).await;
    issue(store, 1, Lifetime::Forever, NOW).await;
    assert_eq!(store.count_holders(1, None, NOW).await.unwrap(), Holders { people: 1, tokens: 2 });
    assert_eq!(store.count_holders(1, Some(1), NOW.plus_seconds(10)).await.unwrap(), Holders { people: 1, tokens: 1 });
    assert_eq!(store.count_holders(1, Some(2), NOW).await.unwrap(), Holders { people: 0, tokens: 0 });
}

async fn some_administrators_are_found(app: TestApp) {
    let store = &app.store;
    for (email, is_admin) in [("ben@example.com", true), ("cem@example.com", false), ("aya@example.com", true)] {
        let person = NewPerson { is_admin, ..new_person(email) };
        store.insert_person(1, &person, &by()).await.unwrap().unwrap();
    }
    assert_eq!(store.find_administrators(1, 2).await.unwrap(), ["admin@example.com", "aya@example.com"]);
    assert!(store.find_administrators(2, 9).await.unwrap().is_empty());
}

async fn what_is_not_ascii_is_found_as_it_is_written(app: TestApp) {
    let store = &app.store;
    let mut new = new_token(1, Lifetime::Forever, NOW).1;
    new.description = "Übersicht".to_owned();
    store.issue_token(&new, DEFAULTS).await.unwrap().unwrap();
    let person = NewPerson { name: PersonName::parse("Émilie").unwrap(), ..new_person("emilie@example.com") };
    store.insert_person(1, &person, &by()).await.unwrap().unwrap();
    let filter = TokenFilter { owner: Owner::Workspace(1), which: by_search("Übers"), now: NOW };
    assert_eq!(store.count_tokens(&filter).await.unwrap(), 1);
    let filter = MemberFilter { search: Some("Émi".into()), ..MemberFilter::default() };
    assert_eq!(store.list_members(1, &filter, &Start::default(), NOW, 9).await.unwrap().len(), 1);
}

async fn a_token_that_is_gone_makes_no_other(app: TestApp) {
    let store = &app.store;
    let (_, parent) = issue(store, 1, Lifetime::Forever, NOW).await;
    let child = || {
        let mut new = new_token(1, Lifetime::Forever, NOW).1;
        new.mutation = by_token(1, parent);
        new
    };
    assert!(store.issue_token(&child(), DEFAULTS).await.unwrap().is_ok());
    store.delete_token(Owner::Workspace(1), parent, &by()).await.unwrap();
    let issued = store.issue_token(&child(), DEFAULTS).await;
    assert!(matches!(issued, Err(Error::AuthorityLost(AuthorityLost::CallerGone))), "{issued:?}");
}
