//! Service accounts and their custodians.

use rstest::rstest;
use rstest_reuse::apply;
use tokenward::{
    domain::{
        authority::{Authority, AuthorizationLost, Mutation, RequiredRole, VerifiedCredential},
        event::Action,
        id::{PersonId, WorkspaceId},
        invalidation::Invalidation,
        person::{EmailKey, Person},
        service_account::{Custodians, PersonKind, ServiceName},
        time::Clock,
        token::{IssueError, Lifetime},
        token_filter::TokenFilter,
        workspace::WorkspaceName,
    },
    store::{
        AccountDetails, Error, EventFilter, EventPageStart, InviteOutcome, IssueOutcome, LinkOutcome,
        NewExternalIdentity, NewPasswordLink, NewServiceAccount, OwnerScope, PersonChange, PersonFilter, PersonSearch,
        ProviderChange, ServiceAccountInsert, Store, TokenListQuery, UpdateOutcome,
    },
};
use uuid::Uuid;

use super::{
    ADMIN, ALL_TOKENS, DEFAULT_SETTINGS, NOW, NoCache, RecordingBarrier, WORKSPACE, issue_token, mutation_at,
    new_person, new_token, operator_mutation,
    removal::{insert_numbered_tokens, numbered_digest},
};
use crate::support::{Engine, TestApp, both_databases};

fn name(text: &str) -> ServiceName {
    ServiceName::parse(text).unwrap()
}

fn custodians(ids: &[PersonId]) -> Custodians {
    Custodians::parse(&ids.iter().map(|id| id.get()).collect::<Vec<_>>()).unwrap()
}

async fn insert(store: &Store, workspace: WorkspaceId, text: &str, ids: &[PersonId]) -> ServiceAccountInsert {
    let new = NewServiceAccount { name: name(text), custodians: custodians(ids), is_admin: false };
    store.insert_service_account(workspace, &new, &operator_mutation()).await.unwrap()
}

async fn account(store: &Store, text: &str, ids: &[PersonId]) -> PersonId {
    match insert(store, WORKSPACE, text, ids).await {
        ServiceAccountInsert::Created(id) => id,
        other => panic!("{other:?}"),
    }
}

async fn person(store: &Store, email: &str) -> PersonId {
    store.insert_person(WORKSPACE, &new_person(email), &operator_mutation()).await.unwrap().unwrap().id
}

async fn find(store: &Store, id: PersonId) -> Person {
    store.find_person(WORKSPACE, id).await.unwrap().unwrap()
}

async fn update(store: &Store, id: PersonId, change: PersonChange) -> UpdateOutcome {
    store.update_person(WORKSPACE, id, &change, &operator_mutation()).await.unwrap().wait_for(&NoCache).await
}

/// Returns the mutation of a person who presents an unrestricted token.
async fn mutation_of(store: &Store, person_id: PersonId, role: RequiredRole) -> Mutation {
    let (_, token_id) = issue_token(store, person_id, Lifetime::Forever, NOW).await;
    let authority = Authority {
        workspace_id: WORKSPACE,
        person_id,
        credential: VerifiedCredential::Token(token_id),
        role,
        enabled_by_default: true,
        clock: Clock::from_fn(|| NOW),
    };
    Mutation { authority: Some(authority), ..operator_mutation() }
}

/// Returns the labels of the events about service accounts without custodian, oldest first.
async fn unowned_events(store: &Store) -> Vec<String> {
    let filter = EventFilter::all(WORKSPACE);
    let mut events = store.list_events(&filter, EventPageStart::default(), 1_000).await.unwrap();
    events.retain(|event| event.action == Action::ServiceAccountUnowned);
    events.into_iter().rev().map(|event| event.label).collect()
}

