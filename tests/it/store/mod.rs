//! Tests of the store: every method, on both databases.

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

use rstest::rstest;
use rstest_reuse::apply;
use std::{collections::HashSet, time::Duration};

use tokenward::{
    config::CacheMode,
    domain::{
        authority::{Authority, Mutation, RequiredRole, VerifiedCredential},
        event::{AuditContext, RequestContext},
        id::{PersonId, WorkspaceId},
        invalidation::Invalidation,
        person::{Email, EmailKey, PersonName, TokenAccess},
        random::Random,
        setting::{SettingKey, SettingValue, Settings},
        time::{Clock, Timestamp},
        token::{IssueError, Lifetime, TokenStatus},
        token_query::{Sort, SortKey, TokenFilter, TokenPageQuery},
        workspace::WorkspaceName,
    },
    store::{
        Barrier, Error, IssueOutcome, NewPerson, NewToken, NodeRow, OwnerScope, PersonChange, PersonFilter,
        SchemaStatus, Store, TokenListQuery, UpdateOutcome,
    },
};
use tokenward_guard::token_format::{TokenFormat, TokenValue};
use uuid::Uuid;

use crate::support::{Database, Engine, TestApp, both_databases};

/// The first workspace.
pub const WORKSPACE: WorkspaceId = WorkspaceId::FIRST;
/// The administrator of the first workspace.
pub const ADMIN: PersonId = PersonId::new(1);
const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const DEFAULT_SETTINGS: Settings = Settings::defaults(true);
const ALL_TOKENS: TokenPageQuery =
    TokenPageQuery { sort: Sort { key: SortKey::CreatedAt, descending: false }, limit: None, offset: 0, after: None };

/// The barrier of a store without caches: a committed change is effective at once.
pub struct NoCache;

impl Barrier for NoCache {
    async fn wait(&self, _invalidations: &[Invalidation]) {}
}

/// A barrier that records what was invalidated.
#[derive(Default)]
pub struct RecordingBarrier(std::sync::Mutex<Vec<Invalidation>>);

impl RecordingBarrier {
    /// Returns the invalidations of all results that waited.
    pub fn invalidations(&self) -> Vec<Invalidation> {
        self.0.lock().unwrap().clone()
    }
}

impl Barrier for RecordingBarrier {
    async fn wait(&self, invalidations: &[Invalidation]) {
        self.0.lock().unwrap().extend(invalidations);
    }
}

/// Returns a mutation of the operator at [`NOW`]. The rights of callers are tested in
/// `api/stale_credentials.rs`.
pub fn operator_mutation() -> Mutation {
    mutation_at(NOW)
}

/// Returns a mutation of the operator at another time.
fn mutation_at(moment: Timestamp) -> Mutation {
    Mutation::without_caller(audit_context_at(moment))
}

/// Returns a mutation by a token, which requires no role.
fn token_mutation(person_id: PersonId, token_id: Uuid) -> Mutation {
    let authority = Authority {
        workspace_id: WORKSPACE,
        person_id,
        credential: VerifiedCredential::Token(token_id),
        role: RequiredRole::Member,
        enabled_by_default: true,
        clock: Clock::from_fn(|| NOW),
    };
    let context = AuditContext { actor_id: Some(person_id), token_id: Some(token_id), ..audit_context_at(NOW) };
    Mutation { context, authority: Some(authority) }
}

fn audit_context_at(at: Timestamp) -> AuditContext {
    AuditContext {
        at,
        actor_id: Some(ADMIN),
        actor_name: "admin@example.com".to_owned(),
        token_id: None,
        request: RequestContext::default(),
    }
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

fn new_token(person_id: PersonId, lifetime: Lifetime, created_at: Timestamp) -> (TokenValue, NewToken) {
    let random = Random::system();
    let value = TokenFormat::default().generate(|bytes| random.fill(bytes));
    let token = NewToken {
        id: Uuid::from_bytes(random.bytes()),
        workspace_id: WORKSPACE,
        person_id,
        digest: value.digest(),
        display_prefix: value.display_prefix().to_owned(),
        description: String::new(),
        lifetime,
        mutation: mutation_at(created_at),
        form: None,
        idempotency: None,
        max_active: None,
    };
    (value, token)
}

async fn issue_token(
    store: &Store,
    person_id: PersonId,
    lifetime: Lifetime,
    created_at: Timestamp,
) -> (TokenValue, Uuid) {
    let (value, new) = new_token(person_id, lifetime, created_at);
    let expires_at = lifetime.expires_at(created_at);
    assert_eq!(
        store.issue_token(&new, DEFAULT_SETTINGS).await.unwrap(),
        Ok(IssueOutcome::Created { created_at, expires_at })
    );
    (value, new.id)
}

#[apply(both_databases)]
async fn the_schema_is_current_and_migrating_again_does_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    assert_eq!(app.store.schema_status().await.unwrap(), SchemaStatus::Current);
    app.store.migrate().await.unwrap();
    assert_eq!(app.store.schema_status().await.unwrap(), SchemaStatus::Current);
}

