//! Device authorizations: their states, and the token that each creates once.

use rstest::rstest;
use rstest_reuse::apply;
use tokenward::{
    domain::{
        authority::{Authority, Mutation, RequiredRole, VerifiedCredential},
        device_authorization::{DeviceAuthorization, DeviceState, PollState, Reviewer},
        id::PersonId,
        sign_in_flow::TextDigest,
        time::{Clock, Timestamp},
        token::{IssueError, Lifetime},
    },
    store::{DeviceGrant, DeviceInsertion, Error, NewDeviceAuthorization, NewToken, PersonChange, Store},
};
use tokenward_guard::Scopes;
use uuid::Uuid;

use super::{
    ADMIN, DEFAULT_SETTINGS, NOW, NoCache, WORKSPACE, audit_context_at, new_token, operator_mutation,
    sessions::create_session,
};
use crate::support::{Engine, TestApp, both_databases};

fn new_authorization(n: u128) -> NewDeviceAuthorization {
    NewDeviceAuthorization {
        id: Uuid::from_u128(n),
        device_digest: TextDigest::of(&format!("device {n}")),
        user_code_digest: TextDigest::of(&format!("user {n}")),
        description: "build server".to_owned(),
        lifetime: None,
        scopes: Scopes::parse("b a"),
        address: Some("192.0.2.1".to_owned()),
        user_agent: "tokenward/1".to_owned(),
        created_at: NOW,
        expires_at: NOW.plus_seconds(600),
    }
}

fn mutation_of(reviewer: Reviewer, at: Timestamp) -> Mutation {
    let authority = Authority {
        workspace_id: reviewer.workspace_id,
        person_id: reviewer.person_id,
        credential: VerifiedCredential::Session(reviewer.session_id),
        role: RequiredRole::Member,
        enabled_by_default: true,
        clock: Clock::from_fn(|| NOW),
    };
    Mutation { context: audit_context_at(at), authority: Some(authority) }
}

