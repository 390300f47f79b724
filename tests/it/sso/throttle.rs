//! Wrong passwords: the directory is asked less often than it takes to lock an account.

use rstest::rstest;
use rstest_reuse::apply;

use super::{DirectoryApp, password_of};
use crate::support::{Engine, both_databases, directory::Flavor};

#[apply(both_databases)]
async fn the_directory_is_asked_about_three_wrong_passwords(engine: Engine) {
    let company = DirectoryApp::start(engine, Flavor::Slapd).await;
    for name in ["grace", "grace@example.org", "GRACE"] {
        company.basic(name, "wrong-password").get("/v4/people/current").await.expect(401);
    }
    // All spellings share one counter, and the right password is not asked about either.
    let response = company.client("grace").get("/v4/people/current").await;
    response.expect_error(429, "TooManyRequestsException");
    assert!(response.headers["retry-after"].to_str().unwrap().parse::<u32>().unwrap() <= 30 * 60);
    // Another person is not affected.
    company.client("ada").get("/v4/people/current").await.expect(200);
    company.app.advance_seconds(30 * 60 + 1);
    company.client("grace").get("/v4/people/current").await.expect(200);
}

#[apply(both_databases)]
async fn a_known_place_has_two_attempts_of_its_own(engine: Engine) {
    let company = DirectoryApp::start(engine, Flavor::Slapd).await;
    let home = |name: &str, password: &str| company.basic(name, password).with_address("198.51.100.7");
    let away = |name: &str, password: &str| company.basic(name, password).with_address("203.0.113.9");
    home("grace", &password_of("grace")).get("/v4/people/current").await.expect(200);
    for _ in 0..3 {
        away("grace", "wrong-password").get("/v4/people/current").await.expect(401);
    }
    away("grace", &password_of("grace")).get("/v4/people/current").await.expect(429);
    // The owner is not locked out, and a right password allows two more wrong ones.
    for _ in 0..2 {
        home("grace", "wrong-password").get("/v4/people/current").await.expect(401);
        home("grace", &password_of("grace")).get("/v4/people/current").await.expect(200);
    }
    for _ in 0..2 {
        home("grace", "wrong-password").get("/v4/people/current").await.expect(401);
    }
    home("grace", &password_of("grace")).get("/v4/people/current").await.expect(429);
}

#[apply(both_databases)]
async fn concurrent_attempts_do_not_exceed_the_limit(engine: Engine) {
    let company = DirectoryApp::start(engine, Flavor::Slapd).await;
    let attempts =
        (0..20).map(|_| async { company.basic("grace", "wrong-password").get("/v4/people/current").await.status });
    let statuses = futures_util::future::join_all(attempts).await;
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 3, "{statuses:?}");
    assert!(statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
}

#[apply(both_databases)]
async fn names_without_an_entry_have_the_same_limit(engine: Engine) {
    let company = DirectoryApp::start(engine, Flavor::Slapd).await;
    for _ in 0..3 {
        company.basic("nemo", "wrong-password").get("/v4/people/current").await.expect(401);
    }
    company.basic("nemo", "wrong-password").get("/v4/people/current").await.expect(429);
}

#[apply(both_databases)]
async fn a_token_as_the_password_never_reaches_the_directory(engine: Engine) {
    let company = DirectoryApp::start(engine, Flavor::Slapd).await;
    let token = format!("twd_{}", "a".repeat(49));
    for _ in 0..5 {
        company.basic("grace", &token).get("/v4/people/current").await.expect(401);
    }
    // None of the attempts was counted.
    company.client("grace").get("/v4/people/current").await.expect(200);
}

#[apply(both_databases)]
async fn enabling_a_person_allows_a_sign_in_at_once(engine: Engine) {
    let company = DirectoryApp::start(engine, Flavor::Slapd).await;
    company.client("grace").get("/v4/people/current").await.expect(200);
    for _ in 0..2 {
        company.basic("grace", "wrong-password").get("/v4/people/current").await.expect(401);
    }
    company.client("grace").with_address("203.0.113.9").get("/v4/people/current").await.expect(200);
    let person = company.person("grace@example.org").await;
    let enable = serde_json::json!({"isDisabled": false});
    company.app.admin().patch(&format!("/v4/people/{}", person["id"]), &enable).await.expect(200);
    company.client("grace").get("/v4/people/current").await.expect(200);
}
