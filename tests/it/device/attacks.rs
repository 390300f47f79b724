//! Attacks on device authorizations: guesses, other people's codes, malformed and forged requests.

use http::HeaderValue;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use super::{
    BEGIN, GRANT_TYPE, TOKEN, approve, approve_at, begin, enter, expect_oauth_error, poll, poll_as, post_form,
    shown_lifetime,
};
use crate::support::{Engine, TestApp, both_databases};

#[apply(both_databases)]
async fn a_user_code_belongs_to_the_first_person_who_enters_it(engine: Engine) {
    let app = TestApp::start(engine).await;
    let other = app.create_workspace_with_admin("rosalind").await;
    let codes = begin(&app, "").await;
    let first = app.signed_in_browser(&other.email).await;
    let second = app.signed_in_browser("admin@example.com").await;
    let path = enter(&first, &codes.user).await;
    second.post("/device", &[("user_code", &codes.user)]).await.expect(400);
    // Not even the path helps another session, of another person or of the same one.
    let again = app.signed_in_browser(&other.email).await;
    for browser in [&second, &again] {
        assert_eq!(browser.get(&path).await.expect(303).header_values("location"), ["/device"]);
        for decision in ["approve", "deny"] {
            let response = browser.post(&format!("{path}/{decision}"), &[]).await.expect(303);
            assert_eq!(response.header_values("location"), ["/device"]);
        }
    }
    expect_oauth_error(&poll(&app, &codes).await, 400, "authorization_pending");
    // The same person may go on in another session; the first one then has no right to decide.
    assert_eq!(enter(&again, &codes.user).await, path);
    let response = first.post(&format!("{path}/approve"), &[]).await.expect(303);
    assert_eq!(response.header_values("location"), ["/device"]);
    approve_at(&again, &path).await.expect(303);
    // The token belongs to the approver and their workspace.
    let value = poll(&app, &codes).await.expect(200).json["access_token"].as_str().unwrap().to_owned();
    let person = app.client_with_authorization(&[&format!("Bearer {value}")]).get("/v4/people/current").await;
    assert_eq!((&person.json["email"], &person.json["workspaceId"]), (&json!(other.email), &json!(other.workspace_id)));
    // A code that was used is unknown.
    for browser in [&first, &second, &again] {
        browser.post("/device", &[("user_code", &codes.user)]).await.expect(400);
    }
}

#[apply(both_databases)]
async fn guesses_of_user_codes_are_throttled(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.add_person("ada").await;
    let codes = begin(&app, "").await;
    let browser = app.signed_in_browser("ada@example.com").await;
    for wrong in ["BBBB-BBBB", "", "x", "AEIO-UAEI", &"B".repeat(10_000), "BBBBBBBB%00", "BCDF\r\nGHJK"] {
        browser.post("/device", &[("user_code", wrong)]).await.expect(400);
    }
    for _ in 0..3 {
        browser.post("/device", &[("user_code", "BBBB-BBBC")]).await.expect(400);
    }
    // Another session of the same person does not help, and the right code is not read either.
    for browser in [&browser, &app.signed_in_browser("ada@example.com").await] {
        browser.post("/device", &[("user_code", &codes.user)]).await.expect(429);
    }
    let other = app.signed_in_browser("admin@example.com").await;
    other.post("/device", &[("user_code", "BBBB-BBBB")]).await.expect(400);
    app.advance_seconds(60);
    // The right code does not use up the limit.
    enter(&browser, &codes.user).await;
    enter(&browser, &codes.user).await;
}

#[apply(both_databases)]
async fn guesses_of_several_people_at_one_address_are_throttled(engine: Engine) {
    let app = TestApp::start(engine).await;
    let mut last = 0;
    for n in 0..6 {
        let person = app.add_person(&format!("person{n}")).await;
        let browser = app.signed_in_browser(&person.email).await.with_address("192.0.2.1");
        for _ in 0..10 {
            last = browser.post("/device", &[("user_code", "BBBB-BBBB")]).await.status;
        }
    }
    assert_eq!(last, 429);
    let browser = app.signed_in_browser("admin@example.com").await;
    browser.post("/device", &[("user_code", "BBBB-BBBB")]).await.expect(400);
}