/// Creates two sessions of the administrator.
async fn reviewers(store: &Store) -> [Reviewer; 2] {
    let change = PersonChange { password_hash: Some("hash".into()), ..PersonChange::default() };
    store.update_person(WORKSPACE, ADMIN, &change, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    let create = async || create_session(store, ADMIN, NOW).await.unwrap().1;
    let reviewer = |session_id| Reviewer { workspace_id: WORKSPACE, person_id: ADMIN, session_id };
    [reviewer(create().await), reviewer(create().await)]
}

async fn find(store: &Store, n: u128) -> DeviceAuthorization {
    store.find_polled_device_authorization(&TextDigest::of(&format!("device {n}"))).await.unwrap().unwrap()
}

#[apply(both_databases)]
async fn codes_are_unique_and_the_number_is_limited(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let first = new_authorization(1);
    assert_eq!(store.insert_device_authorization(&first, 2).await.unwrap(), DeviceInsertion::Inserted);
    let found = find(store, 1).await;
    assert_eq!(
        found,
        DeviceAuthorization {
            id: first.id,
            state: DeviceState::Pending,
            description: first.description.clone(),
            lifetime: None,
            scopes: Scopes::parse("a b"),
            address: first.address.clone(),
            user_agent: first.user_agent.clone(),
            created_at: NOW,
            expires_at: first.expires_at,
            reviewer: None,
            poll: PollState::NONE,
        }
    );
    let same_code = NewDeviceAuthorization { user_code_digest: first.user_code_digest, ..new_authorization(2) };
    assert_eq!(store.insert_device_authorization(&same_code, 2).await.unwrap(), DeviceInsertion::UserCodeTaken);
    let second = NewDeviceAuthorization {
        lifetime: Some(Lifetime::Forever),
        scopes: Scopes::unrestricted(),
        address: None,
        ..new_authorization(2)
    };
    assert_eq!(store.insert_device_authorization(&second, 2).await.unwrap(), DeviceInsertion::Inserted);
    let found = find(store, 2).await;
    assert_eq!((found.lifetime, found.scopes, found.address), (Some(Lifetime::Forever), Scopes::unrestricted(), None));
    let third = new_authorization(3);
    assert_eq!(store.insert_device_authorization(&third, 2).await.unwrap(), DeviceInsertion::TooMany);
    // Expired ones do not count.
    let later = NewDeviceAuthorization { created_at: first.expires_at, ..third };
    assert_eq!(store.insert_device_authorization(&later, 2).await.unwrap(), DeviceInsertion::Inserted);
    assert!(store.find_polled_device_authorization(&TextDigest::of("user 1")).await.unwrap().is_none());
    assert_eq!(store.purge_device_authorizations(NOW.plus_seconds(599)).await.unwrap(), 0);
    assert_eq!(store.purge_device_authorizations(NOW.plus_seconds(600)).await.unwrap(), 3);
}

#[apply(both_databases)]
async fn only_the_session_that_entered_the_code_decides(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    store.insert_device_authorization(&new_authorization(1), 9).await.unwrap();
    let [first, second] = reviewers(store).await;
    let code = TextDigest::of("user 1");
    let mutation = mutation_of(first, NOW);
    let unknown = TextDigest::of("user 2");
    assert_eq!(store.claim_device_authorization(&unknown, first, &mutation).await.unwrap(), None);
    let late = mutation_of(first, NOW.plus_seconds(600));
    assert_eq!(store.claim_device_authorization(&code, first, &late).await.unwrap(), None);
    let id = store.claim_device_authorization(&code, first, &mutation).await.unwrap().unwrap();
    let found = store.find_device_authorization(id, first).await.unwrap().unwrap();
    assert_eq!((found.reviewer, found.state), (Some(first), DeviceState::Pending));
    // Another person does not get it any more.
    let other = Reviewer { person_id: PersonId::new(77), ..second };
    assert!(store.find_device_authorization(id, other).await.unwrap().is_none());
    assert!(store.find_device_authorization(id, second).await.unwrap().is_none());
    let decide = async |by: Reviewer, approved| {
        store.decide_device_authorization(&found, approved, by, &mutation_of(by, NOW)).await.unwrap()
    };
    assert!(!decide(second, None).await);
    assert_eq!(store.claim_device_authorization(&code, second, &mutation_of(second, NOW)).await.unwrap(), Some(id));
    assert!(!decide(first, Some(Lifetime::Seconds(60))).await);
    let late = mutation_of(second, NOW.plus_seconds(600));
    assert!(!store.decide_device_authorization(&found, None, second, &late).await.unwrap());
    assert!(decide(second, Some(Lifetime::Seconds(60))).await);
    assert!(!decide(second, None).await, "the decision is final");
    assert_eq!(store.claim_device_authorization(&code, second, &mutation_of(second, NOW)).await.unwrap(), None);
    let approved = find(store, 1).await;
    assert_eq!((approved.state, approved.lifetime), (DeviceState::Approved, Some(Lifetime::Seconds(60))));
    // Without its session, nothing is decided.
    store.insert_device_authorization(&new_authorization(2), 9).await.unwrap();
    let ended = Reviewer { session_id: Uuid::from_u128(99), ..first };
    let result = store.claim_device_authorization(&unknown, ended, &mutation_of(ended, NOW)).await;
    assert!(matches!(result, Err(Error::AuthorizationLost(_))), "{result:?}");
}

#[apply(both_databases)]
async fn polls_are_recorded_and_an_approval_creates_one_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    store.insert_device_authorization(&new_authorization(1), 9).await.unwrap();
    let id = Uuid::from_u128(1);
    let poll = PollState { interval_seconds: 10, last_at: Some(NOW) };
    store.record_device_poll(id, poll).await.unwrap();
    // A poll at the same time, which has read the interval before, does not shorten it.
    store.record_device_poll(id, PollState { interval_seconds: 5, ..poll }).await.unwrap();
    assert_eq!(find(store, 1).await.poll, poll);
    let [reviewer, _] = reviewers(store).await;
    let issue = async |session_id: Uuid, at: Timestamp| {
        let device = Some(DeviceGrant { id, session_id });
        let new = NewToken { device, ..new_token(ADMIN, Lifetime::Seconds(9), at).1 };
        store.issue_token(&new, DEFAULT_SETTINGS).await.unwrap().wait_for(&NoCache).await
    };
    let spent = Err(IssueError::DeviceAuthorizationSpent);
    let session_id = reviewer.session_id;
    assert_eq!(issue(session_id, NOW).await, spent, "pending");
    let mutation = mutation_of(reviewer, NOW);
    store.claim_device_authorization(&TextDigest::of("user 1"), reviewer, &mutation).await.unwrap();
    assert_eq!(issue(session_id, NOW).await, spent, "pending");
    let found = find(store, 1).await;
    store.decide_device_authorization(&found, Some(Lifetime::Seconds(9)), reviewer, &mutation).await.unwrap();
    assert_eq!(issue(Uuid::from_u128(5), NOW).await, spent, "another session");
    assert_eq!(issue(session_id, NOW.plus_seconds(600)).await, spent, "expired");
    assert!(issue(session_id, NOW).await.is_ok());
    assert_eq!(issue(session_id, NOW).await, spent);
    // A token that exists is not rejected afterwards.
    store.reject_device_authorization(id).await.unwrap();
    assert_eq!(find(store, 1).await.state, DeviceState::Redeemed);
}
