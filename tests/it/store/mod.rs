//! The store's contract: every method, on both databases.

mod audit_chain;
mod authority;
mod clock;
mod cluster;
mod counts;
mod descendants;
mod events;
mod failover;
mod lists;
mod login_failures;
mod removal;
mod sessions;
mod sources;
mod tls;

use std::{collections::HashSet, time::Duration};

use tokenward::{
    config::CacheMode,
    domain::{
        authority::{Authority, Credential, Mutation, RequiredRole},
        event::{Act, Origin},
        person::{Email, EmailKey, PersonName, TokenAccess},
        random::Random,
        setting::{Key, Settings, Value},
        time::{Clock, Timestamp},
        token::{Lifetime, NotIssued, Status},
        token_query::{Page, Sort, SortKey, Which},
        workspace::WorkspaceName,
    },
    store::{
        Error, Issued, NewPerson, NewToken, Node, Owner, PersonChange, PersonFilter, Rank, Schema, Store, TokenFilter,
    },
};
use tokenward_guard::token_format::{TokenFormat, TokenValue};
use uuid::Uuid;

use crate::support::{Database, Engine, TestApp};

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const DEFAULTS: Settings = Settings::defaults(true);
const ALL: Page =
    Page { sort: Sort { key: SortKey::CreatedAt, descending: false }, limit: None, offset: 0, after: None };

on_both!(
    the_schema_is_current_and_migrating_again_does_nothing,
    a_closed_store_is_unavailable,
    only_one_first_start_makes_workspace_one,
    workspaces_are_inserted_found_listed_renamed_and_deleted,
    a_workspace_whose_administrator_cannot_be_made_is_not_made,
    people_are_inserted_found_listed_changed_and_deleted,
    e_mails_are_unique_in_the_whole_store,
    the_last_in_charge_is_kept,
    sign_ins_are_noted_forwards_only,
    a_password_hash_is_replaced_only_if_nobody_changed_it,
    settings_are_set_read_and_reset,
    a_token_is_issued_by_the_rules_in_force,
    a_digest_finds_token_holder_and_switch,
    tokens_are_found_listed_counted_and_deleted_within_reach,
    uses_are_noted_in_bulk_and_never_backwards,
    what_expired_long_ago_is_deleted_in_batches,
    many_digests_are_found_at_once,
);

/// Who does everything here; what a caller may do is tested in `authority`.
pub fn by() -> Mutation {
    at(NOW)
}

/// The same at another moment.
fn at(moment: Timestamp) -> Mutation {
    Mutation::without_caller(act_at(moment))
}

/// A mutation by the token of a person, who needs no role.
fn by_token(person_id: i64, token_id: Uuid) -> Mutation {
    let authority = Authority {
        workspace_id: 1,
        person_id,
        credential: Credential::Token(token_id),
        role: RequiredRole::Member,
        enabled_by_default: true,
        clock: Clock::from_fn(|| NOW),
    };
    let act = Act { person_id: Some(person_id), token_id: Some(token_id), ..act_at(NOW) };
    Mutation { act, authority: Some(authority) }
}

fn act_at(at: Timestamp) -> Act {
    Act { at, person_id: Some(1), name: "admin@example.com".to_owned(), token_id: None, origin: Origin::default() }
}

pub fn new_person(email: &str) -> NewPerson {
    NewPerson {
        email: Email::parse(email).unwrap(),
        name: PersonName::parse("Ada").unwrap(),
        password_hash: "hash".to_owned(),
        is_admin: false,
        is_platform_admin: false,
        force_password_change: false,
    }
}

fn new_token(person_id: i64, lifetime: Lifetime, created_at: Timestamp) -> (TokenValue, NewToken) {
    let random = Random::system();
    let value = TokenFormat::default().generate(|bytes| random.fill(bytes));
    let token = NewToken {
        id: Uuid::from_bytes(random.bytes()),
        workspace_id: 1,
        person_id,
        digest: value.digest(),
        hint: value.display_prefix().to_owned(),
        description: String::new(),
        lifetime,
        mutation: at(created_at),
        form: None,
        once: None,
        most_live: None,
    };
    (value, token)
}

