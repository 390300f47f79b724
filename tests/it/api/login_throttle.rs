//! The login throttle: it slows password guessing at every entry point and does not affect the
//! tokens and sessions of the account.

use futures_util::future::join_all;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{Database, Engine, PASSWORD, TestApp, TestResponse, basic_auth, both_databases};

async fn attempt(app: &TestApp, email: &str, password: &str) -> TestResponse {
    app.client_with_authorization(&[&basic_auth(email, password)]).get("/v4/people/current").await
}

/// Uses up the free attempts.
async fn use_free_attempts(app: &TestApp, email: &str) {
    for n in 0..10 {
        assert_eq!(attempt(app, email, "wrong").await.status, 401, "attempt {n}");
    }
}

#[apply(both_databases)]
async fn the_login_delay_doubles_after_ten_failures(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.add_person("ada").await;
    use_free_attempts(&app, "ada@example.com").await;
    let mut waits = Vec::new();
    for _ in 0..12 {
        let response = attempt(&app, "ada@example.com", "wrong").await;
        let details = response.expect_error(429, "TooManyRequestsException");
        let seconds: i64 = response.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert_eq!(response.headers["x-retry-after"], response.headers["retry-after"]);
        assert!(details.contains(&format!("Try again in {seconds} seconds")));
        assert!(response.header_values("www-authenticate").is_empty());
        // Throttled attempts are not checked: the right password waits as well, and attempts do not
        // extend the delay.
        app.advance_seconds(seconds - 1);
        assert_eq!(attempt(&app, "ada@example.com", PASSWORD).await.headers["retry-after"], "1");
        app.advance_seconds(1);
        assert_eq!(attempt(&app, "ada@example.com", "wrong").await.status, 401);
        waits.push(seconds);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
}

#[apply(both_databases)]
async fn failures_add_up_over_all_entry_points_and_spellings(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.admin()
        .post("/v4/people", &json!({"email": "jos\u{e9}@example.com", "name": "J", "password": PASSWORD}))
        .await
        .expect(201);
    let (nfc, nfd) = ("jos\u{e9}@example.com", " JOSE\u{301}@Example.com ");
    let browser = app.browser();
    let signed_in_browser = app.browser();
    signed_in_browser.sign_in(nfc, PASSWORD).await.expect(303);
    for email in [nfc, nfd] {
        let wrong = basic_auth(email, "wrong");
        assert_eq!(attempt(&app, email, "wrong").await.status, 401);
        assert_eq!(app.client_with_authorization(&[&wrong]).get("/v4/auth").await.status, 401);
        assert_eq!(app.client_with_authorization(&[&wrong]).post("/v4/apiAccessTokens", &json!({})).await.status, 401);
        assert_eq!(browser.sign_in(email, "wrong").await.status, 403);
    }
    let fields = [("old_password", "wrong"), ("new_password", "y"), ("repeated_password", "y")];
    signed_in_browser.post("/preferences/profile/password", &fields).await.expect(400);
    app.advance_seconds(15 * 60);
    signed_in_browser.post("/preferences/access-tokens/delete-all", &[("own_password", "wrong")]).await.expect(400);
    // After ten failures every entry point is throttled, even for the right password. An auth check
    // returns 401, not an outage.
    assert_eq!(attempt(&app, nfd, PASSWORD).await.status, 429);
    let response = browser.sign_in(nfc, PASSWORD).await.expect(429);
    assert!(response.text.contains("Too many failed attempts") && response.headers["retry-after"] == "1");
    assert!(response.text.contains("Try again in 1 second."), "{}", response.text);
    signed_in_browser.post("/preferences/access-tokens/delete-all", &[("own_password", PASSWORD)]).await.expect(429);
    let mut request = app.anonymous().request("POST", "/oauth2/introspect", "token=x".to_owned().into());
    request.headers_mut().insert("authorization", basic_auth(nfc, PASSWORD).parse().unwrap());
    request.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    let response = app.anonymous().send(request).await.expect(429);
    assert_eq!(
        (&response.json["error"], &response.headers["retry-after"]),
        (&json!("slow_down"), &"1".parse().unwrap())
    );
    let checked = app.client_with_authorization(&[&basic_auth(nfc, PASSWORD)]).get("/v4/auth").await;
    checked.expect_error(401, "MissingPersonException");
}

#[apply(both_databases)]
async fn unknown_accounts_are_throttled_like_existing_ones(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.add_person("ada").await;
    let off = app.add_person("off").await;
    app.admin().update_person(off.id, json!({"isDisabled": true})).await.expect(200);
    let mut accounts = Vec::new();
    for email in ["ada@example.com", "unknown@example.com", "off@example.com"] {
        let mut responses = Vec::new();
        for _ in 0..12 {
            // The right password of a disabled account is rejected as well.
            let password = if email.starts_with("off") { PASSWORD } else { "wrong" };
            let response = attempt(&app, email, password).await;
            responses.push((response.status, response.headers.get("retry-after").cloned(), response.text));
        }
        accounts.push(responses);
    }
    assert!(accounts.iter().all(|responses| *responses == accounts[0]), "{accounts:#?}");
}

#[apply(both_databases)]
async fn failures_of_malformed_emails_are_not_counted(engine: Engine) {
    let app = TestApp::start(engine).await;
    for name in ["unknown", "", "ada.example.com"] {
        for _ in 0..15 {
            assert_eq!(attempt(&app, name, "wrong").await.status, 401, "{name}");
        }
    }
    app.advance_seconds(86_400);
    assert_eq!(app.state.sign_in().purge_login_failures().await.unwrap(), 0);
}

#[apply(both_databases)]
async fn throttling_does_not_affect_tokens_and_sessions(engine: Engine) {
    let app = TestApp::start(engine).await;
    let token = app.admin().create_token().await;
    let browser = app.signed_in_browser("admin@example.com").await;
    use_free_attempts(&app, "admin@example.com").await;
    assert_eq!(attempt(&app, "admin@example.com", PASSWORD).await.status, 429);
    assert!(token.is_accepted().await);
    browser.get("/preferences/access-tokens").await.expect(200);
    assert_eq!(token.post("/v4/apiAccessTokens", &crate::support::one_hour_token()).await.status, 201);
    assert_eq!(attempt(&app, "other@example.com", "wrong").await.status, 401, "other accounts are not throttled");
}

#[apply(both_databases)]
async fn a_successful_login_resets_the_failures(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.add_person("ada").await;
    use_free_attempts(&app, "ada@example.com").await;
    app.advance_seconds(1);
    assert_eq!(attempt(&app, "ada@example.com", PASSWORD).await.status, 200);
    use_free_attempts(&app, "ada@example.com").await;
    assert_eq!(attempt(&app, "ada@example.com", "wrong").await.status, 429);
}

#[apply(both_databases)]
async fn an_administrator_resets_the_login_throttle(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let path = format!("/admin/users/{}", ada.id);
    assert!(!admin.get(&path).await.text.contains("Allow sign-in now"));
    for change in [
        json!({"isDisabled": false}),
        json!({"password": "another phrase of words", "password2": "another phrase of words"}),
    ] {
        use_free_attempts(&app, "ada@example.com").await;
        assert_eq!(attempt(&app, "ada@example.com", "wrong").await.status, 429);
        assert!(admin.get(&path).await.text.contains("Allow sign-in now"));
        app.admin().update_person(ada.id, json!({"name": "Ada L."})).await.expect(200);
        assert_eq!(attempt(&app, "ada@example.com", "wrong").await.status, 429);
        app.admin().update_person(ada.id, change).await.expect(200);
        assert_eq!(attempt(&app, "ada@example.com", "wrong").await.status, 401);
        app.advance_seconds(86_400);
        admin.sign_in("admin@example.com", PASSWORD).await.expect(303);
    }
    use_free_attempts(&app, "ada@example.com").await;
    admin.post(&format!("{path}/enable"), &[]).await.expect(303);
    assert_eq!(attempt(&app, "ada@example.com", "another phrase of words").await.status, 200);
}

#[apply(both_databases)]
async fn concurrent_logins_do_not_exceed_the_free_attempts(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.add_person("ada").await;
    let statuses = join_all((0..50).map(|_| attempt(&app, "ada@example.com", "wrong"))).await;
    let checked = statuses.iter().filter(|response| response.status == 401).count();
    let cores = std::thread::available_parallelism().unwrap().get();
    assert!((10..10 + cores).contains(&checked), "{checked} attempts were checked");
    assert!(statuses.iter().all(|response| matches!(response.status, 401 | 429)));
    // Successful logins do not slow each other.
    let right = join_all((0..50).map(|_| attempt(&app, "admin@example.com", PASSWORD))).await;
    assert!(right.iter().all(|response| response.status == 200));
}

#[apply(both_databases)]
async fn failures_expire_after_a_day(engine: Engine) {
    let app = TestApp::start(engine).await;
    use_free_attempts(&app, "unknown@example.com").await;
    app.advance_seconds(86_400);
    use_free_attempts(&app, "unknown@example.com").await;
    assert_eq!(attempt(&app, "unknown@example.com", "wrong").await.status, 429);
    app.advance_seconds(86_400);
    assert_eq!(app.state.sign_in().purge_login_failures().await.unwrap(), 1);
}

#[tokio::test]
async fn nodes_share_the_login_attempt_budget() {
    let first = TestApp::start_with(Database::migrated(Engine::Postgres).await, |_| ()).await;
    let second = TestApp::start_with(first.database.for_another_node(), |_| ()).await;
    for n in 0..10 {
        let node = if n % 2 == 0 { &first } else { &second };
        assert_eq!(attempt(node, "unknown@example.com", "wrong").await.status, 401);
    }
    for node in [&first, &second] {
        assert_eq!(attempt(node, "unknown@example.com", "wrong").await.status, 429);
    }
}