#[apply(both_databases)]
async fn the_details_of_accounts_are_read_at_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada = person(store, "ada@example.com").await;
    let (ci, deploy) = (account(store, "ci", &[ada, ADMIN]).await, account(store, "deploy", &[ada]).await);
    for (id, lifetime) in [(ci, Lifetime::Forever), (ci, Lifetime::Seconds(10)), (ci, Lifetime::Seconds(11))] {
        issue_token(store, id, lifetime, NOW).await;
    }
    let details =
        async |ids: &[PersonId]| store.list_account_details(WORKSPACE, ids, NOW.plus_seconds(10)).await.unwrap();
    let expected = |id, active_tokens, emails: &[&str]| {
        let custodian_emails = emails.iter().map(|email| (*email).to_owned()).collect();
        AccountDetails { id, active_tokens, custodian_emails }
    };
    let of_ci = expected(ci, 2, &["admin@example.com", "ada@example.com"]);
    // People and unknown accounts are omitted.
    let all = details(&[deploy, ci, ada, PersonId::new(9_999)]).await;
    assert_eq!(all, [of_ci, expected(deploy, 0, &["ada@example.com"])]);
    assert_eq!(details(&[]).await, []);
    assert_eq!(store.list_account_details(WorkspaceId::new(2), &[ci], NOW).await.unwrap(), []);
    // Disabled custodians are shown, removed ones are not.
    update(store, ada, PersonChange { is_disabled: Some(true), ..PersonChange::default() }).await;
    assert_eq!(details(&[deploy]).await, [expected(deploy, 0, &["ada@example.com"])]);
    let removed = store.delete_person(WORKSPACE, ada, &operator_mutation()).await.unwrap();
    assert_eq!(removed.wait_for(&NoCache).await, UpdateOutcome::Changed);
    assert_eq!(details(&[deploy]).await, [expected(deploy, 0, &[])]);
}

