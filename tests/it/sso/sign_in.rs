//! The first sign-in through a directory, and who is rejected.

use axum::body::Body;
use http::HeaderValue;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use tokenward::config::{Config, ConfigDuration};

use super::{DirectoryApp, password_of, setup};
use crate::support::{
    Database, Engine, PASSWORD, TestApp, both_databases,
    directory::{DirectorySetup, Flavor, ODD_LOGIN, TestDirectory},
};

#[rstest]
#[case::postgres_slapd(Engine::Postgres, Flavor::Slapd)]
#[case::sqlite_samba(Engine::Sqlite, Flavor::Samba)]
#[tokio::test]
async fn the_directory_password_generates_the_first_token(#[case] engine: Engine, #[case] flavor: Flavor) {
    let company = DirectoryApp::start(engine, flavor).await;
    let token = company.token_of("grace").await;
    let me = token.get("/v4/people/current").await.expect(200).json;
    assert_eq!(me["email"], "grace@example.org");
    assert_eq!(me["name"], "Grace Hopper");
    assert_eq!(me["ssoPrincipal"], "grace");
    assert_eq!((me["isAdmin"].as_bool(), me["tokenAccess"].as_str()), (Some(false), Some("enabled")));
    assert_eq!(me["disabledBy"], json!([]));
    // An administrator by a nested group.
    let admin = company.token_of("ada").await;
    assert_eq!(admin.get("/v4/people/current").await.json["isAdmin"], true);
    admin.get("/v4/people").await.expect(200);
    // The second sign-in finds the same account, by another name.
    let names = match flavor {
        Flavor::Slapd => vec!["grace", "grace@example.org", "GRACE"],
        Flavor::Samba => vec!["grace", "grace@ad.example.org", "grace@example.org", "GRACE"],
    };
    for name in names {
        let again = company.basic(name, &password_of("grace")).get("/v4/people/current").await.expect(200);
        assert_eq!(again.json["id"], me["id"], "{name}");
    }
    let actions = company.actions("grace@example.org").await;
    assert!(actions.iter().any(|action| action == "person.added"), "{actions:?}");
    assert!(actions.iter().any(|action| action == "login.succeeded"), "{actions:?}");
    // On the pages, too.
    let browser = company.app.browser();
    browser.sign_in("grace", &password_of("grace")).await.expect(303);
    let profile = browser.get("/preferences/profile").await.expect(200).text;
    assert!(profile.contains("You sign in through <b>company</b> as <b>grace</b>"), "{profile}");
}

#[apply(both_databases)]
async fn people_without_a_rule_or_with_a_wrong_password_are_rejected(engine: Engine) {
    let company = DirectoryApp::start(engine, Flavor::Slapd).await;
    let wrong = company.basic("grace", "wrong-password").get("/v4/people/current").await;
    let details = wrong.expect_error(401, "MissingPersonException");
    for (name, password) in [
        // In no allowed group.
        ("eve", password_of("eve")),
        // Not in the directory.
        ("unknown", password_of("unknown")),
        ("*", password_of("grace")),
        (")(uid=*", password_of("grace")),
        // Two entries have this address.
        ("twins@example.org", password_of("twin-one")),
        // In the directory, but in no allowed group.
        (ODD_LOGIN, password_of(ODD_LOGIN)),
    ] {
        let response = company.basic(name, &password).get("/v4/people/current").await;
        assert_eq!(response.expect_error(401, "MissingPersonException"), details, "{name}");
    }
    let empty = company.basic("grace", "").get("/v4/people/current").await;
    empty.expect_error(401, "MissingPersonException");
    // Nothing was created.
    assert_eq!(company.app.admin().get("/v4/people").await.rows().len(), 1);
}

#[apply(both_databases)]
async fn an_account_with_a_local_password_is_never_asked_of_the_directory(engine: Engine) {
    let company = DirectoryApp::start(engine, Flavor::Slapd).await;
    let body = json!({"email": "grace@example.org", "name": "Local Grace", "password": PASSWORD});
    company.app.admin().post("/v4/people", &body).await.expect(201);
    // By the address and by the login of the entry, which would lead to the same address.
    for name in ["grace@example.org", "grace"] {
        company.basic(name, &password_of("grace")).get("/v4/people/current").await.expect(401);
    }
    let local = company.basic("grace@example.org", PASSWORD).get("/v4/people/current").await.expect(200);
    assert_eq!(local.json["ssoPrincipal"], json!(null));
    company.app.state.denied_attempts().flush(true).await.unwrap();
    let events = company.app.admin().get("/v4/events?allUsers=true&limit=100").await;
    assert!(events.rows().iter().any(|event| event["action"] == "identity.email_taken"), "{}", events.text);
}

#[apply(both_databases)]
async fn auth_checks_and_oauth_accept_local_passwords_only(engine: Engine) {
    let company = DirectoryApp::start(engine, Flavor::Slapd).await;
    company.token_of("grace").await;
    let client = company.client("grace");
    client.get("/v4/auth").await.expect(401);
    let mut request = client.request("POST", "/oauth2/introspect", Body::from("token=x"));
    request.headers_mut().insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
    client.send(request).await.expect(401);
    client.get("/v4/people/current").await.expect(200);
}

#[apply(both_databases)]
async fn headers_of_reverse_proxies_are_no_identity(engine: Engine) {
    let company = DirectoryApp::start(engine, Flavor::Slapd).await;
    company.token_of("grace").await;
    for header in ["remote-user", "x-forwarded-user", "x-remote-user", "x-auth-request-email"] {
        let client = company.app.anonymous();
        let mut request = client.request("GET", "/v4/people/current", Body::empty());
        request.headers_mut().insert(header, HeaderValue::from_static("grace"));
        client.send(request).await.expect(401);
    }
}

