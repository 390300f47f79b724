//! The way from the request of a program to its token.

use futures_util::future::join_all;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use super::{BEGIN, approve, approve_at, begin, codes_of, enter, expect_oauth_error, poll, poll_as, post_form};
use crate::support::{Engine, TestApp, both_databases, both_databases_multi_thread};

#[apply(both_databases)]
async fn a_program_gets_a_token_that_a_person_has_approved(engine: Engine) {
    let app = TestApp::start(engine).await;
    let form = "client_id=tokenward&description=build+server&lifetime=3600&scope=reports%3Aread%20reports%3Awrite&x=1";
    let begun = post_form(&app.anonymous().with_address("192.0.2.9"), BEGIN, form).await.expect(200);
    assert_eq!(begun.headers["cache-control"], "no-store");
    let codes = codes_of(&begun.json);
    assert_eq!(
        begun.json,
        json!({
            "device_code": codes.device, "user_code": codes.user, "expires_in": 600, "interval": 5,
            "verification_uri": "http://127.0.0.1:3005/device"
        })
    );
    let letters = codes.user.bytes().filter(|byte| b"BCDFGHJKLMNPQRSTVWXZ".contains(byte)).count();
    assert_eq!((codes.device.len(), codes.user.len(), letters, &codes.user[4..5]), (43, 9, 8, "-"));
    expect_oauth_error(&poll(&app, &codes).await, 400, "authorization_pending");

    let browser = app.signed_in_browser("admin@example.com").await;
    let typed = codes.user.replace('-', " ").to_lowercase();
    let path = enter(&browser, &typed).await;
    assert!(!path.contains(&codes.user), "{path}");
    let page = browser.get(&path).await.expect(200).text;
    for fact in ["192.0.2.9", "tokenward/9.9 (test)", "2026-01-01 00:00:00Z", "build server", "1 hour", "reports:write"]
    {
        assert!(page.contains(fact), "{fact}: {page}");
    }
    assert!(page.contains("you started this login yourself"), "{page}");
    approve_at(&browser, &path).await.expect(303);
    assert!(browser.get(&path).await.expect(200).text.contains("Login approved"));
    // Nothing was created yet.
    assert!(app.admin().get("/v4/apiAccessTokens").await.rows().is_empty());

    app.advance_seconds(5);
    let issued = poll(&app, &codes).await.expect(200);
    let value = issued.json["access_token"].as_str().unwrap();
    assert_eq!(
        issued.json,
        json!({
            "access_token": value, "token_type": "Bearer", "expires_in": 3600, "scope": "reports:read reports:write"
        })
    );
    let bearer = app.client_with_authorization(&[&format!("Bearer {value}")]);
    assert_eq!(bearer.get("/v4/people/current").await.expect(200).json["email"], "admin@example.com");
    let token = app.admin().get("/v4/apiAccessTokens").await.rows()[0].clone();
    assert_eq!(
        (&token["description"], &token["expiredAt"]),
        (&json!("build server"), &json!("2026-01-01T01:00:05.000Z"))
    );
    // The code works once.
    expect_oauth_error(&poll(&app, &codes).await, 400, "invalid_grant");
    assert!(browser.get(&path).await.expect(200).text.contains("Login approved"));
    assert_eq!(app.admin().get("/v4/apiAccessTokens").await.rows().len(), 1);
    let events = app.admin().get("/v4/events").await.expect(200);
    let find = |action: &str| events.rows().iter().find(|event| event["action"] == action).unwrap().clone();
    let approved = find("device_authorization.approved");
    assert_eq!(
        approved["details"],
        json!({
            "description": "build server", "scopes": "reports:read reports:write", "requestedFrom": "192.0.2.9",
            "requestedBy": "tokenward/9.9 (test)"
        })
    );
    assert_eq!(
        (&find("token.created")["details"]["by"], &approved["actor"]),
        (&json!("device"), &json!("admin@example.com"))
    );
    let counters = app.state.device_authorizations().counters().family();
    let counts = ["begun", "wrong_code", "approved", "denied", "issued"]
        .map(|result| counters.get_or_create(&[("result", result)]).get());
    assert_eq!(counts, [1, 0, 1, 0, 1]);
    for secret in [&codes.device, &codes.user, &value.to_owned()] {
        assert!(!events.text.contains(secret.as_str()));
    }
}

#[apply(both_databases)]
async fn a_denied_login_gets_no_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    let codes = begin(&app, "").await;
    let browser = app.signed_in_browser("admin@example.com").await;
    let path = enter(&browser, &codes.user).await;
    browser.post(&format!("{path}/deny"), &[]).await.expect(303);
    assert!(browser.get(&path).await.expect(200).text.contains("Login denied"));
    expect_oauth_error(&poll(&app, &codes).await, 400, "access_denied");
    // The decision is final.
    browser.post(&format!("{path}/approve"), &[]).await.expect(303);
    expect_oauth_error(&poll(&app, &codes).await, 400, "access_denied");
    let events = app.admin().get("/v4/events?action=device_authorization.denied").await.expect(200);
    assert_eq!(events.rows().len(), 1);
}

