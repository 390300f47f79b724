//! Families, people and workspaces with many tokens: revoked by one row, removed in parts.

use tokenward::{
    domain::{authority::AuthorityLost, event::Action, person::EmailKey, token::Lifetime, workspace::WorkspaceName},
    store::{DeletedFamily, Error, Owner, Rank, Store},
};
use tokenward_guard::token_format::TokenDigest;
use uuid::Uuid;

use super::{DEFAULTS, NOW, by, by_token, issue, new_person, new_token};
use crate::support::{Engine, TestApp};

on_both!(
    a_large_family_is_revoked_by_one_row_and_removed_afterwards,
    a_deep_family_is_revoked_by_one_row_and_removed_afterwards,
    a_person_with_many_tokens_is_removed_at_once,
    a_workspace_with_many_tokens_is_removed_at_once,
);

/// More than one statement may delete.
const MANY: u32 = 1_500;

/// Inserts tokens behind the service's back: each made by `parent`, or in a chain, each by the one before it. Token `n` has the digest
/// `digest(n)` and the ID `id(n)`.
async fn insert_many(app: &mut TestApp, workspace_id: i64, person_id: i64, parent: Option<Uuid>, is_chain: bool) {
    let millis = NOW.as_millis();
    let hex = |id: Uuid| id.simple().to_string();
    let statement = match app.database.engine {
        Engine::Postgres => {
            let parent = parent.map_or("null".to_owned(), |id| format!("'{id}'::uuid"));
            let parent = if is_chain {
                format!("case n when 1 then {parent} else lpad((n - 1)::text, 32, '0')::uuid end")
            } else {
                parent
            };
            format!(
                "insert into token (id, workspace_id, person_id, digest, hint, description, created_at, parent_id) \
                 select lpad(n::text, 32, '0')::uuid, {workspace_id}, {person_id}, convert_to(lpad(n::text, 32, '0'), 'UTF8'), \
                 'twd_many', '', to_timestamp({millis} / 1000.0), {parent} from generate_series(1, {MANY}) n"
            )
        }
        Engine::Sqlite => {
            let parent = parent.map_or("null".to_owned(), |id| format!("x'{}'", hex(id)));
            let parent = if is_chain {
                format!("case n when 1 then {parent} else unhex(printf('%032d', n - 1)) end")
            } else {
                parent
            };
            format!(
                "with recursive s (n) as (select 1 union all select n + 1 from s where n < {MANY}) \
                 insert into token (id, workspace_id, person_id, digest, hint, description, created_at, parent_id) \
                 select unhex(printf('%032d', n)), {workspace_id}, {person_id}, cast(printf('%032d', n) as blob), \
                 'twd_many', '', {millis}, {parent} from s"
            )
        }
    };
    app.tamper(&statement).await;
}

fn digest(n: u32) -> TokenDigest {
    TokenDigest::from_bytes(format!("{n:032}").as_bytes().try_into().unwrap())
}

fn id(n: u32) -> Uuid {
    Uuid::parse_str(&format!("{n:032}")).unwrap()
}

async fn lives(store: &Store, digest: TokenDigest) -> bool {
    !store.find_by_digests(&[digest]).await.unwrap().is_empty()
}

/// Deletes the family of `root` and checks that its members are dead at once, and `other` is not.
async fn revoke(app: &mut TestApp, root: Uuid, root_digest: TokenDigest, other: TokenDigest) {
    let store = &app.store;
    assert!(lives(store, digest(MANY)).await);
    let deleted = store.delete_family(Owner::Workspace(1), root, Action::TokenLeaked, &by()).await.unwrap();
    assert_eq!(deleted, DeletedFamily { digests: vec![], revoked_of: Some(1) });
    for member in [root_digest, digest(1), digest(MANY)] {
        assert!(!lives(store, member).await);
    }
    assert!(lives(store, other).await, "of the same person, and of another family");
    let mut child = new_token(1, Lifetime::Forever, NOW).1;
    child.mutation = by_token(1, id(MANY));
    let made = store.issue_token(&child, DEFAULTS).await;
    assert!(matches!(made, Err(Error::AuthorityLost(AuthorityLost::CallerGone))), "{made:?}");
    let again = store.delete_family(Owner::Workspace(1), root, Action::TokenDeleted, &by()).await.unwrap();
    assert!(again.is_empty(), "it is revoked already");
    let told = store.list_entries(1, 0, 100).await.unwrap().pop().unwrap().0;
    assert_eq!((told.action.as_str(), told.target), ("token.leaked", root.to_string()));
    // The process stops, and the next one goes on.
    assert_eq!(store.list_revoked_families().await.unwrap(), [root]);
    assert_eq!(store.remove_family(root).await.unwrap(), u64::from(MANY));
    assert!(store.list_revoked_families().await.unwrap().is_empty());
    assert!(lives(store, other).await && !lives(store, digest(MANY)).await);
    assert_eq!(app.look("select cast(count(*) as text) from token").await.as_deref(), Some("1"));
}