#[apply(both_databases)]
async fn requests_and_unknown_device_codes_are_limited_by_address(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.anonymous().with_address("192.0.2.1");
    for _ in 0..10 {
        post_form(&client, BEGIN, "").await.expect(200);
    }
    let limited = post_form(&client, BEGIN, "").await;
    expect_oauth_error(&limited, 429, "slow_down");
    assert!(limited.headers.contains_key("retry-after"));
    post_form(&app.anonymous().with_address("192.0.2.2"), BEGIN, "").await.expect(200);
    app.advance_seconds(6);
    post_form(&client, BEGIN, "").await.expect(200);
    for n in 0..30 {
        expect_oauth_error(&poll_as(&client, &format!("{n:a<43}")).await, 400, "invalid_grant");
    }
    expect_oauth_error(&poll_as(&client, &"a".repeat(43)).await, 429, "slow_down");
    // A known code is not affected, unless its program polls far too often.
    let codes = begin(&app, "").await;
    expect_oauth_error(&poll_as(&client, &codes.device).await, 400, "authorization_pending");
    for _ in 0..9 {
        expect_oauth_error(&poll_as(&client, &codes.device).await, 400, "slow_down");
    }
    expect_oauth_error(&poll_as(&client, &codes.device).await, 429, "slow_down");
    let other = begin(&app, "").await;
    expect_oauth_error(&poll_as(&client, &other.device).await, 400, "authorization_pending");
}

/// A person without guesses does not use up those of colleagues behind the same address.
#[apply(both_databases)]
async fn a_guesser_locks_out_no_other_person(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let guesser = app.signed_in_browser(&ada.email).await.with_address("192.0.2.1");
    for n in 0..80 {
        let status = if n < 10 { 400 } else { 429 };
        guesser.post("/device", &[("user_code", "BBBB-BBBB")]).await.expect(status);
    }
    let colleague = app.signed_in_browser("admin@example.com").await.with_address("192.0.2.1");
    colleague.post("/device", &[("user_code", "BBBB-BBBB")]).await.expect(400);
    let codes = begin(&app, "").await;
    approve(&colleague, &codes).await;
}

/// The person approves the lifetime that the page has shown.
#[apply(both_databases)]
async fn a_lifetime_that_changed_is_shown_again(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.set_setting("maxLifetimeDays", 7).await;
    let codes = begin(&app, "").await;
    let browser = app.signed_in_browser("admin@example.com").await;
    let path = enter(&browser, &codes.user).await;
    let shown = shown_lifetime(&browser, &path).await;
    app.set_setting("maxLifetimeDays", 3).await;
    for lifetime in [shown.as_str(), ""] {
        let page = browser.post(&format!("{path}/approve"), &[("lifetime", lifetime)]).await.expect(409);
        assert!(page.text.contains("The settings of the workspace have changed."), "{}", page.text);
    }
    expect_oauth_error(&poll(&app, &codes).await, 400, "authorization_pending");
    approve_at(&browser, &path).await.expect(303);
    app.advance_seconds(5);
    assert_eq!(poll(&app, &codes).await.expect(200).json["expires_in"], 3 * 86_400);
}

