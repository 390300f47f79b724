//! Counts that are kept up, and lists that are read page by page.

use tokenward::{
    domain::{
        event::Action,
        person::EmailKey,
        token::Lifetime,
        token_query::{Sort, SortKey, Which},
        workspace::WorkspaceName,
    },
    store::{EventFilter, EventStart, Owner, PersonChange, PersonFilter, Reader, Store, TokenFilter, WorkspaceCount},
};
use uuid::Uuid;

use super::{ALL, NOW, by, issue, new_person};
use crate::support::{Engine, TestApp};

on_both!(
    counts_follow_every_change,
    counts_follow_changes_by_hand,
    counts_are_right_after_a_storm,
    workspaces_are_read_with_their_counts,
    people_and_events_are_read_page_by_page,
    tokens_are_read_by_their_ids,
    a_readers_rights_are_those_of_now,
);

fn filter(owner: Owner) -> TokenFilter {
    TokenFilter { owner, which: Which::default(), now: NOW }
}

/// Compares the counts that are kept up with the rows themselves.
#[track_caller]
fn are_right<'a>(store: &'a Store, workspace_id: i64, people: &'a [i64]) -> impl Future<Output = (i64, i64)> + 'a {
    let caller = std::panic::Location::caller();
    async move {
        let rows =
            |owner| async move { i64::try_from(store.list_tokens(&filter(owner), &ALL).await.unwrap().len()).unwrap() };
        let counted = store.count_members(workspace_id).await.unwrap();
        let listed = store.list_people_after(workspace_id, &PersonFilter::default(), 0, (1_000, 0)).await.unwrap();
        let workspace = Owner::Workspace(workspace_id);
        assert_eq!(counted, (i64::try_from(listed.len()).unwrap(), rows(workspace).await), "{caller}");
        assert_eq!(store.count_tokens(&filter(workspace)).await.unwrap(), counted.1, "{caller}");
        for &person_id in people {
            let owner = Owner::Person { workspace_id, person_id };
            assert_eq!(store.count_tokens(&filter(owner)).await.unwrap(), rows(owner).await, "{caller}");
        }
        counted
    }
}

async fn administrator(store: &Store, email: &str) -> i64 {
    let id = store.insert_person(1, &new_person(email), &by()).await.unwrap().unwrap().id;
    let change = PersonChange { is_admin: Some(true), ..PersonChange::default() };
    store.update_person(1, id, &change, &by()).await.unwrap();
    id
}

async fn counts_follow_every_change(app: TestApp) {
    let store = &app.store;
    assert_eq!(are_right(store, 1, &[1]).await, (1, 0));
    let ada = administrator(store, "ada@example.com").await;
    let everyone = [1, ada];
    let (_, first) = issue(store, 1, Lifetime::Forever, NOW).await;
    issue(store, 1, Lifetime::Seconds(1), NOW.plus_seconds(-5)).await;
    let (reported, _) = issue(store, ada, Lifetime::Forever, NOW).await;
    issue(store, ada, Lifetime::Forever, NOW).await;
    assert_eq!(are_right(store, 1, &everyone).await, (2, 4), "an expired one is counted");
    store.delete_token(Owner::Workspace(1), first, &by()).await.unwrap().unwrap();
    assert_eq!(are_right(store, 1, &everyone).await, (2, 3));
    assert!(store.delete_by_digest(&reported.digest(), &by()).await.unwrap());
    assert_eq!(are_right(store, 1, &everyone).await, (2, 2));
    assert_eq!(store.delete_expired(NOW, 10).await.unwrap().len(), 1);
    assert_eq!(are_right(store, 1, &everyone).await, (2, 1));
    issue(store, ada, Lifetime::Forever, NOW).await;
    assert_eq!(store.kill_tokens(1, ada, &by()).await.unwrap(), Some(2));
    assert_eq!(are_right(store, 1, &everyone).await, (2, 0), "their rows are there still");
    issue(store, ada, Lifetime::Forever, NOW.plus_seconds(1)).await;
    assert_eq!(are_right(store, 1, &everyone).await, (2, 1));
    assert_eq!(store.delete_dead(10).await.unwrap(), 2);
    assert_eq!(are_right(store, 1, &everyone).await, (2, 1), "a revoked token is subtracted once");
    let (_, parent) = issue(store, 1, Lifetime::Forever, NOW).await;
    store.delete_family(Owner::Workspace(1), parent, Action::TokenDeleted, &by()).await.unwrap();
    assert_eq!(are_right(store, 1, &everyone).await, (2, 1));
    store.delete_person(1, ada, &by()).await.unwrap();
    assert_eq!(are_right(store, 1, &[1]).await, (1, 0));
    assert_eq!(store.count_tokens(&filter(Owner::Person { workspace_id: 1, person_id: ada })).await.unwrap(), 0);
    let lab = WorkspaceName::parse("Lab").unwrap();
    let (lab, _) = store.insert_workspace(&lab, &new_person("eve@example.com"), &by()).await.unwrap();
    assert_eq!(are_right(store, lab.id, &[]).await, (1, 0));
    assert!(store.delete_workspace(lab.id, &by()).await.unwrap());
    assert_eq!(store.count_members(lab.id).await.unwrap(), (0, 0));
}