async fn issue(store: &Store, person_id: i64, lifetime: Lifetime, created_at: Timestamp) -> (TokenValue, Uuid) {
    let (value, new) = new_token(person_id, lifetime, created_at);
    let expires_at = lifetime.end(created_at);
    assert_eq!(store.issue_token(&new, DEFAULTS).await.unwrap(), Ok(Issued::Now { created_at, expires_at }));
    (value, new.id)
}

async fn the_schema_is_current_and_migrating_again_does_nothing(app: TestApp) {
    assert_eq!(app.store.schema().await.unwrap(), Schema::Current);
    app.store.migrate().await.unwrap();
    assert_eq!(app.store.schema().await.unwrap(), Schema::Current);
}

async fn a_closed_store_is_unavailable(app: TestApp) {
    assert_eq!(app.store.engine() == "SQLite", app.database.engine == Engine::Sqlite);
    app.store.close().await;
    assert!(matches!(app.store.is_set_up().await, Err(Error::Unavailable(_))));
}

async fn only_one_first_start_makes_workspace_one(app: TestApp) {
    assert!(app.store.is_set_up().await.unwrap());
    let name = WorkspaceName::parse("again").unwrap();
    assert!(!app.store.set_up(&name, &new_person("again@example.com"), NOW).await.unwrap());
    assert_eq!(app.store.count_members(1).await.unwrap(), (1, 0));
}

async fn workspaces_are_inserted_found_listed_renamed_and_deleted(app: TestApp) {
    let name = WorkspaceName::parse("Lab").unwrap();
    let (lab, admin) = app.store.insert_workspace(&name, &new_person("eve@example.com"), &by()).await.unwrap();
    assert_eq!((lab.id, admin.workspace_id, lab.created_at), (2, 2, NOW));
    assert_eq!(app.store.find_workspace(2).await.unwrap(), Some(lab.clone()));
    assert_eq!(app.store.list_workspaces(1, 1).await.unwrap(), [lab]);
    assert_eq!(app.store.count_workspaces().await.unwrap(), 2);
    let renamed = WorkspaceName::parse("Laboratory").unwrap();
    assert!(app.store.rename_workspace(2, &renamed, &by()).await.unwrap());
    assert!(!app.store.rename_workspace(3, &renamed, &by()).await.unwrap());
    assert_eq!(app.store.find_workspace(2).await.unwrap().unwrap().name, "Laboratory");
    app.store.set_settings(2, &[(Key::AllowUsers, Value::Switch(true))], &by()).await.unwrap();
    assert!(
        app.store.delete_workspace(2, &by()).await.unwrap() && !app.store.delete_workspace(2, &by()).await.unwrap()
    );
    assert_eq!(app.store.find_person(2, admin.id).await.unwrap(), None);
    assert_eq!(app.store.find_settings(2).await.unwrap(), []);
    let (next, _) = app.store.insert_workspace(&name, &new_person("eve@example.com"), &by()).await.unwrap();
    assert_eq!(next.id, 3);
}

async fn a_workspace_whose_administrator_cannot_be_made_is_not_made(app: TestApp) {
    let name = WorkspaceName::parse("Lab").unwrap();
    let taken = app.store.insert_workspace(&name, &new_person("ADMIN@example.com"), &by()).await;
    assert!(matches!(taken, Err(Error::Conflict)));
    assert_eq!(app.store.count_workspaces().await.unwrap(), 1);
}