#[apply(both_databases)]
async fn a_closed_store_is_unavailable(engine: Engine) {
    let app = TestApp::start(engine).await;
    assert_eq!(app.store.engine() == "SQLite", app.database.engine == Engine::Sqlite);
    app.store.close().await;
    assert!(matches!(app.store.is_bootstrapped().await, Err(Error::Unavailable(_))));
}

#[apply(both_databases)]
async fn only_the_first_start_creates_workspace_one(engine: Engine) {
    let app = TestApp::start(engine).await;
    assert!(app.store.is_bootstrapped().await.unwrap());
    let name = WorkspaceName::parse("again").unwrap();
    assert!(!app.store.bootstrap(&name, &new_person("again@example.com"), NOW).await.unwrap());
    assert_eq!(app.store.count_people_and_tokens(WORKSPACE).await.unwrap(), (1, 0));
}

#[apply(both_databases)]
async fn workspaces_are_inserted_found_listed_renamed_and_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let name = WorkspaceName::parse("Lab").unwrap();
    let (lab, admin) =
        app.store.insert_workspace(&name, &new_person("eve@example.com"), &operator_mutation()).await.unwrap();
    assert_eq!((lab.id, admin.workspace_id, lab.created_at), (WorkspaceId::new(2), WorkspaceId::new(2), NOW));
    assert_eq!(app.store.find_workspace(WorkspaceId::new(2)).await.unwrap(), Some(lab.clone()));
    assert_eq!(app.store.list_workspaces(1, 1).await.unwrap(), [lab]);
    assert_eq!(app.store.count_workspaces().await.unwrap(), 2);
    let renamed = WorkspaceName::parse("Laboratory").unwrap();
    assert!(app.store.rename_workspace(WorkspaceId::new(2), &renamed, &operator_mutation()).await.unwrap());
    assert!(!app.store.rename_workspace(WorkspaceId::new(3), &renamed, &operator_mutation()).await.unwrap());
    assert_eq!(app.store.find_workspace(WorkspaceId::new(2)).await.unwrap().unwrap().name, "Laboratory");
    app.store
        .set_settings(
            WorkspaceId::new(2),
            &[(SettingKey::AllowUsers, SettingValue::Switch(true))],
            &operator_mutation(),
        )
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    assert!(
        app.store.delete_workspace(WorkspaceId::new(2), &operator_mutation()).await.unwrap().wait_for(&NoCache).await
            && !app
                .store
                .delete_workspace(WorkspaceId::new(2), &operator_mutation())
                .await
                .unwrap()
                .wait_for(&NoCache)
                .await
    );
    assert_eq!(app.store.find_person(WorkspaceId::new(2), admin.id).await.unwrap(), None);
    assert_eq!(app.store.find_settings(WorkspaceId::new(2)).await.unwrap(), []);
    let (next, _) =
        app.store.insert_workspace(&name, &new_person("eve@example.com"), &operator_mutation()).await.unwrap();
    assert_eq!(next.id, WorkspaceId::new(3));
}

#[apply(both_databases)]
async fn a_workspace_is_not_created_if_its_administrator_cannot_be(engine: Engine) {
    let app = TestApp::start(engine).await;
    let name = WorkspaceName::parse("Lab").unwrap();
    let taken = app.store.insert_workspace(&name, &new_person("ADMIN@example.com"), &operator_mutation()).await;
    assert!(matches!(taken, Err(Error::Conflict)));
    assert_eq!(app.store.count_workspaces().await.unwrap(), 1);
}