async fn a_large_family_is_revoked_by_one_row_and_removed_afterwards(mut app: TestApp) {
    let (other, _) = issue(&app.store, 1, Lifetime::Forever, NOW).await;
    let (root, root_id) = issue(&app.store, 1, Lifetime::Forever, NOW).await;
    insert_many(&mut app, 1, 1, Some(root_id), false).await;
    revoke(&mut app, root_id, root.digest(), other.digest()).await;
}

async fn a_deep_family_is_revoked_by_one_row_and_removed_afterwards(mut app: TestApp) {
    let (other, _) = issue(&app.store, 1, Lifetime::Forever, NOW).await;
    let (root, root_id) = issue(&app.store, 1, Lifetime::Forever, NOW).await;
    insert_many(&mut app, 1, 1, Some(root_id), true).await;
    revoke(&mut app, root_id, root.digest(), other.digest()).await;
}

async fn remove_remains(store: &Store) {
    while store.delete_dead(400).await.unwrap() + store.remove_remains(400).await.unwrap() > 0 {}
}

async fn a_person_with_many_tokens_is_removed_at_once(mut app: TestApp) {
    let ada = app.store.insert_person(1, &new_person("ada@example.com"), &by()).await.unwrap().unwrap().id;
    insert_many(&mut app, 1, ada, None, false).await;
    let store = &app.store;
    assert_eq!(store.delete_person(1, ada, &by()).await.unwrap(), Rank::Changed);
    assert!(!lives(store, digest(1)).await && !lives(store, digest(MANY)).await);
    assert_eq!(store.find_person(1, ada).await.unwrap(), None);
    assert!(store.find_person_by_email(&EmailKey::of("ada@example.com")).await.unwrap().is_none());
    assert_eq!(store.list_people_after(1, &Default::default(), 0, (10, 0)).await.unwrap().len(), 1);
    assert_eq!(store.count_members(1).await.unwrap(), (1, 0));
    assert_eq!(store.delete_person(1, ada, &by()).await.unwrap(), Rank::Absent);
    assert_eq!(store.update_person(1, ada, &Default::default(), &by()).await.unwrap(), Rank::Absent);
    assert_eq!(store.kill_tokens(1, ada, &by()).await.unwrap(), None);
    let again = store.insert_person(1, &new_person("ada@example.com"), &by()).await.unwrap().unwrap();
    assert_ne!(again.id, ada, "the e-mail is free");
    remove_remains(store).await;
    assert_eq!(store.count_members(1).await.unwrap(), (2, 0));
    assert_eq!(store.find_person(1, again.id).await.unwrap().map(|person| person.id), Some(again.id));
    assert_eq!(app.look("select cast(count(*) as text) from token").await.as_deref(), Some("0"));
    assert_eq!(app.look("select cast(count(*) as text) from person").await.as_deref(), Some("2"));
}

async fn a_workspace_with_many_tokens_is_removed_at_once(mut app: TestApp) {
    let name = WorkspaceName::parse("Lab").unwrap();
    let (lab, eve) = app.store.insert_workspace(&name, &new_person("eve@example.com"), &by()).await.unwrap();
    insert_many(&mut app, lab.id, eve.id, None, false).await;
    let store = &app.store;
    assert!(lives(store, digest(1)).await);
    assert!(store.delete_workspace(lab.id, &by()).await.unwrap());
    assert!(!lives(store, digest(1)).await && !lives(store, digest(MANY)).await);
    assert_eq!(store.find_workspace(lab.id).await.unwrap(), None);
    assert_eq!((store.list_workspaces(10, 0).await.unwrap().len(), store.count_workspaces().await.unwrap()), (1, 1));
    assert!(store.find_person_by_email(&EmailKey::of("eve@example.com")).await.unwrap().is_none());
    assert!(store.insert_person(lab.id, &new_person("x@example.com"), &by()).await.unwrap().is_none());
    assert!(!store.delete_workspace(lab.id, &by()).await.unwrap());
    assert!(!store.rename_workspace(lab.id, &name, &by()).await.unwrap());
    remove_remains(store).await;
    store.insert_person(1, &new_person("eve@example.com"), &by()).await.unwrap().unwrap();
    for table in ["token", "event where workspace_id <> 1"] {
        let count = app.look(&format!("select cast(count(*) as text) from {table}")).await;
        assert_eq!(count.as_deref(), Some("0"), "{table}");
    }
}