async fn people_are_inserted_found_listed_changed_and_deleted(app: TestApp) {
    let store = &app.store;
    let ada = store.insert_person(1, &new_person("Ada@example.com"), &by()).await.unwrap().unwrap();
    assert_eq!(store.find_person(1, ada.id).await.unwrap(), Some(ada.clone()));
    assert_eq!(store.find_person(2, ada.id).await.unwrap(), None);
    assert!(store.insert_person(99, &new_person("x@example.com"), &by()).await.unwrap().is_none());
    let found = store.find_person_by_email(&EmailKey::of("ADA@example.com")).await.unwrap().unwrap();
    assert_eq!((found.person, found.password_hash.as_str()), (ada.clone(), "hash"));
    assert!(store.find_person_by_email(&EmailKey::of("a\0b")).await.unwrap().is_none());
    let filter = PersonFilter { email: Some(EmailKey::of("ada@EXAMPLE.com")), is_disabled: Some(false) };
    assert_eq!(store.list_people_after(1, &filter, 0, (10, 0)).await.unwrap(), vec![ada.clone()]);
    assert_eq!(store.count_people(1, &filter).await.unwrap(), 1);
    assert_eq!(store.count_people(1, &PersonFilter::default()).await.unwrap(), 2);
    let change =
        PersonChange { token_access: Some(TokenAccess::Disabled), is_admin: Some(true), ..PersonChange::default() };
    let later = NOW.plus_seconds(1);
    assert_eq!(store.update_person(1, ada.id, &change, &at(later)).await.unwrap(), Rank::Changed);
    let changed = store.find_person(1, ada.id).await.unwrap().unwrap();
    assert_eq!((changed.token_access, changed.is_admin, changed.updated_at), (TokenAccess::Disabled, true, later));
    assert_eq!((changed.name, changed.email), (ada.name, ada.email));
    assert_eq!(store.update_person(2, ada.id, &change, &at(later)).await.unwrap(), Rank::Absent);
    assert_eq!(store.delete_person(2, ada.id, &at(later)).await.unwrap(), Rank::Absent);
    assert_eq!(store.delete_person(1, ada.id, &at(later)).await.unwrap(), Rank::Changed);
    assert_eq!(store.find_person(1, ada.id).await.unwrap(), None);
}

async fn e_mails_are_unique_in_the_whole_store(app: TestApp) {
    let again = app.store.insert_person(1, &new_person("Admin@Example.COM"), &by()).await;
    assert!(matches!(again, Err(Error::Conflict)));
    let ada = app.store.insert_person(1, &new_person("ada@example.com"), &by()).await.unwrap().unwrap();
    let change = PersonChange { email: Some(Email::parse("ADMIN@example.com").unwrap()), ..PersonChange::default() };
    assert!(matches!(app.store.update_person(1, ada.id, &change, &by()).await, Err(Error::Conflict)));
}

async fn the_last_in_charge_is_kept(app: TestApp) {
    let store = &app.store;
    let disable = PersonChange { is_disabled: Some(true), ..PersonChange::default() };
    assert_eq!(store.count_in_charge(1).await.unwrap(), (1, 1));
    assert_eq!(store.update_person(1, 1, &disable, &by()).await.unwrap(), Rank::LastAdministrator);
    assert_eq!(store.delete_person(1, 1, &by()).await.unwrap(), Rank::LastAdministrator);
    let mut second = new_person("bob@example.com");
    second.is_admin = true;
    let bob = store.insert_person(1, &second, &by()).await.unwrap().unwrap();
    assert_eq!(store.delete_person(1, 1, &by()).await.unwrap(), Rank::LastPlatformAdministrator);
    assert_eq!(store.count_in_charge(1).await.unwrap(), (2, 1));
    assert_eq!(store.update_person(1, bob.id, &disable, &by()).await.unwrap(), Rank::Changed);
    assert!(!store.find_person(1, 1).await.unwrap().unwrap().is_disabled, "what was refused was not done");
}

async fn sign_ins_are_noted_forwards_only(app: TestApp) {
    let seen = || async { app.store.find_person(1, 1).await.unwrap().unwrap().last_login_at };
    let admin = app.store.find_person(1, 1).await.unwrap().unwrap();
    let note = |moment: Timestamp| {
        let (store, admin) = (app.store.clone(), admin.clone());
        async move { store.note_sign_in(&admin, &act_at(moment), moment.plus_seconds(-60), true).await.unwrap() }
    };
    note(NOW).await;
    note(NOW.plus_seconds(59)).await;
    assert_eq!(seen().await, Some(NOW));
    note(NOW.plus_seconds(61)).await;
    assert_eq!(seen().await, Some(NOW.plus_seconds(61)));
}