#[apply(both_databases)]
async fn people_are_inserted_found_listed_changed_and_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada =
        store.insert_person(WORKSPACE, &new_person("Ada@example.com"), &operator_mutation()).await.unwrap().unwrap();
    assert_eq!(store.find_person(WORKSPACE, ada.id).await.unwrap(), Some(ada.clone()));
    assert_eq!(store.find_person(WorkspaceId::new(2), ada.id).await.unwrap(), None);
    assert!(
        store
            .insert_person(WorkspaceId::new(99), &new_person("x@example.com"), &operator_mutation())
            .await
            .unwrap()
            .is_none()
    );
    let found = store.find_person_by_email(&EmailKey::from_text("ADA@example.com")).await.unwrap().unwrap();
    assert_eq!((found.person, found.password_hash.as_str()), (ada.clone(), "hash"));
    assert!(store.find_person_by_email(&EmailKey::from_text("a\0b")).await.unwrap().is_none());
    let filter = PersonFilter { email: Some(EmailKey::from_text("ada@EXAMPLE.com")), is_disabled: Some(false) };
    assert_eq!(store.list_people_after(WORKSPACE, &filter, None, (10, 0)).await.unwrap(), vec![ada.clone()]);
    assert_eq!(store.count_people(WORKSPACE, &filter).await.unwrap(), 1);
    assert_eq!(store.count_people(WORKSPACE, &PersonFilter::default()).await.unwrap(), 2);
    let change =
        PersonChange { token_access: Some(TokenAccess::Disabled), is_admin: Some(true), ..PersonChange::default() };
    let later = NOW.plus_seconds(1);
    assert_eq!(
        store.update_person(WORKSPACE, ada.id, &change, &mutation_at(later)).await.unwrap().wait_for(&NoCache).await,
        UpdateOutcome::Changed
    );
    let changed = store.find_person(WORKSPACE, ada.id).await.unwrap().unwrap();
    assert_eq!((changed.token_access, changed.is_admin, changed.updated_at), (TokenAccess::Disabled, true, later));
    assert_eq!((changed.name, changed.email), (ada.name, ada.email));
    assert_eq!(
        store
            .update_person(WorkspaceId::new(2), ada.id, &change, &mutation_at(later))
            .await
            .unwrap()
            .wait_for(&NoCache)
            .await,
        UpdateOutcome::NotFound
    );
    assert_eq!(
        store.delete_person(WorkspaceId::new(2), ada.id, &mutation_at(later)).await.unwrap().wait_for(&NoCache).await,
        UpdateOutcome::NotFound
    );
    assert_eq!(
        store.delete_person(WORKSPACE, ada.id, &mutation_at(later)).await.unwrap().wait_for(&NoCache).await,
        UpdateOutcome::Changed
    );
    assert_eq!(store.find_person(WORKSPACE, ada.id).await.unwrap(), None);
}

#[apply(both_databases)]
async fn emails_are_unique_in_the_whole_store(engine: Engine) {
    let app = TestApp::start(engine).await;
    let again = app.store.insert_person(WORKSPACE, &new_person("Admin@Example.COM"), &operator_mutation()).await;
    assert!(matches!(again, Err(Error::Conflict)));
    let ada = app
        .store
        .insert_person(WORKSPACE, &new_person("ada@example.com"), &operator_mutation())
        .await
        .unwrap()
        .unwrap();
    let change = PersonChange { email: Some(Email::parse("ADMIN@example.com").unwrap()), ..PersonChange::default() };
    assert!(matches!(
        app.store.update_person(WORKSPACE, ada.id, &change, &operator_mutation()).await,
        Err(Error::Conflict)
    ));
}

#[apply(both_databases)]
async fn the_last_administrator_is_kept(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let disable = PersonChange { is_disabled: Some(true), ..PersonChange::default() };
    assert_eq!(store.count_administrators(WORKSPACE).await.unwrap(), (1, 1));
    assert_eq!(
        store.update_person(WORKSPACE, ADMIN, &disable, &operator_mutation()).await.unwrap().wait_for(&NoCache).await,
        UpdateOutcome::LastAdministrator
    );
    assert_eq!(
        store.delete_person(WORKSPACE, ADMIN, &operator_mutation()).await.unwrap().wait_for(&NoCache).await,
        UpdateOutcome::LastAdministrator
    );
    let mut second = new_person("bob@example.com");
    second.is_admin = true;
    let bob = store.insert_person(WORKSPACE, &second, &operator_mutation()).await.unwrap().unwrap();
    assert_eq!(
        store.delete_person(WORKSPACE, ADMIN, &operator_mutation()).await.unwrap().wait_for(&NoCache).await,
        UpdateOutcome::LastPlatformAdministrator
    );
    assert_eq!(store.count_administrators(WORKSPACE).await.unwrap(), (2, 1));
    assert_eq!(
        store.update_person(WORKSPACE, bob.id, &disable, &operator_mutation()).await.unwrap().wait_for(&NoCache).await,
        UpdateOutcome::Changed
    );
    assert!(!store.find_person(WORKSPACE, ADMIN).await.unwrap().unwrap().is_disabled, "a rejected change is not made");
}

