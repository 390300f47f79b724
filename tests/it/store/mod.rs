//! Tests of the store: every method, on both databases.

mod audit_chain;
mod authority;
mod bulk_delete;
mod clock;
mod cluster;
mod counts;
mod descendants;
mod device_authorizations;
mod directories;
mod events;
mod expiry_warnings;
mod external_identities;
mod failover;
mod lists;
mod login_failures;
mod mail;
mod migrations;
mod nodes;
mod password_links;
mod people;
mod removal;
mod replacement;
mod scim;
mod service_accounts;
mod sessions;
mod sign_in_flows;
mod sources;
mod tls;
mod tokens;
mod trust_rules;
mod webhooks;
mod workspaces;

use std::collections::HashSet;

use tokenward::domain::authority::Authority;
use tokenward::domain::authority::Mutation;
use tokenward::domain::authority::RequiredRole;
use tokenward::domain::authority::VerifiedCredential;
use tokenward::domain::event::AuditContext;
use tokenward::domain::event::RequestContext;
use tokenward::domain::id::PersonId;
use tokenward::domain::id::WorkspaceId;
use tokenward::domain::invalidation::Invalidation;
use tokenward::domain::person::Email;
use tokenward::domain::person::PersonName;
use tokenward::domain::random::Random;
use tokenward::domain::setting::Settings;
use tokenward::domain::time::Clock;
use tokenward::domain::time::Timestamp;
use tokenward::domain::token::Lifetime;
use tokenward::domain::token_limits::RequestedLimits;
use tokenward::domain::token_query::Sort;
use tokenward::domain::token_query::SortKey;
use tokenward::domain::token_query::TokenPageQuery;
use tokenward::domain::token_use::TokenUse;
use tokenward::store::Barrier;
use tokenward::store::IssueOutcome;
use tokenward::store::NewPerson;
use tokenward::store::NewToken;
use tokenward::store::Store;
use tokenward_guard::token_format::TokenFormat;
use tokenward_guard::token_format::TokenValue;
use uuid::Uuid;

/// The first workspace.
pub const WORKSPACE: WorkspaceId = WorkspaceId::FIRST;
/// The administrator of the first workspace.
pub const ADMIN: PersonId = PersonId::new(1);
const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
static DEFAULT_SETTINGS: &Settings = &Settings::defaults(true);
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
        password_hash: Some("hash".to_owned()),
        invite: None,
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
        description: Some(String::new()),
        lifetime: Some(lifetime),
        limits: RequestedLimits::default(),
        replaces: None,
        mutation: mutation_at(created_at),
        form: None,
        device: None,
        idempotency: None,
        max_active: None,
    };
    (value, token)
}

/// Returns a use of a token from an unknown address.
fn token_use(token_id: Uuid, at: Timestamp) -> TokenUse {
    TokenUse { token_id, at, address: None }
}

async fn issue_token(
    store: &Store,
    person_id: PersonId,
    lifetime: Lifetime,
    created_at: Timestamp,
) -> (TokenValue, Uuid) {
    let (value, new) = new_token(person_id, lifetime, created_at);
    let issued = store.issue_token(&new, DEFAULT_SETTINGS).await.unwrap().wait_for(&NoCache).await;
    let Ok(IssueOutcome::Created(token)) = issued else { panic!("{issued:?}") };
    assert_eq!((token.created_at, token.expires_at), (created_at, lifetime.expires_at(created_at)));
    (value, new.id)
}

/// Every method of the store is called in this folder.
#[test]
fn every_store_method_is_tested() {
    let methods: HashSet<String> = read_sources("src/store")
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| Some(line.trim().strip_prefix("pub async fn ")?.split(['(', '<']).next()?.to_owned()))
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