async fn a_password_hash_is_replaced_only_if_nobody_changed_it(app: TestApp) {
    let ada = app.store.insert_person(1, &new_person("ada@example.com"), &by()).await.unwrap().unwrap();
    let seen = || async {
        app.store.find_person_by_email(&EmailKey::of("ada@example.com")).await.unwrap().unwrap().password_hash
    };
    app.store.replace_password_hash(ada.id, "other", "new").await.unwrap();
    assert_eq!(seen().await, "hash");
    app.store.replace_password_hash(ada.id, "hash", "new").await.unwrap();
    assert_eq!(seen().await, "new");
}

async fn settings_are_set_read_and_reset(app: TestApp) {
    let store = &app.store;
    let both = [(Key::Enabled, Value::Switch(false)), (Key::MaxLifetimeDays, Value::Days(7))];
    assert!(store.set_settings(1, &both, &by()).await.unwrap());
    assert!(store.set_settings(1, &[(Key::Enabled, Value::Switch(true))], &by()).await.unwrap());
    let mut set = store.find_settings(1).await.unwrap();
    set.sort_by_key(|(key, _)| key.as_str());
    assert_eq!(set, [(Key::Enabled, Value::Switch(true)), (Key::MaxLifetimeDays, Value::Days(7))]);
    assert_eq!(store.reset_settings(1, &[Key::Enabled, Key::AllowUsers], &by()).await.unwrap(), Some(1));
    assert_eq!(store.find_settings(1).await.unwrap(), [(Key::MaxLifetimeDays, Value::Days(7))]);
    assert!(!store.set_settings(99, &both, &by()).await.unwrap());
    assert_eq!(store.reset_settings(99, &[Key::Enabled], &by()).await.unwrap(), None);
}

async fn a_token_is_issued_by_the_rules_in_force(app: TestApp) {
    let store = &app.store;
    let ada = store.insert_person(1, &new_person("ada@example.com"), &by()).await.unwrap().unwrap();
    let attempt = |person_id: i64, lifetime: Lifetime| async move {
        store.issue_token(&new_token(person_id, lifetime, NOW).1, DEFAULTS).await.unwrap()
    };
    assert!(attempt(1, Lifetime::Forever).await.is_ok());
    assert_eq!(attempt(ada.id, Lifetime::Forever).await, Err(NotIssued::AdministratorsOnly));
    assert_eq!(attempt(99, Lifetime::Forever).await, Err(NotIssued::PersonGone));
    store.set_settings(1, &[(Key::MaxLifetimeDays, Value::Days(1))], &by()).await.unwrap();
    assert!(matches!(attempt(1, Lifetime::Forever).await, Err(NotIssued::Lifetime(_))));
    assert!(attempt(1, Lifetime::Seconds(86_400)).await.is_ok());
    store.set_settings(1, &[(Key::Enabled, Value::Switch(false))], &by()).await.unwrap();
    assert_eq!(attempt(1, Lifetime::Seconds(1)).await, Err(NotIssued::FeatureOff));
    assert_eq!(store.count_members(1).await.unwrap().1, 2);
    store.reset_settings(1, &[Key::Enabled], &by()).await.unwrap();
    let off_by_default = Settings::defaults(false);
    let refused = store.issue_token(&new_token(1, Lifetime::Seconds(1), NOW).1, off_by_default).await.unwrap();
    assert_eq!(refused, Err(NotIssued::FeatureOff));
}

async fn a_digest_finds_token_holder_and_switch(app: TestApp) {
    let store = &app.store;
    let (value, id) = issue(store, 1, Lifetime::Seconds(60), NOW).await;
    let find = |digest| async move {
        let found = store.find_by_digests(&[digest]).await.unwrap();
        assert!(found.iter().all(|(of, _)| *of == digest) && found.len() < 2);
        found.into_iter().next().map(|(_, found)| found)
    };
    let found = find(value.digest()).await.unwrap();
    assert_eq!((found.token_id, found.expires_at, found.enabled), (id, Some(NOW.plus_seconds(60)), None));
    assert_eq!((found.person_id, found.workspace_id, found.email.as_str()), (1, 1, "admin@example.com"));
    assert!(found.is_admin && found.is_platform_admin && !found.is_disabled);
    store.set_settings(1, &[(Key::Enabled, Value::Switch(false))], &by()).await.unwrap();
    assert_eq!(find(value.digest()).await.unwrap().enabled, Some(false));
    let unknown = TokenFormat::default().generate(|bytes| Random::system().fill(bytes));
    assert!(find(unknown.digest()).await.is_none());
    assert!(!store.delete_by_digest(&unknown.digest(), &by()).await.unwrap());
    assert!(store.delete_by_digest(&value.digest(), &by()).await.unwrap());
    assert!(find(value.digest()).await.is_none());
}