#[apply(both_databases)]
async fn a_rule_without_create_admits_linked_people_only(engine: Engine) {
    let directory = TestDirectory::start(Flavor::Slapd);
    let group = Flavor::Slapd.group_dn("token-users");
    let setup =
        DirectorySetup::new("company", &directory).allow(&group, [("workspace", 1.into()), ("create", false.into())]);
    let company = DirectoryApp::with_setup(engine, directory, &setup).await;
    company.client("grace").get("/v4/people/current").await.expect(401);
    // Without a password: the person can only be linked.
    let body = json!({"email": "other@example.com", "name": "Grace"});
    let created = company.app.admin().post("/v4/people", &body).await.expect(201);
    company.link("other@example.com", "grace").await.unwrap();
    let me = company.client("grace").get("/v4/people/current").await.expect(200);
    assert_eq!(me.json["id"], created.json["id"]);
    // The sign-in has taken over the address of the entry.
    assert_eq!(me.json["email"], "grace@example.org");
}

#[apply(both_databases)]
async fn an_outage_of_the_directory_is_503_and_leaves_tokens_alone(engine: Engine) {
    let mut company = DirectoryApp::start(engine, Flavor::Slapd).await;
    let token = company.token_of("grace").await;
    let browser = company.app.browser();
    browser.sign_in("grace", &password_of("grace")).await.expect(303);
    company.directory.stop();
    let response = company.client("grace").get("/v4/people/current").await;
    response.expect_error(503, "ServiceUnavailableException");
    assert!(response.headers.contains_key("retry-after"));
    let page = company.app.browser().sign_in("grace", &password_of("grace")).await.expect(503);
    assert!(page.text.contains("The directory does not respond"), "{}", page.text);
    token.get("/v4/people/current").await.expect(200);
    browser.get("/preferences/profile").await.expect(200);
    company.app.admin().get("/v4/people").await.expect(200);
    company.directory.start_again();
    company.client("grace").get("/v4/people/current").await.expect(200);
}

#[apply(both_databases)]
async fn a_person_who_left_the_groups_is_rejected_and_the_sync_decides_about_tokens(engine: Engine) {
    let company = DirectoryApp::start(engine, Flavor::Slapd).await;
    let token = company.token_of("grace").await;
    company.directory.remove_member("token-users", "grace");
    company.client("grace").get("/v4/people/current").await.expect(401);
    token.get("/v4/people/current").await.expect(200);
    // A disabled entry is disabled here at once.
    company.directory.add_member("token-users", "grace");
    company.directory.disable("grace");
    company.client("grace").get("/v4/people/current").await.expect(401);
    token.get("/v4/people/current").await.expect(401);
    assert_eq!(company.person("grace@example.org").await["disabledBy"], json!(["directory"]));
}

/// The client gets one response to all of them.
#[apply(both_databases)]
async fn the_reason_of_a_rejected_sign_in_is_in_the_event(engine: Engine) {
    let company =
        DirectoryApp::start_with(engine, Flavor::Slapd, |setup| setup.key("domains", vec!["example.org"])).await;
    company.directory.require_password_change("ada");
    for (name, password) in [
        ("eve", password_of("eve")),
        ("eve@example.net", password_of("eve")),
        (r"OTHER\eve", password_of("eve")),
        ("ada", password_of("ada")),
        ("twins@example.org", password_of("twin-one")),
        ("nemo", password_of("nemo")),
    ] {
        let response = company.basic(name, &password).get("/v4/people/current").await;
        response.expect_error(401, "MissingPersonException");
    }
    company.app.state.denied_attempts().flush(true).await.unwrap();
    let events = company.app.admin().get("/v4/events?allUsers=true&limit=100&action=login.failed").await.expect(200);
    let mut causes: Vec<(&str, i64)> = events
        .rows()
        .iter()
        .map(|event| (event["details"]["cause"].as_str().unwrap(), event["details"]["count"].as_i64().unwrap()))
        .collect();
    causes.sort_unstable();
    let expected = [
        ("e-mail domain not accepted", 2),
        ("not in an allowed group", 1),
        ("password expired", 1),
        ("several entries have this name", 1),
        ("unknown e-mail", 1),
    ];
    assert_eq!(causes, expected);
}

/// The limit of the request ends later than the time of the directory.
#[apply(both_databases)]
async fn a_directory_that_hangs_has_a_response_of_its_own(engine: Engine) {
    let directory = TestDirectory::start(Flavor::Slapd);
    let parsed: Config = toml::from_str(&setup(&directory).to_toml()).unwrap();
    let app = TestApp::start_with(Database::migrated(engine).await, |config| {
        config.sso = parsed.sso;
        config.http.request_timeout = ConfigDuration::from_secs(4);
    });
    let company = DirectoryApp { app: app.await, directory };
    company.client("grace").get("/v4/people/current").await.expect(200);
    // The search and the connection after it take longer than the time of the directory.
    company.directory.pause();
    let response = company.client("grace").get("/v4/people/current").await;
    assert!(response.text.contains("The credential could not be checked."), "{}", response.text);
    response.expect_error(503, "ServiceUnavailableException");
    let page = company.app.browser().sign_in("grace", &password_of("grace")).await.expect(503);
    assert!(page.text.contains("The directory does not respond"), "{}", page.text);
    company.directory.resume();
    company.client("grace").get("/v4/people/current").await.expect(200);
}