#[apply(both_databases)]
async fn malformed_requests_are_rejected_with_oauth_errors(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.anonymous();
    let long = "x".repeat(10_000);
    for (form, code) in [
        ("description=a%00b".to_owned(), "invalid_request"),
        ("description=a%0Ab".to_owned(), "invalid_request"),
        ("description=%E2%80%AEevil".to_owned(), "invalid_request"),
        (format!("description={long}"), "invalid_request"),
        ("description=a&description=b".to_owned(), "invalid_request"),
        ("lifetime=0".to_owned(), "invalid_request"),
        ("lifetime=1d".to_owned(), "invalid_request"),
        ("lifetime=99999999999999999999".to_owned(), "invalid_request"),
        ("lifetime=3153600001".to_owned(), "invalid_request"),
        (format!("lifetime={long}"), "invalid_request"),
        ("scope=Reports".to_owned(), "invalid_scope"),
        ("scope=tokenward:root".to_owned(), "invalid_scope"),
        ("scope=a+a".to_owned(), "invalid_scope"),
        (format!("scope={long}"), "invalid_scope"),
        ("client_id=another".to_owned(), "invalid_client"),
        (format!("client_id={long}"), "invalid_client"),
    ] {
        let response = post_form(&client, BEGIN, &form).await;
        expect_oauth_error(&response, 400, code);
        assert!(response.text.len() < 1_000, "{form}");
    }
    for (form, code) in [
        (String::new(), "invalid_request"),
        ("grant_type=".to_owned(), "invalid_request"),
        ("grant_type=password&username=a&password=b".to_owned(), "unsupported_grant_type"),
        (format!("grant_type={long}"), "unsupported_grant_type"),
        (format!("grant_type={GRANT_TYPE}"), "invalid_request"),
        (format!("grant_type={GRANT_TYPE}&device_code="), "invalid_request"),
        (format!("grant_type={GRANT_TYPE}&device_code=a&device_code=b"), "invalid_request"),
        (format!("grant_type={GRANT_TYPE}&device_code={long}"), "invalid_grant"),
        (format!("grant_type={GRANT_TYPE}&device_code=%00"), "invalid_grant"),
        (format!("grant_type={GRANT_TYPE}&device_code=a&client_id=another"), "invalid_client"),
    ] {
        expect_oauth_error(&post_form(&client, TOKEN, &form).await, 400, code);
    }
    for path in [BEGIN, TOKEN] {
        client.get(path).await.expect_error(404, "RouteNotFoundException");
        client.get(&format!("{path}?grant_type={GRANT_TYPE}")).await.expect_error(404, "RouteNotFoundException");
        let json = client.send_json("POST", path, r#"{"client_id":"tokenward"}"#).await;
        expect_oauth_error(&json, 400, "invalid_request");
        let large = post_form(&client, path, &format!("description={}", "x".repeat(70_000))).await;
        assert_eq!(large.status, 413, "{}", large.text);
    }
}

#[apply(both_databases)]
async fn the_url_of_the_page_does_not_come_from_the_request(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.anonymous();
    let mut request = client.request("POST", BEGIN, "".into());
    let headers = request.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert("host", HeaderValue::from_static("evil.example"));
    headers.insert("x-forwarded-host", HeaderValue::from_static("evil.example"));
    headers.insert("forwarded", HeaderValue::from_static("host=evil.example"));
    let begun = client.send(request).await.expect(200);
    assert_eq!(begun.json["verification_uri"], "http://127.0.0.1:3005/device");
    assert!(!begun.text.contains("evil") && begun.json.get("verification_uri_complete").is_none(), "{}", begun.text);
}

#[apply(both_databases)]
async fn the_texts_of_a_program_are_escaped(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.anonymous();
    let mut request = client.request("POST", BEGIN, "description=%3Cscript%3Ealert(1)%3C/script%3E".into());
    let headers = request.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert("user-agent", HeaderValue::from_static("\"><img src=x onerror=alert(2)>"));
    let codes = super::codes_of(&client.send(request).await.expect(200).json);
    let browser = app.signed_in_browser("admin@example.com").await;
    let page = browser.get(&enter(&browser, &codes.user).await).await.expect(200).text;
    assert!(page.contains("alert(1)") && page.contains("alert(2)"), "{page}");
    assert!(!page.contains("<script>alert") && !page.contains("<img src=x"), "{page}");
}

#[apply(both_databases)]
async fn forged_forms_decide_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let codes = begin(&app, "").await;
    let browser = app.signed_in_browser("admin@example.com").await;
    let path = enter(&browser, &codes.user).await;
    for target in ["/device".to_owned(), format!("{path}/approve"), format!("{path}/deny")] {
        for (origin, site) in
            [("https://evil.example", "cross-site"), ("null", "cross-site"), ("", "cross-site"), ("", "")]
        {
            let mut request = browser.form_request(&target, &[("user_code", &codes.user)]);
            for (name, value) in [("origin", origin), ("sec-fetch-site", site)] {
                if !value.is_empty() {
                    request.headers_mut().insert(name, HeaderValue::from_static(value));
                }
            }
            browser.send(request).await.expect(403);
        }
    }
    // GET decides nothing, and neither does a client without a session, or with a token.
    for decision in ["approve", "deny"] {
        browser.get(&format!("{path}/{decision}")).await.expect(404);
        let location = app.browser().post(&format!("{path}/{decision}"), &[]).await.expect(303);
        assert!(location.header_values("location")[0].starts_with("/sign-in"));
    }
    let bearer = app.admin().create_token().await;
    assert_ne!(post_form(&bearer, "/device", &format!("user_code={}", codes.user)).await.status, 200);
    expect_oauth_error(&poll(&app, &codes).await, 400, "authorization_pending");
    approve(&browser, &codes).await;
    poll(&app, &codes).await.expect(200);
}

/// A device code is no credential elsewhere, and a credential beside it changes nothing.
#[apply(both_databases)]
async fn a_device_code_is_good_for_nothing_else(engine: Engine) {
    let app = TestApp::start(engine).await;
    let codes = begin(&app, "").await;
    let other = begin(&app, "").await;
    let with_code = app.client_with_authorization(&[&format!("Bearer {}", codes.device)]);
    with_code.get("/v4/people/current").await.expect(401);
    // A user code is no device code.
    expect_oauth_error(&poll_as(&app.anonymous(), &other.user).await, 400, "invalid_grant");
    let admin = app.admin();
    expect_oauth_error(&poll_as(&admin, &codes.device).await, 400, "authorization_pending");
    let browser = app.signed_in_browser("admin@example.com").await;
    approve(&browser, &codes).await;
    // The approval of one authorization is not that of another.
    expect_oauth_error(&poll(&app, &other).await, 400, "authorization_pending");
    poll(&app, &codes).await.expect(200);
}
