//! Page sizes with much content.

use rstest::rstest;
use rstest_reuse::apply;
use tokenward::domain::{
    authority::Mutation,
    event::AuditContext,
    person::{Email, PersonName},
    time::Timestamp,
    token::Lifetime,
    token_limits::RequestedLimits,
};
use tokenward::domain::{
    id::{PersonId, WorkspaceId},
    random::Random,
};
use tokenward::store::{NewPerson, NewToken};
use tokenward_guard::token_format::TokenFormat;
use uuid::Uuid;

use super::page_access::{PAGES, PageFixture};
use crate::store::NoCache;
use crate::support::{Engine, TestApp, both_databases};

/// The maximum size of a page in bytes, including style and script.
const MAX_PAGE_BYTES: usize = 50_000;

/// The maximum size of a page of the API reference, which shows all responses of up to ten operations.
const MAX_REFERENCE_BYTES: usize = 160_000;

/// Inserts sixty people, and as many tokens of the first administrator and of another person.
async fn insert_people_and_tokens(app: &TestApp, other: i64) {
    let mutation = Mutation::without_caller(AuditContext::for_operator(Timestamp::from_millis(1_767_225_600_000)));
    for n in 0..60 {
        let person = NewPerson {
            email: Email::parse(&format!("person.with-a-long-name-{n}@department.example.com")).unwrap(),
            name: PersonName::parse(&format!("Person With A Rather Long Name {n}")).unwrap(),
            password_hash: Some("hash".to_owned()),
            invite: None,
            is_admin: false,
            is_platform_admin: false,
            force_password_change: false,
        };
        app.store.insert_person(WorkspaceId::FIRST, &person, &mutation).await.unwrap();
        issue_token(app, PersonId::new(1)).await;
        issue_token(app, PersonId::new(other)).await;
    }
}

/// Creates a token of a person of workspace 1 through the store.
async fn issue_token(app: &TestApp, person_id: PersonId) {
    let mutation = Mutation::without_caller(AuditContext::for_operator(Timestamp::from_millis(1_767_225_600_000)));
    let random = Random::system();
    let value = TokenFormat::default().generate(|bytes| random.fill(bytes));
    let token = NewToken {
        id: Uuid::from_bytes(random.bytes()),
        workspace_id: WorkspaceId::FIRST,
        person_id,
        digest: value.digest(),
        display_prefix: value.display_prefix().to_owned(),
        description: Some("a description of some length, as people write them".to_owned()),
        lifetime: Some(Lifetime::Forever),
        limits: RequestedLimits::default(),
        replaces: None,
        mutation,
        form: None,
        device: None,
        idempotency: None,
        max_active: None,
    };
    app.store.issue_token(&token, app.state.workspaces().defaults()).await.unwrap().wait_for(&NoCache).await.unwrap();
}

#[apply(both_databases)]
async fn no_page_exceeds_fifty_kilobytes(engine: Engine) {
    let app = TestApp::start(engine).await;
    let fixture = PageFixture::new(&app).await;
    insert_people_and_tokens(&app, fixture.target).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let sign_in = app.browser().get("/sign-in").await.text;
    let mut shared = 0;
    for file in sign_in.split('"').filter(|text| text.starts_with("/assets/")) {
        shared += admin.get(file).await.expect(200).text.len();
    }
    assert!(shared > 0 && sign_in.len() + shared < MAX_PAGE_BYTES, "{} and {shared} bytes", sign_in.len());
    let mut largest = (0, String::new());
    for (template, _) in PAGES.iter().filter(|(path, _)| *path != "/sign-in" && !path.ends_with(".csv")) {
        let path = fixture.path(template);
        let page = admin.get(&path).await.expect(200).text.len();
        let limit = if path.starts_with("/api-reference/") { MAX_REFERENCE_BYTES } else { MAX_PAGE_BYTES };
        assert!(page + shared < limit, "{path}: {page} and {shared} bytes");
        if limit == MAX_PAGE_BYTES {
            largest = largest.max((page + shared, path));
        }
    }
    println!("[measured] largest page, {engine:?}: {} with {} bytes", largest.1, largest.0);
}
