//! How much a page weighs, where there is much to show.

use tokenward::domain::random::Random;
use tokenward::domain::{
    authority::Mutation,
    event::Act,
    person::{Email, PersonName},
    time::Timestamp,
    token::Lifetime,
};
use tokenward::store::{NewPerson, NewToken};
use tokenward_guard::token_format::TokenFormat;
use uuid::Uuid;

use super::page_access::{PAGES, Scene};
use crate::support::TestApp;

on_both!(no_page_weighs_more_than_fifty_kilobytes);

/// The most that a page may weigh, style and script included, in bytes.
const MOST: usize = 50_000;

/// Sixty people, and as many tokens of the first administrator and of another person.
async fn fill(app: &TestApp, other: i64) {
    let mutation = Mutation::without_caller(Act::of_operator(Timestamp::from_millis(1_767_225_600_000)));
    for n in 0..60 {
        let person = NewPerson {
            email: Email::parse(&format!("somebody.with-a-long-name-{n}@department.example.com")).unwrap(),
            name: PersonName::parse(&format!("Somebody With A Rather Long Name {n}")).unwrap(),
            password_hash: "hash".to_owned(),
            is_admin: false,
            is_platform_admin: false,
            force_password_change: false,
        };
        app.store.insert_person(1, &person, &mutation).await.unwrap();
        issue(app, 1).await;
        issue(app, other).await;
    }
}

/// Makes a token for a person of workspace 1, past the API.
async fn issue(app: &TestApp, person_id: i64) {
    let mutation = Mutation::without_caller(Act::of_operator(Timestamp::from_millis(1_767_225_600_000)));
    let random = Random::system();
    let value = TokenFormat::default().generate(|bytes| random.fill(bytes));
    let token = NewToken {
        id: Uuid::from_bytes(random.bytes()),
        workspace_id: 1,
        person_id,
        digest: value.digest(),
        hint: value.display_prefix().to_owned(),
        description: "a description of some length, as people write them".to_owned(),
        lifetime: Lifetime::Forever,
        mutation,
        form: None,
        once: None,
        most_live: None,
    };
    app.store.issue_token(&token, app.app.workspaces().defaults()).await.unwrap().unwrap();
}

async fn no_page_weighs_more_than_fifty_kilobytes(app: TestApp) {
    let scene = Scene::new(&app).await;
    fill(&app, scene.target).await;
    let admin = app.signed_in("admin@example.com").await;
    let sign_in = app.visitor().get("/sign-in").await.text;
    let mut shared = 0;
    for file in sign_in.split('"').filter(|text| text.starts_with("/assets/")) {
        shared += admin.get(file).await.expect(200).text.len();
    }
    assert!(shared > 0 && sign_in.len() + shared < MOST, "{} and {shared} bytes", sign_in.len());
    for (template, _) in PAGES.iter().filter(|(path, _)| *path != "/sign-in") {
        let path = scene.path(template);
        let page = admin.get(&path).await.expect(200).text.len();
        assert!(page + shared < MOST, "{path}: {page} and {shared} bytes");
    }
}