async fn tokens_are_found_listed_counted_and_deleted_within_reach(app: TestApp) {
    let store = &app.store;
    let (value, old) = issue(store, 1, Lifetime::Seconds(10), NOW).await;
    let (_, young) = issue(store, 1, Lifetime::Forever, NOW.plus_seconds(1)).await;
    let mine = Owner::Person { workspace_id: 1, person_id: 1 };
    let anothers = Owner::Person { workspace_id: 1, person_id: 2 };
    for (owner, within) in [(mine, true), (Owner::Workspace(1), true), (anothers, false), (Owner::Workspace(2), false)]
    {
        assert_eq!(store.find_token(owner, old).await.unwrap().is_some(), within, "{owner:?}");
        let filter = TokenFilter { owner, which: Which::default(), now: NOW };
        assert_eq!(store.count_tokens(&filter).await.unwrap(), if within { 2 } else { 0 });
        let ids: Vec<Uuid> =
            store.list_tokens(&filter, &ALL).await.unwrap().iter().map(|(token, _)| token.id).collect();
        assert_eq!(ids, if within { vec![old, young] } else { vec![] });
    }
    let at_expiry = NOW.plus_seconds(10);
    for (status, id) in [(Status::Expired, old), (Status::Active, young)] {
        let filter =
            TokenFilter { owner: mine, which: Which { status: Some(status), ..Which::default() }, now: at_expiry };
        assert_eq!(store.list_tokens(&filter, &ALL).await.unwrap()[0].0.id, id);
        assert_eq!(store.count_tokens(&filter).await.unwrap(), 1);
    }
    assert!(
        store.delete_token(anothers, old, &by()).await.unwrap().is_none()
            && store.delete_token(Owner::Workspace(2), old, &by()).await.unwrap().is_none()
    );
    assert_eq!(store.delete_token(mine, old, &by()).await.unwrap(), Some(value.digest()));
    assert_eq!(store.delete_token(mine, old, &by()).await.unwrap(), None);
}

async fn uses_are_noted_in_bulk_and_never_backwards(app: TestApp) {
    let store = &app.store;
    let (_, id) = issue(store, 1, Lifetime::Forever, NOW).await;
    let seen = || async { store.find_token(Owner::Workspace(1), id).await.unwrap().unwrap().last_used_at };
    let strangers = (0..25_000u128).map(|n| (Uuid::from_u128(n), NOW));
    let many: Vec<_> = strangers.chain([(id, NOW.plus_seconds(5))]).collect();
    store.note_uses(&many).await.unwrap();
    assert_eq!(seen().await, Some(NOW.plus_seconds(5)));
    store.note_uses(&[(id, NOW)]).await.unwrap();
    assert_eq!(seen().await, Some(NOW.plus_seconds(5)));
    store.note_uses(&[]).await.unwrap();
}

async fn what_expired_long_ago_is_deleted_in_batches(app: TestApp) {
    let store = &app.store;
    for _ in 0..3 {
        issue(store, 1, Lifetime::Seconds(10), NOW).await;
    }
    let (_, kept) = issue(store, 1, Lifetime::Seconds(11), NOW).await;
    issue(store, 1, Lifetime::Forever, NOW).await;
    let before = NOW.plus_seconds(11);
    let mut counts = Vec::new();
    for _ in 0..3 {
        counts.push(store.delete_expired(before, 2).await.unwrap().len());
    }
    assert_eq!(counts, [2, 1, 0]);
    assert!(store.find_token(Owner::Workspace(1), kept).await.unwrap().is_some());
}

