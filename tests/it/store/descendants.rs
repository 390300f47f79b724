//! Many tokens at once: all of a person, families, what is remembered of those that are gone; and the same request sent again.

use tokenward::{
    domain::{
        event::Action,
        token::{Lifetime, NotIssued},
    },
    store::{Issued, Once, Owner, Repeated, Store, TokenFilter, TokenLabel},
};
use tokenward_guard::token_format::TokenDigest;
use uuid::Uuid;

use super::{ALL, DEFAULTS, NOW, at, by, issue, new_person, new_token};
use crate::support::TestApp;

on_both!(
    all_tokens_of_a_person_die_by_one_change,
    tokens_made_behind_it_live_whatever_the_clocks_say,
    a_family_is_deleted_also_where_a_member_is_gone,
    what_is_gone_is_remembered_for_a_while,
    the_same_request_is_given_the_same_token,
    a_person_has_at_most_so_many,
);

async fn lives(store: &Store, digest: TokenDigest) -> bool {
    !store.find_by_digests(&[digest]).await.unwrap().is_empty()
}

async fn all_tokens_of_a_person_die_by_one_change(app: TestApp) {
    let store = &app.store;
    let ada = store.insert_person(1, &new_person("ada@example.com"), &by()).await.unwrap().unwrap().id;
    store
        .update_person(1, ada, &tokenward::store::PersonChange { is_admin: Some(true), ..Default::default() }, &by())
        .await
        .unwrap();
    let (mine, id) = issue(store, 1, Lifetime::Forever, NOW).await;
    issue(store, 1, Lifetime::Seconds(1), NOW.plus_seconds(-5)).await;
    let (hers, _) = issue(store, ada, Lifetime::Forever, NOW).await;
    assert_eq!(store.kill_tokens(1, 1, &at(NOW.plus_seconds(1))).await.unwrap(), Some(2));
    assert!(!lives(store, mine.digest()).await && lives(store, hers.digest()).await);
    // No method finds what is dead, although the rows are there still.
    assert_eq!(store.find_token(Owner::Workspace(1), id).await.unwrap(), None);
    let filter =
        TokenFilter { owner: Owner::Person { workspace_id: 1, person_id: 1 }, which: Default::default(), now: NOW };
    assert_eq!(
        (store.list_tokens(&filter, &ALL).await.unwrap(), store.count_tokens(&filter).await.unwrap()),
        (vec![], 0)
    );
    assert_eq!(store.delete_token(Owner::Workspace(1), id, &by()).await.unwrap(), None);
    assert_eq!(store.count_members(1).await.unwrap(), (2, 1));
    assert_eq!(store.count_holders(1, Some(1), NOW).await.unwrap().tokens, 0);
    assert_eq!(store.kill_tokens(1, 1, &by()).await.unwrap(), Some(0), "there are none");
    assert_eq!(
        (store.kill_tokens(1, 9, &by()).await.unwrap(), store.kill_tokens(2, 1, &by()).await.unwrap()),
        (None, None)
    );
    assert_eq!((store.delete_dead(1).await.unwrap(), store.delete_dead(9).await.unwrap()), (1, 1));
    assert_eq!(store.delete_dead(9).await.unwrap(), 0);
    let mut app = app;
    assert_eq!(app.look("select cast(count(*) as text) from token").await.as_deref(), Some("1"));
}

async fn tokens_made_behind_it_live_whatever_the_clocks_say(app: TestApp) {
    let store = &app.store;
    // A node whose clock is ahead made one; it dies, too.
    let (ahead, _) = issue(store, 1, Lifetime::Forever, NOW.plus_seconds(100)).await;
    store.kill_tokens(1, 1, &by()).await.unwrap();
    assert!(!lives(store, ahead.digest()).await);
    // Dead, and its row not removed yet: its use is recognised all the same.
    assert_eq!(store.find_deleted(&[ahead.digest()]).await.unwrap().len(), 1);
    assert_eq!(store.find_living(&ahead.digest()).await.unwrap(), None);
    // What is made now begins behind the moment until which all were dead.
    let (value, new) = new_token(1, Lifetime::Seconds(10), NOW);
    let Ok(Issued::Now { created_at, expires_at }) = store.issue_token(&new, DEFAULTS).await.unwrap() else { panic!() };
    assert_eq!(created_at.as_millis(), NOW.plus_seconds(100).as_millis() + 1);
    assert_eq!(expires_at, Some(created_at.plus_seconds(10)));
    assert!(lives(store, value.digest()).await);
    store.kill_tokens(1, 1, &by()).await.unwrap();
    assert!(!lives(store, value.digest()).await);
}

/// Makes a token by another.
async fn child(store: &Store, parent: Uuid) -> (TokenDigest, Uuid) {
    let (value, mut new) = new_token(1, Lifetime::Forever, NOW);
    new.mutation.act.token_id = Some(parent);
    store.issue_token(&new, DEFAULTS).await.unwrap().unwrap();
    assert_eq!(store.find_token(Owner::Workspace(1), new.id).await.unwrap().unwrap().parent_id, Some(parent));
    (value.digest(), new.id)
}