#[apply(both_databases)]
async fn a_poll_that_comes_too_early_lengthens_the_interval(engine: Engine) {
    let app = TestApp::start(engine).await;
    let codes = begin(&app, "").await;
    expect_oauth_error(&poll(&app, &codes).await, 400, "authorization_pending");
    expect_oauth_error(&poll(&app, &codes).await, 400, "slow_down");
    app.advance_seconds(8);
    expect_oauth_error(&poll(&app, &codes).await, 400, "slow_down");
    app.advance_seconds(15);
    expect_oauth_error(&poll(&app, &codes).await, 400, "authorization_pending");
    // Another program is not affected, and an approved one gets its token at once.
    let other = begin(&app, "").await;
    expect_oauth_error(&poll(&app, &other).await, 400, "authorization_pending");
    approve(&app.signed_in_browser("admin@example.com").await, &codes).await;
    poll(&app, &codes).await.expect(200);
}

#[apply(both_databases)]
async fn the_codes_expire_after_ten_minutes(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (pending, approved, unknown) = (begin(&app, "").await, begin(&app, "").await, begin(&app, "").await);
    let browser = app.signed_in_browser("admin@example.com").await;
    let path = enter(&browser, &pending.user).await;
    app.advance_seconds(599);
    approve(&browser, &approved).await;
    app.advance_seconds(1);
    for codes in [&pending, &approved, &unknown] {
        expect_oauth_error(&poll(&app, codes).await, 400, "expired_token");
    }
    browser.post("/device", &[("user_code", &unknown.user)]).await.expect(400);
    let late = browser.post(&format!("{path}/approve"), &[]).await.expect(303);
    assert_eq!(late.header_values("location"), ["/device"]);
    assert_eq!(browser.get(&path).await.expect(303).header_values("location"), ["/device"]);
    expect_oauth_error(&poll(&app, &pending).await, 400, "expired_token");
    // Later, the rows are purged.
    assert_eq!(app.state.device_authorizations().purge_expired().await.unwrap(), 0);
    app.advance_seconds(600);
    assert_eq!(app.state.device_authorizations().purge_expired().await.unwrap(), 3);
    expect_oauth_error(&poll(&app, &pending).await, 400, "invalid_grant");
    assert!(app.admin().get("/v4/apiAccessTokens").await.rows().is_empty());
}

/// On PostgreSQL the polls arrive at two nodes.
#[apply(both_databases_multi_thread)]
async fn of_many_polls_one_gets_the_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    let other = match engine {
        Engine::Postgres => Some(TestApp::start_with(app.database.for_another_node(), |_| ()).await),
        Engine::Sqlite => None,
    };
    let browser = app.signed_in_browser("admin@example.com").await;
    for _ in 0..3 {
        let codes = begin(&app, "").await;
        approve(&browser, &codes).await;
        let polls = (0..8).map(|n| {
            let node = other.as_ref().filter(|_| n % 2 == 1).unwrap_or(&app);
            let (client, device) = (node.anonymous(), codes.device.clone());
            async move { tokio::spawn(async move { poll_as(&client, &device).await }).await.unwrap() }
        });
        let responses = join_all(polls).await;
        let (issued, rejected): (Vec<_>, Vec<_>) = responses.iter().partition(|response| response.status == 200);
        assert_eq!((issued.len(), rejected.len()), (1, 7));
        for response in rejected {
            expect_oauth_error(response, 400, "invalid_grant");
        }
        let value = issued[0].json["access_token"].as_str().unwrap();
        let bearer = app.client_with_authorization(&[&format!("Bearer {value}")]);
        bearer.get("/v4/people/current").await.expect(200);
    }
    assert_eq!(app.admin().get("/v4/apiAccessTokens").await.rows().len(), 3);
}

#[apply(both_databases)]
async fn an_outage_loses_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let codes = begin(&app, "").await;
    approve(&app.signed_in_browser("admin@example.com").await, &codes).await;
    app.store.close().await;
    for response in [poll(&app, &codes).await, post_form(&app.anonymous(), BEGIN, "").await] {
        expect_oauth_error(&response, 503, "temporarily_unavailable");
        assert!(response.headers.contains_key("retry-after"));
    }
    let app = TestApp::start_with(app.database, |_| ()).await;
    poll(&app, &codes).await.expect(200);
}

#[apply(both_databases)]
async fn a_token_without_a_lifetime_gets_30_days_or_the_maximum(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = app.signed_in_browser("admin@example.com").await;
    for (form, max, expected) in [
        ("", None, json!(2_592_000)),
        ("", Some(7), json!(604_800)),
        ("lifetime=-1", None, Value::Null),
        ("scope=", None, json!(2_592_000)),
    ] {
        app.set_setting("maxLifetimeDays", max).await;
        let codes = begin(&app, form).await;
        approve(&browser, &codes).await;
        let issued = poll(&app, &codes).await.expect(200).json;
        assert_eq!((&issued["expires_in"], &issued["scope"]), (&expected, &Value::Null), "{form}");
    }
}

#[apply(both_databases)]
async fn the_metadata_name_the_endpoints(engine: Engine) {
    let app = TestApp::start(engine).await;
    let metadata = app.anonymous().get("/.well-known/oauth-authorization-server").await.expect(200).json;
    assert_eq!(metadata["device_authorization_endpoint"], "http://127.0.0.1:3005/oauth2/device_authorization");
    assert_eq!(metadata["token_endpoint"], "http://127.0.0.1:3005/oauth2/token");
    let grants = metadata["grant_types_supported"].as_array().unwrap();
    assert!(grants.contains(&json!("urn:ietf:params:oauth:grant-type:device_code")), "{grants:?}");
}