async fn many_digests_are_found_at_once(app: TestApp) {
    let mut digests = Vec::new();
    for _ in 0..300 {
        digests.push(issue(&app.store, 1, Lifetime::Forever, NOW).await.0.digest());
    }
    digests.push(TokenFormat::default().generate(|bytes| Random::system().fill(bytes)).digest());
    let found = app.store.find_by_digests(&digests).await.unwrap();
    let of: HashSet<_> = found.iter().map(|(digest, _)| *digest).collect();
    assert_eq!((found.len(), of), (300, digests[..300].iter().copied().collect()));
    assert!(app.store.find_by_digests(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn nodes_join_renew_call_and_leave() {
    let lease = Duration::from_millis(1_500);
    // Without a cache the app itself is no node.
    let app =
        TestApp::with(Database::migrated(Engine::Postgres).await, |config| config.cache.mode = CacheMode::Off).await;
    let nodes = app.store.nodes().unwrap();
    let mut ear =
        nodes.listen(Uuid::from_u128(9), Uuid::from_u128(3), lease).await.unwrap().expect("nothing stands between");
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    nodes.join(one, lease, "one joined").await.unwrap();
    nodes.join(two, lease, "two joined").await.unwrap();
    assert!(ear.renew(two, lease, "two renewed").await.unwrap());
    let to = |process, notice: &str| (Uuid::from_u128(process), notice.to_owned());
    ear.tell(&[to(9, "a"), to(8, "for somebody else"), to(9, "b")]).await.unwrap();
    ear.tell(&[]).await.unwrap();
    let mut listed = nodes.call("called").await.unwrap();
    listed.sort_by_key(|node| node.id);
    assert_eq!(listed, [Node { id: one, lease, renewals: 0 }, Node { id: two, lease, renewals: 1 }]);
    // Two has renewed since, and is not removed.
    assert!(ear.renew(two, lease, "two renewed again").await.unwrap());
    assert_eq!(nodes.remove_silent(&listed).await.unwrap(), 1);
    assert!(!ear.renew(one, lease, "never told").await.unwrap());
    nodes.leave(two, "two left").await.unwrap();
    assert!(nodes.call("called again").await.unwrap().is_empty());
    nodes.join(one, lease, "the end").await.unwrap();
    let mut heard = Vec::new();
    while heard.last().is_none_or(|last| last != "the end") {
        let next = ear.buffered();
        heard.push(if let Some(notice) = next { notice } else { ear.next().await.unwrap() });
    }
    let told =
        ["one joined", "two joined", "two renewed", "a", "b", "called", "two renewed again", "two left", "the end"];
    assert_eq!(heard, told, "a call that lists nobody is told to nobody");
}

#[tokio::test]
async fn sqlite_has_no_nodes() {
    let app = TestApp::start(Engine::Sqlite).await;
    assert!(app.store.nodes().is_none());
}

/// Every method of the store is called in this folder.
#[test]
fn every_method_is_tested() {
    let methods: HashSet<String> = texts("src/store")
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| Some(line.trim().strip_prefix("pub async fn ")?.split('(').next()?.to_owned()))
        // Every test opens a store.
        .filter(|method| method != "open")
        .collect();
    // What is only spoken of is not called.
    let tests = texts("tests/it/store").concat();
    let code: String = tests.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let untested: Vec<_> = methods.iter().filter(|method| !code.contains(&format!(".{method}("))).collect();
    assert!(untested.is_empty(), "{untested:?}");
    assert!(methods.len() > 20);
}

/// The source files of a folder and of those in it.
fn texts(folder: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { texts.push(std::fs::read_to_string(path).unwrap()) }
        }
    }
    texts
}

#[tokio::test]
async fn nodes_that_migrate_at_once_take_turns() {
    let database = Database::empty(Engine::Postgres).await;
    let starts = (0..6).map(|_| {
        let config = crate::support::config(&database.url);
        // Each node has threads and a runtime of its own, as it has in life.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(tokenward::http::server::open_store(&config, true)).map(|_| ())
        })
    });
    for start in starts.collect::<Vec<_>>() {
        tokio::task::spawn_blocking(|| start.join().unwrap()).await.unwrap().unwrap();
    }
}