#[apply(both_databases)]
async fn a_service_account_has_an_identity_and_custodians(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada = person(store, "ada@example.com").await;
    let id = account(store, "ci", &[ada, ADMIN]).await;
    let found = find(store, id).await;
    assert_eq!((found.kind, found.email(), found.email.as_str()), (PersonKind::Service, None, "service:ci"));
    assert_eq!((found.name.as_str(), found.has_password, found.is_admin), ("ci", false, false));
    assert_eq!((found.custodians.as_slice(), found.is_unowned()), ([ADMIN, ada].as_slice(), false));
    assert_eq!(store.find_service_account(&name("ci")).await.unwrap(), Some(found.clone()));
    assert_eq!(store.find_service_account(&name("other")).await.unwrap(), None);
    assert_eq!(store.list_accounts_of_custodian(WORKSPACE, ada, 2).await.unwrap(), [found]);
    assert_eq!(store.list_accounts_of_custodian(WORKSPACE, ada, 0).await.unwrap(), []);
    assert_eq!(store.list_accounts_of_custodian(WORKSPACE, id, 2).await.unwrap(), []);
    for (custodian, expected) in [(ada, true), (ADMIN, true), (id, false)] {
        assert_eq!(store.is_custodian(WORKSPACE, id, custodian).await.unwrap(), expected);
    }
    assert!(!store.is_custodian(WorkspaceId::new(2), id, ada).await.unwrap());
    // It does not sign in, is not invited, and is not linked.
    assert!(store.find_person_by_email(&EmailKey::from_text("service:ci")).await.unwrap().is_none());
    let link = NewPasswordLink {
        kind: tokenward::domain::password_link::LinkKind::Invite,
        digest: tokenward::domain::password_link::LinkValue::generate(&tokenward::domain::random::Random::system())
            .digest(),
        expires_at: NOW.plus_seconds(1),
    };
    let invited = store.insert_password_link(WORKSPACE, id, &link, &operator_mutation()).await.unwrap();
    assert_eq!(invited, InviteOutcome::NotFound);
    let identity = NewExternalIdentity {
        id: Uuid::from_u128(1),
        provider: "company".to_owned(),
        issuer: "ldap".to_owned(),
        subject: "s1".to_owned(),
        label: "s1".to_owned(),
    };
    let linked = store
        .link_identity(&find(store, id).await, &identity, &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    assert_eq!(linked, LinkOutcome::PersonNotFound);
}

#[apply(both_databases)]
async fn service_accounts_are_neither_counted_nor_listed_as_people(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let id = account(store, "ci", &[ADMIN]).await;
    let of_kind = |kind| PersonFilter { kind, ..PersonFilter::default() };
    for (kind, count) in [(Some(PersonKind::Person), 1), (Some(PersonKind::Service), 1), (None, 2)] {
        assert_eq!(store.count_people(WORKSPACE, &of_kind(kind)).await.unwrap(), count);
        assert_eq!(
            store.list_people_after(WORKSPACE, &of_kind(kind), None, (9, 0)).await.unwrap().len(),
            usize::try_from(count).unwrap()
        );
    }
    for kind in [PersonKind::Person, PersonKind::Service] {
        let search = PersonSearch { kind, ..PersonSearch::default() };
        assert_eq!(store.count_found_people(WORKSPACE, &search).await.unwrap(), 1);
        let found = store.list_people_with_token_counts(WORKSPACE, &search, &Default::default(), NOW, 9).await.unwrap();
        assert_eq!(found.into_iter().map(|found| found.person.kind).collect::<Vec<_>>(), [kind]);
    }
    assert_eq!(store.count_people_and_tokens(WORKSPACE).await.unwrap().0, 1);
    // An administrator among them is neither the last one nor a contact.
    let change = PersonChange { is_admin: Some(true), ..PersonChange::default() };
    assert_eq!(update(store, id, change).await, UpdateOutcome::Changed);
    assert_eq!(store.count_administrators(WORKSPACE).await.unwrap().0, 1);
    assert_eq!(store.list_administrator_emails(WORKSPACE, 9).await.unwrap(), ["admin@example.com"]);
    let demote = PersonChange { is_admin: Some(false), ..PersonChange::default() };
    assert_eq!(update(store, ADMIN, demote).await, UpdateOutcome::LastAdministrator);
    issue_token(store, id, Lifetime::Forever, NOW).await;
    store.delete_person(WORKSPACE, id, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    assert_eq!(store.count_people_and_tokens(WORKSPACE).await.unwrap(), (1, 0));
}

#[apply(both_databases)]
async fn names_are_unique_in_the_whole_service(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let admin = new_person("eve@example.com");
    let created = store.insert_workspace(&WorkspaceName::parse("Lab").unwrap(), &admin, &operator_mutation()).await;
    let other = created.unwrap().1;
    let new = |text: &str, custodian| NewServiceAccount {
        name: name(text),
        custodians: custodians(&[custodian]),
        is_admin: false,
    };
    // Of two at once, one gets the name.
    let mutation = operator_mutation();
    let (here, there) = (new("ci", ADMIN), new("ci", other.id));
    let (first, second) = tokio::join!(
        store.insert_service_account(WORKSPACE, &here, &mutation),
        store.insert_service_account(other.workspace_id, &there, &mutation),
    );
    let is_taken = |result: &Result<ServiceAccountInsert, Error>| matches!(result, Err(Error::Conflict));
    assert!(is_taken(&first) != is_taken(&second), "{first:?} {second:?}");
    let next = account(store, "next", &[ADMIN]).await;
    let rename = PersonChange { service_name: Some(name("ci")), ..PersonChange::default() };
    let renamed = store.update_person(WORKSPACE, next, &rename, &operator_mutation()).await;
    assert!(matches!(renamed, Err(Error::Conflict)));
    let rename = PersonChange { service_name: Some(name("free")), ..PersonChange::default() };
    assert_eq!(update(store, next, rename).await, UpdateOutcome::Changed);
    let renamed = find(store, next).await;
    assert_eq!((renamed.name.as_str(), renamed.email.as_str()), ("free", "service:free"));
    // The former name is free.
    account(store, "next", &[ADMIN]).await;
}

#[apply(both_databases)]
async fn a_custodian_is_an_enabled_person_of_the_workspace(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let (ada, bob) = (person(store, "ada@example.com").await, person(store, "bob@example.com").await);
    let admin = new_person("eve@example.com");
    let created = store.insert_workspace(&WorkspaceName::parse("Lab").unwrap(), &admin, &operator_mutation()).await;
    let foreign = created.unwrap().1.id;
    update(store, bob, PersonChange { is_disabled: Some(true), ..PersonChange::default() }).await;
    let id = account(store, "ci", &[ada]).await;
    for invalid in [id, bob, foreign, PersonId::new(9_999)] {
        let rejected = insert(store, WORKSPACE, "next", &[ADMIN, invalid]).await;
        assert_eq!(rejected, ServiceAccountInsert::InvalidCustodian(invalid));
        assert!(store.find_service_account(&name("next")).await.unwrap().is_none(), "nothing is left");
        let change = PersonChange { custodians: Some(custodians(&[ADMIN, invalid])), ..PersonChange::default() };
        assert_eq!(update(store, id, change).await, UpdateOutcome::InvalidCustodian(invalid));
        assert_eq!(find(store, id).await.custodians, [ada], "nothing is changed");
    }
    let change = PersonChange { custodians: Some(custodians(&[ADMIN])), ..PersonChange::default() };
    assert_eq!(update(store, id, change).await, UpdateOutcome::Changed);
    assert_eq!(find(store, id).await.custodians, [ADMIN]);
    assert_eq!(insert(store, WorkspaceId::new(99), "x", &[ADMIN]).await, ServiceAccountInsert::WorkspaceNotFound);
    // A person has no custodians.
    let change = PersonChange { custodians: Some(custodians(&[ADMIN])), ..PersonChange::default() };
    assert_eq!(update(store, ada, change).await, UpdateOutcome::InvalidCustodian(ADMIN));
}

#[apply(both_databases)]
async fn an_account_without_enabled_custodian_is_unowned(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let (ada, bob) = (person(store, "ada@example.com").await, person(store, "bob@example.com").await);
    let shared = account(store, "shared", &[ada, bob]).await;
    let single = account(store, "single", &[ada]).await;
    let set_disabled = |is_disabled| PersonChange { is_disabled: Some(is_disabled), ..PersonChange::default() };
    update(store, ada, set_disabled(true)).await;
    assert_eq!(unowned_events(store).await, ["service:single"]);
    assert!(find(store, single).await.is_unowned() && !find(store, shared).await.is_unowned());
    // Disabling again is no news.
    update(store, ada, set_disabled(true)).await;
    assert_eq!(unowned_events(store).await.len(), 1);
    update(store, ada, set_disabled(false)).await;
    assert!(!find(store, single).await.is_unowned());
    store.delete_person(WORKSPACE, bob, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    assert_eq!(find(store, shared).await.custodians, [ada]);
    assert_eq!(unowned_events(store).await.len(), 1);
    store.delete_person(WORKSPACE, ada, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    assert_eq!(unowned_events(store).await[1..], ["service:shared", "service:single"]);
    let left = find(store, single).await;
    assert!(left.is_unowned() && left.custodians.is_empty() && !left.is_disabled, "the account works on");
}

#[apply(both_databases)]
async fn a_directory_that_disables_the_last_custodian_leaves_an_event(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada = person(store, "ada@example.com").await;
    account(store, "ci", &[ada]).await;
    let identity = NewExternalIdentity {
        id: Uuid::from_u128(1),
        provider: "company".to_owned(),
        issuer: "ldap".to_owned(),
        subject: "s1".to_owned(),
        label: "s1".to_owned(),
    };
    store
        .link_identity(&find(store, ada).await, &identity, &operator_mutation())
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    let found = store.find_identity("company", "ldap", "s1").await.unwrap().unwrap();
    let gone = ProviderChange { disabled_for: Some("gone"), grants_admin: false, email: None };
    let applied = store.apply_provider_change(&found, &gone, &operator_mutation()).await;
    applied.unwrap().wait_for(&NoCache).await;
    assert_eq!(unowned_events(store).await, ["service:ci"]);
}

#[apply(both_databases)]
async fn custodians_access_the_tokens_of_their_accounts(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let (ada, bob) = (person(store, "ada@example.com").await, person(store, "bob@example.com").await);
    update(store, ada, PersonChange { token_access: Some(enabled()), ..PersonChange::default() }).await;
    let id = account(store, "ci", &[ada]).await;
    let (_, token) = issue_token(store, id, Lifetime::Forever, NOW).await;
    let (_, of_admin) = issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    let custody = |person_id| OwnerScope::Custody { workspace_id: WORKSPACE, person_id };
    assert!(store.find_token(custody(ada), token).await.unwrap().is_some());
    for (scope, token) in [(custody(ada), of_admin), (custody(bob), token), (custody(ADMIN), token)] {
        assert!(store.find_token(scope, token).await.unwrap().is_none());
        let deleted = store.delete_token(scope, token, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
        assert_eq!(deleted, None);
        let family = store.delete_family(scope, token, Action::TokenDeleted, &operator_mutation()).await;
        assert!(family.unwrap().wait_for(&NoCache).await.is_empty());
    }
    let query =
        |scope, kind| TokenListQuery { scope, filter: TokenFilter { kind, ..TokenFilter::default() }, now: NOW };
    let of_kind = async |kind| {
        let query = query(OwnerScope::Workspace(WORKSPACE), Some(kind));
        let rows = store.list_tokens(&query, &ALL_TOKENS).await.unwrap();
        rows.into_iter().map(|(token, _)| token.id).collect::<Vec<_>>()
    };
    assert_eq!((of_kind(PersonKind::Service).await, of_kind(PersonKind::Person).await), (vec![token], vec![of_admin]));
    assert_eq!(store.count_tokens(&query(custody(ada), None)).await.unwrap(), 1);
    let listed = store.list_tokens(&query(custody(ada), None), &ALL_TOKENS).await.unwrap();
    assert_eq!(listed.len(), 1);
    let deleted = store.delete_token(custody(ada), token, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    assert!(deleted.is_some());
    let (_, root) = issue_token(store, id, Lifetime::Forever, NOW).await;
    let family = store.delete_family(custody(ada), root, Action::TokenDeleted, &operator_mutation()).await;
    assert_eq!(family.unwrap().wait_for(&NoCache).await.deleted, 1);
}

fn enabled() -> tokenward::domain::person::TokenAccess {
    tokenward::domain::person::TokenAccess::Enabled
}

#[apply(both_databases)]
async fn the_maker_of_a_token_is_read_in_its_transaction(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let ada = person(store, "ada@example.com").await;
    update(store, ada, PersonChange { token_access: Some(enabled()), ..PersonChange::default() }).await;
    let id = account(store, "ci", &[ada]).await;
    let mutation = mutation_of(store, ada, RequiredRole::Custodian(id)).await;
    let issue = async |owner, role: RequiredRole| {
        let mut mutation = mutation.clone();
        mutation.authority.as_mut().unwrap().role = role;
        let new = tokenward::store::NewToken { mutation, ..new_token(owner, Lifetime::Forever, NOW).1 };
        let issued = store.issue_token(&new, DEFAULT_SETTINGS).await?;
        Ok::<_, Error>(issued.wait_for(&NoCache).await.map(|outcome| matches!(outcome, IssueOutcome::Created(_))))
    };
    let role = RequiredRole::Custodian(id);
    assert_eq!(issue(id, role).await.unwrap(), Ok(true));
    // Whatever the service asks for, no token of another person is created.
    for (owner, role) in [(ADMIN, RequiredRole::Member), (ADMIN, role), (id, RequiredRole::Member)] {
        assert_eq!(issue(owner, role).await.unwrap(), Err(IssueError::OwnerNotServiceAccount));
    }
    update(store, id, PersonChange { is_admin: Some(true), ..PersonChange::default() }).await;
    assert_eq!(issue(id, role).await.unwrap(), Err(IssueError::AdministratorAccount));
    update(store, id, PersonChange { is_disabled: Some(true), ..PersonChange::default() }).await;
    assert_eq!(issue(id, role).await.unwrap(), Err(IssueError::ServiceAccountDisabled));
    let change = PersonChange { custodians: Some(custodians(&[ADMIN])), ..PersonChange::default() };
    update(store, id, change).await;
    let lost = issue(id, role).await.unwrap_err();
    assert!(matches!(lost, Error::AuthorizationLost(AuthorizationLost::NotCustodian)), "{lost:?}");
    let mutation = Mutation { authority: mutation.authority, ..mutation_at(NOW) };
    let revoked = store.revoke_all_tokens(WORKSPACE, id, &mutation).await;
    assert!(matches!(revoked, Err(Error::AuthorizationLost(AuthorizationLost::NotCustodian))));
}

/// Tokens of a service account may descend from a leaked token of a custodian.
#[apply(both_databases)]
async fn a_large_family_is_revoked_across_owners(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    let id = account(&app.store, "ci", &[ADMIN]).await;
    let (_, root) = issue_token(&app.store, ADMIN, Lifetime::Forever, NOW).await;
    insert_numbered_tokens(&mut app, WORKSPACE, id, Some(root), false).await;
    let (store, child) = (&app.store, numbered_digest(700));
    assert_eq!(store.find_by_digests(&[child]).await.unwrap().len(), 1);
    let barrier = RecordingBarrier::default();
    let scope = OwnerScope::Workspace(WORKSPACE);
    let revoked = store.delete_family(scope, root, Action::TokenLeaked, &operator_mutation()).await;
    assert!(revoked.unwrap().wait_for(&barrier).await.is_purge_pending);
    for owner in [id, ADMIN] {
        assert!(barrier.invalidations().contains(&Invalidation::Person(owner)));
    }
    assert_eq!(store.find_by_digests(&[child]).await.unwrap().len(), 0);
}

/// The rows of a person or account with many tokens stay for a while.
#[apply(both_databases)]
async fn a_removed_custodian_with_many_tokens_is_a_custodian_no_more(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    let ada = person(&app.store, "ada@example.com").await;
    let id = account(&app.store, "ci", &[ada]).await;
    insert_numbered_tokens(&mut app, WORKSPACE, ada, None, false).await;
    let store = &app.store;
    store.delete_person(WORKSPACE, ada, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    assert_eq!(find(store, id).await.custodians, []);
    assert!(!store.is_custodian(WORKSPACE, id, ada).await.unwrap());
    assert_eq!(unowned_events(store).await, ["service:ci"]);
    assert_eq!(store.count_people_and_tokens(WORKSPACE).await.unwrap().0, 1);
}