/// Triggers keep the counts, so statements that an operator types count as well.
async fn counts_follow_changes_by_hand(mut app: TestApp) {
    let ada = administrator(&app.store, "ada@example.com").await;
    for n in 0..5 {
        issue(&app.store, if n < 2 { 1 } else { ada }, Lifetime::Forever, NOW.plus_seconds(n)).await;
    }
    let second = if app.database.engine == Engine::Postgres {
        "timestamptz '2026-01-01 00:00:02.5+00'"
    } else {
        "1767225602500"
    };
    for (statement, tokens) in [
        (format!("update person set tokens_dead_until = {second} where id = {ada}"), 4),
        (format!("update person set tokens_dead_until = null where id = {ada}"), 5),
        (format!("update token set person_id = 1 where person_id = {ada} and created_at > {second}"), 5),
        ("delete from token where person_id = 1".to_owned(), 1),
        ("delete from token".to_owned(), 0),
    ] {
        app.tamper(&statement).await;
        assert_eq!(are_right(&app.store, 1, &[1, ada]).await, (2, tokens), "{statement}");
    }
    if app.database.engine == Engine::Postgres {
        issue(&app.store, ada, Lifetime::Forever, NOW).await;
        app.tamper("truncate token").await;
        assert_eq!(are_right(&app.store, 1, &[1, ada]).await, (2, 0));
    }
}

/// Deleting one and revoking all at the same time counts each token once.
async fn counts_are_right_after_a_storm(app: TestApp) {
    for round in 0..10 {
        let now = NOW.plus_seconds(100 * round);
        let mut tokens = Vec::new();
        for _ in 0..8 {
            tokens.push(issue(&app.store, 1, Lifetime::Forever, now).await.1);
        }
        let deletions = tokens.into_iter().map(|id| {
            let store = app.store.clone();
            tokio::spawn(async move {
                store.delete_token(Owner::Workspace(1), id, &by()).await.unwrap();
            })
        });
        let mut tasks: Vec<_> = deletions.collect();
        let store = app.store.clone();
        tasks.insert(
            4,
            tokio::spawn(async move {
                store.kill_tokens(1, 1, &by()).await.unwrap();
            }),
        );
        let store = app.store.clone();
        tasks.push(tokio::spawn(async move {
            store.delete_dead(3).await.unwrap();
        }));
        let store = app.store.clone();
        tasks.push(tokio::spawn(async move { drop(issue(&store, 1, Lifetime::Forever, now.plus_seconds(60)).await) }));
        for task in tasks {
            task.await.unwrap();
        }
        are_right(&app.store, 1, &[1]).await;
    }
}