async fn a_family_is_deleted_also_where_a_member_is_gone(app: TestApp) {
    let store = &app.store;
    let (other, _) = issue(store, 1, Lifetime::Forever, NOW).await;
    let (root, root_id) = issue(store, 1, Lifetime::Forever, NOW).await;
    let (middle, middle_id) = child(store, root_id).await;
    let (leaf, leaf_id) = child(store, middle_id).await;
    let (second, _) = child(store, root_id).await;
    store.delete_token(Owner::Workspace(1), middle_id, &by()).await.unwrap();
    let stranger = Owner::Person { workspace_id: 1, person_id: 2 };
    assert_eq!(store.delete_family(stranger, root_id, Action::TokenDeleted, &by()).await.unwrap().digests, []);
    assert_eq!(
        store.delete_family(Owner::Workspace(2), root_id, Action::TokenDeleted, &by()).await.unwrap().digests,
        []
    );
    let mut deleted =
        store.delete_family(Owner::Workspace(1), root_id, Action::TokenDeleted, &by()).await.unwrap().digests;
    deleted.sort_by_key(|digest| *digest.as_bytes());
    let mut expected = [root.digest(), leaf, second];
    expected.sort_by_key(|digest| *digest.as_bytes());
    assert_eq!(deleted, expected);
    for digest in [root.digest(), middle, leaf, second] {
        assert!(!lives(store, digest).await);
    }
    assert!(lives(store, other.digest()).await);
    assert_eq!(
        store.delete_family(Owner::Workspace(1), root_id, Action::TokenDeleted, &by()).await.unwrap().digests,
        []
    );
    let told = store.list_entries(1, 0, 100).await.unwrap().pop().unwrap().0.details;
    assert!(told.contains(&leaf_id.to_string()) && told.contains(r#""descendants":2"#), "{told}");
    // The root is gone, what it made is not.
    let (_, root_id) = issue(store, 1, Lifetime::Forever, NOW).await;
    let (kept, _) = child(store, root_id).await;
    store.delete_token(Owner::Workspace(1), root_id, &by()).await.unwrap();
    assert_eq!(
        store.delete_family(Owner::Workspace(1), root_id, Action::TokenDeleted, &by()).await.unwrap().digests,
        [kept]
    );
}

async fn what_is_gone_is_remembered_for_a_while(app: TestApp) {
    let store = &app.store;
    let (gone, id) = issue(store, 1, Lifetime::Forever, NOW).await;
    let (living, living_id) = child(store, id).await;
    store.delete_token(Owner::Workspace(1), id, &by()).await.unwrap();
    let hint = gone.display_prefix().to_owned();
    let expected = (gone.digest(), TokenLabel { id, workspace_id: 1, person_id: 1, hint });
    assert_eq!(store.find_deleted(&[gone.digest(), living]).await.unwrap(), [expected]);
    let now = tokenward::domain::time::Clock::system().now();
    assert_eq!(store.forget_deleted(now.plus_seconds(60)).await.unwrap(), 0, "what it made lives");
    store.delete_token(Owner::Workspace(1), living_id, &by()).await.unwrap();
    assert_eq!(store.forget_deleted(now.plus_seconds(-3_600)).await.unwrap(), 0, "not old");
    assert_eq!(store.forget_deleted(now.plus_seconds(60)).await.unwrap(), 1);
    assert_eq!(store.forget_deleted(now.plus_seconds(60)).await.unwrap(), 1);
    assert_eq!(store.find_deleted(&[gone.digest()]).await.unwrap(), []);
}

async fn the_same_request_is_given_the_same_token(app: TestApp) {
    let store = &app.store;
    let asked = |key: u8, body: u8, seconds: i64| {
        let (_, mut new) = new_token(1, Lifetime::Seconds(60), NOW.plus_seconds(seconds));
        new.once = Some(Once { key: [key; 32], body: [body; 32], sealed: vec![key, body] });
        new
    };
    let first = asked(1, 1, 0);
    let again = |new| async move { store.issue_token(&new, DEFAULTS).await.unwrap() };
    assert!(matches!(again(first.clone()).await, Ok(Issued::Now { .. })));
    let Ok(Issued::Before(Repeated { token, sealed })) = again(asked(1, 1, 599)).await else { panic!() };
    assert_eq!((token.id, token.created_at, sealed), (first.id, NOW, vec![1, 1]));
    assert_eq!(again(asked(1, 2, 1)).await, Err(NotIssued::OtherBody));
    let gone = asked(3, 1, 0);
    assert!(again(gone.clone()).await.is_ok());
    assert!(store.find_living(&gone.digest).await.unwrap().is_some());
    store.delete_token(Owner::Workspace(1), gone.id, &by()).await.unwrap();
    assert_eq!(again(asked(3, 1, 1)).await, Err(NotIssued::Deleted));
    assert!(matches!(again(asked(2, 1, 1)).await, Ok(Issued::Now { .. })), "another key");
    assert!(matches!(again(asked(1, 2, 600)).await, Ok(Issued::Now { .. })), "ten minutes are over");
    assert_eq!(store.count_members(1).await.unwrap().1, 3);
    assert_eq!(store.delete_repeatable(NOW.plus_seconds(601)).await.unwrap(), 2);
    assert_eq!(store.delete_repeatable(NOW.plus_seconds(1_200)).await.unwrap(), 1);
}

async fn a_person_has_at_most_so_many(app: TestApp) {
    let store = &app.store;
    let limited = || {
        let mut new = new_token(1, Lifetime::Seconds(10), NOW).1;
        new.most_live = Some(2);
        new
    };
    for _ in 0..2 {
        assert!(store.issue_token(&limited(), DEFAULTS).await.unwrap().is_ok());
    }
    assert_eq!(store.issue_token(&limited(), DEFAULTS).await.unwrap(), Err(NotIssued::TooMany { most: 2 }));
    let mut later = limited();
    later.mutation.act.at = NOW.plus_seconds(10);
    assert!(store.issue_token(&later, DEFAULTS).await.unwrap().is_ok(), "expired ones do not live");
}