#[apply(both_databases)]
async fn the_last_login_time_only_moves_forward(engine: Engine) {
    let app = TestApp::start(engine).await;
    let last_login_at = || async { app.store.find_person(WORKSPACE, ADMIN).await.unwrap().unwrap().last_login_at };
    let admin = app.store.find_person(WORKSPACE, ADMIN).await.unwrap().unwrap();
    let note = |moment: Timestamp| {
        let (store, admin) = (app.store.clone(), admin.clone());
        async move { store.record_sign_in(&admin, &audit_context_at(moment), moment.plus_seconds(-60), true).await.unwrap() }
    };
    note(NOW).await;
    note(NOW.plus_seconds(59)).await;
    assert_eq!(last_login_at().await, Some(NOW));
    note(NOW.plus_seconds(61)).await;
    assert_eq!(last_login_at().await, Some(NOW.plus_seconds(61)));
}

#[apply(both_databases)]
async fn a_password_hash_is_replaced_only_if_unchanged(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app
        .store
        .insert_person(WORKSPACE, &new_person("ada@example.com"), &operator_mutation())
        .await
        .unwrap()
        .unwrap();
    let password_hash_of = || async {
        app.store.find_person_by_email(&EmailKey::from_text("ada@example.com")).await.unwrap().unwrap().password_hash
    };
    app.store.replace_password_hash(ada.id, "other", "new").await.unwrap();
    assert_eq!(password_hash_of().await, "hash");
    app.store.replace_password_hash(ada.id, "hash", "new").await.unwrap();
    assert_eq!(password_hash_of().await, "new");
}

#[apply(both_databases)]
async fn settings_are_set_read_and_reset(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let both =
        [(SettingKey::Enabled, SettingValue::Switch(false)), (SettingKey::MaxLifetimeDays, SettingValue::Days(7))];
    assert!(store.set_settings(WORKSPACE, &both, &operator_mutation()).await.unwrap().wait_for(&NoCache).await);
    assert!(
        store
            .set_settings(WORKSPACE, &[(SettingKey::Enabled, SettingValue::Switch(true))], &operator_mutation())
            .await
            .unwrap()
            .wait_for(&NoCache)
            .await
    );
    let mut set = store.find_settings(WORKSPACE).await.unwrap();
    set.sort_by_key(|(key, _)| key.as_str());
    assert_eq!(
        set,
        [(SettingKey::Enabled, SettingValue::Switch(true)), (SettingKey::MaxLifetimeDays, SettingValue::Days(7))]
    );
    assert_eq!(
        store
            .reset_settings(WORKSPACE, &[SettingKey::Enabled, SettingKey::AllowUsers], &operator_mutation())
            .await
            .unwrap()
            .wait_for(&NoCache)
            .await,
        Some(1)
    );
    assert_eq!(store.find_settings(WORKSPACE).await.unwrap(), [(SettingKey::MaxLifetimeDays, SettingValue::Days(7))]);
    assert!(
        !store.set_settings(WorkspaceId::new(99), &both, &operator_mutation()).await.unwrap().wait_for(&NoCache).await
    );
    assert_eq!(
        store
            .reset_settings(WorkspaceId::new(99), &[SettingKey::Enabled], &operator_mutation())
            .await
            .unwrap()
            .wait_for(&NoCache)
            .await,
        None
    );
}