async fn workspaces_are_read_with_their_counts(app: TestApp) {
    let store = &app.store;
    assert!(store.list_places() >= 1);
    let name = WorkspaceName::parse("Lab").unwrap();
    let (lab, _) = store.insert_workspace(&name, &new_person("eve@example.com"), &by()).await.unwrap();
    issue(store, 1, Lifetime::Forever, NOW).await;
    let first = WorkspaceCount { workspace: store.find_workspace(1).await.unwrap().unwrap(), people: 1, tokens: 1 };
    let second = WorkspaceCount { workspace: lab, people: 1, tokens: 0 };
    assert_eq!(store.find_workspace_count(1).await.unwrap().as_ref(), Some(&first));
    assert_eq!(store.find_workspace_count(9).await.unwrap(), None);
    assert_eq!(store.list_workspace_counts(5, 0).await.unwrap(), [first, second.clone()]);
    assert_eq!(store.list_workspace_counts(5, 1).await.unwrap(), [second]);
}

async fn people_and_events_are_read_page_by_page(app: TestApp) {
    let store = &app.store;
    for n in 0..6 {
        store.insert_person(1, &new_person(&format!("p{n}@example.com")), &by()).await.unwrap().unwrap();
    }
    let everyone = PersonFilter::default();
    let all = store.list_people_after(1, &everyone, 0, (100, 0)).await.unwrap();
    assert_eq!(store.count_people(1, &everyone).await.unwrap(), 7);
    assert_eq!(store.list_people_after(1, &everyone, all[2].id, (2, 0)).await.unwrap(), all[3..5]);
    assert_eq!(store.list_people_after(1, &everyone, 0, (2, 4)).await.unwrap(), all[4..6]);
    let one = PersonFilter { email: Some(EmailKey::of("p3@example.com")), is_disabled: Some(false) };
    assert_eq!(store.count_people(1, &one).await.unwrap(), 1);
    let of_workspace = EventFilter { workspace_id: 1, ..EventFilter::default() };
    let events = store.list_events(&of_workspace, EventStart::default(), 100).await.unwrap();
    let (mut after, mut read) = (i64::MAX, Vec::new());
    loop {
        let page = store.list_event_page(&of_workspace, after, 4).await.unwrap();
        read.extend(page.events);
        match page.next {
            Some(EventStart::After(id)) => after = id,
            Some(EventStart::Before(_)) => panic!("the wrong way"),
            None => break,
        }
    }
    assert_eq!(read, events);
    assert!(read.len() > 4);
}

async fn tokens_are_read_by_their_ids(app: TestApp) {
    let store = &app.store;
    let (_, mine) = issue(store, 1, Lifetime::Forever, NOW).await;
    let own = filter(Owner::Person { workspace_id: 1, person_id: 1 });
    let others = filter(Owner::Person { workspace_id: 1, person_id: 9 });
    let ids = [mine, Uuid::nil()];
    assert_eq!(store.list_tokens_of(&own, &ids).await.unwrap()[0].0.id, mine);
    assert!(store.list_tokens_of(&others, &ids).await.unwrap().is_empty());
    assert!(store.list_tokens_of(&own, &[]).await.unwrap().is_empty());
    let by_id = tokenward::domain::token_query::Page { sort: Sort { key: SortKey::TokenId, descending: true }, ..ALL };
    assert_eq!(store.list_tokens(&own, &by_id).await.unwrap().len(), 1);
}

async fn a_readers_rights_are_those_of_now(app: TestApp) {
    let store = &app.store;
    let ada = administrator(store, "ada@example.com").await;
    let reader = Reader { is_admin: true, is_platform_admin: false, is_disabled: false, password_hash: "hash".into() };
    assert!(store.find_reader(1, ada).await.unwrap() == Some(reader.clone()));
    let change = PersonChange { is_admin: Some(false), is_disabled: Some(true), ..PersonChange::default() };
    store.update_person(1, ada, &change, &by()).await.unwrap();
    assert!(store.find_reader(1, ada).await.unwrap() == Some(Reader { is_admin: false, is_disabled: true, ..reader }));
    assert!(store.find_reader(2, ada).await.unwrap().is_none());
}