#[apply(both_databases)]
async fn a_token_is_issued_by_the_rules_in_force(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada =
        store.insert_person(WORKSPACE, &new_person("ada@example.com"), &operator_mutation()).await.unwrap().unwrap();
    let attempt = |person_id: PersonId, lifetime: Lifetime| async move {
        store.issue_token(&new_token(person_id, lifetime, NOW).1, DEFAULT_SETTINGS).await.unwrap()
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
    let result = store.issue_token(&new_token(ADMIN, Lifetime::Seconds(1), NOW).1, off_by_default).await.unwrap();
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
    assert_eq!((found.token_id, found.expires_at, found.enabled), (id, Some(NOW.plus_seconds(60)), None));
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
    let unknown_tokens = (0..25_000u128).map(|n| (Uuid::from_u128(n), NOW));
    let many: Vec<_> = unknown_tokens.chain([(id, NOW.plus_seconds(5))]).collect();
    store.update_last_used(&many).await.unwrap();
    assert_eq!(last_used_at().await, Some(NOW.plus_seconds(5)));
    store.update_last_used(&[(id, NOW)]).await.unwrap();
    assert_eq!(last_used_at().await, Some(NOW.plus_seconds(5)));
    store.update_last_used(&[]).await.unwrap();
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

#[tokio::test]
async fn nodes_join_renew_ping_and_leave() {
    let lease = Duration::from_millis(1_500);
    // Without a cache the service itself is no node.
    let app =
        TestApp::start_with(Database::migrated(Engine::Postgres).await, |config| config.cache.mode = CacheMode::Off)
            .await;
    let nodes = app.store.cluster().unwrap();
    let mut stream =
        nodes.listen(Uuid::from_u128(9), Uuid::from_u128(3), lease).await.unwrap().expect("a direct connection");
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    nodes.join(one, lease, "one joined").await.unwrap();
    nodes.join(two, lease, "two joined").await.unwrap();
    assert!(stream.renew(two, lease, "two renewed").await.unwrap());
    let to = |process, notice: &str| (Uuid::from_u128(process), notice.to_owned());
    stream.notify_processes(&[to(9, "a"), to(8, "for another node"), to(9, "b")]).await.unwrap();
    stream.notify_processes(&[]).await.unwrap();
    let mut nodes_found = nodes.ping("called").await.unwrap();
    nodes_found.sort_by_key(|node| node.id);
    assert_eq!(nodes_found, [NodeRow { id: one, lease, renewals: 0 }, NodeRow { id: two, lease, renewals: 1 }]);
    // Node two has renewed its lease in the meantime, so it is not removed.
    assert!(stream.renew(two, lease, "two renewed again").await.unwrap());
    assert_eq!(nodes.remove_unresponsive(&nodes_found).await.unwrap(), 1);
    assert!(!stream.renew(one, lease, "never sent").await.unwrap());
    nodes.leave(two, "two left").await.unwrap();
    assert!(nodes.ping("called again").await.unwrap().is_empty());
    nodes.join(one, lease, "the end").await.unwrap();
    let mut received = Vec::new();
    while received.last().is_none_or(|last| last != "the end") {
        let next = stream.next_buffered();
        received.push(if let Some(notice) = next { notice } else { stream.next().await.unwrap() });
    }
    let expected =
        ["one joined", "two joined", "two renewed", "a", "b", "called", "two renewed again", "two left", "the end"];
    assert_eq!(received, expected, "a ping without nodes is not sent");
}

#[tokio::test]
async fn sqlite_has_no_nodes() {
    let app = TestApp::start(Engine::Sqlite).await;
    assert!(app.store.cluster().is_none());
}

/// Every method of the store is called in this folder.
#[test]
fn every_store_method_is_tested() {
    let methods: HashSet<String> = read_sources("src/store")
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| Some(line.trim().strip_prefix("pub async fn ")?.split('(').next()?.to_owned()))
        // Every test opens a store.
        .filter(|method| method != "open")
        .collect();
    // A method that is only mentioned in a comment is not called.
    let tests = read_sources("tests/it/store").concat();
    let code: String = tests.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let untested: Vec<_> = methods.iter().filter(|method| !code.contains(&format!(".{method}("))).collect();
    assert!(untested.is_empty(), "{untested:?}");
    assert!(methods.len() > 20);
}

/// Returns the source files of a folder and its subfolders.
fn read_sources(folder: &str) -> Vec<String> {
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
async fn concurrent_migrations_take_turns() {
    let database = Database::empty(Engine::Postgres).await;
    let starts = (0..6).map(|_| {
        let config = crate::support::test_config(&database.url);
        // Each node has threads and a runtime of its own, as in production.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(tokenward::http::server::open_store(&config, true)).map(|_| ())
        })
    });
    for start in starts.collect::<Vec<_>>() {
        tokio::task::spawn_blocking(|| start.join().unwrap()).await.unwrap().unwrap();
    }
}
