//! Sessions of people who signed in through an `OpenID` provider: confirmations, sign-out there and here.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use super::{OpenIdApp, ada, with};
use crate::{
    device::shown_lifetime,
    support::{Browser, Engine, both_databases},
};

#[apply(both_databases)]
async fn a_sensitive_operation_asks_for_a_confirmation_at_the_provider(engine: Engine) {
    let company = OpenIdApp::start(engine).await;
    let admin = with(ada(), &json!({"groups": ["admins"]}));
    let browser = company.app.browser();
    company.sign_in(&browser, &admin).await.expect(303);
    let form = "/admin/users/new";
    assert!(!browser.get(form).await.expect(200).text.contains("Confirm at login"));
    company.app.advance_seconds(901);
    let now = |seconds| 1_767_225_600 + 901 + seconds;
    let page = browser.get(form).await.expect(200).text;
    let link = r#"<a href="/sign-in/login/confirm?next=%2Fadmin%2Fusers%2Fnew">Confirm at login</a>"#;
    assert!(page.contains(link) && !page.contains("own_password"), "{page}");
    let fields = [("email", "new@example.com"), ("name", "New"), ("method", "invite")];
    let rejected = browser.post(form, &fields).await.expect(400);
    assert!(rejected.text.contains("Confirm at login that it is you"), "{}", rejected.text);
    let confirm = "/sign-in/login/confirm?next=%2Fadmin%2Fusers%2Fnew";
    let valid = json!({"iat": now(0), "exp": now(300)});
    // Without a fresh authentication, or as another person, nothing is confirmed.
    let mallory = json!({"sub": "mallory", "email": "mallory@example.com", "auth_time": now(0)});
    for changes in [json!({}), json!({"auth_time": now(-800)}), mallory] {
        let location = company.begin(&browser, confirm).await;
        assert!(location.contains("prompt=login") && location.contains("max_age=0"), "{location}");
        let claims = with(with(admin.clone(), &valid), &changes);
        browser.get(&company.callback(&location, &claims)).await.expect(403);
        assert!(browser.get(form).await.expect(200).text.contains("Confirm at login"));
    }
    assert_eq!(company.person("mallory@example.com").await, Value::Null, "a confirmation creates no account");
    // A sign-in without a fresh authentication is no confirmation either.
    let silent = with(admin.clone(), &valid);
    company.sign_in(&browser, &silent).await.expect(303);
    assert!(browser.get(form).await.expect(200).text.contains("Confirm at login"));
    let without_time = with(silent, &json!({"auth_time": null}));
    company.sign_in(&browser, &without_time).await.expect(303);
    assert!(browser.get(form).await.expect(200).text.contains("Confirm at login"));
    let before = browser.session_cookie();
    let location = company.begin(&browser, confirm).await;
    let claims = with(with(admin, &valid), &json!({"auth_time": now(0)}));
    let response = browser.get(&company.callback(&location, &claims)).await.expect(303);
    assert_eq!(response.header_values("location"), [form]);
    assert_ne!(browser.session_cookie(), before);
    let old = browser.with_session_cookie(before);
    old.get(form).await.expect(303);
    assert!(!browser.get(form).await.expect(200).text.contains("Confirm at login"));
    // No other user may begin a confirmation.
    company.app.browser().get(confirm).await.expect(303);
    let local = company.app.signed_in_browser("admin@example.com").await;
    local.get(confirm).await.expect(404);
}

#[apply(both_databases)]
async fn an_approval_is_confirmed_at_the_provider(engine: Engine) {
    let company = OpenIdApp::start(engine).await;
    let admin = with(ada(), &json!({"groups": ["admins"]}));
    let browser = company.app.browser();
    company.sign_in(&browser, &admin).await.expect(303);
    company.app.advance_seconds(901);
    let program = company.app.browser();
    let begun = program.send(program.form_request("/oauth2/device_authorization", &[])).await.expect(200).json;
    let entered = browser.post("/device", &[("user_code", begun["user_code"].as_str().unwrap())]).await.expect(303);
    let path = entered.header_values("location")[0].to_owned();
    let confirm = format!("/sign-in/login/confirm?next={}", path.replace('/', "%2F"));
    let page = browser.get(&path).await.expect(200).text;
    assert!(page.contains(&format!("<a href=\"{confirm}\">Confirm at login</a>")), "{page}");
    let approve = format!("{path}/approve");
    let rejected = browser.post(&approve, &[]).await.expect(400);
    assert!(rejected.text.contains("Confirm at login that it is you"), "{}", rejected.text);
    let location = company.begin(&browser, &confirm).await;
    let now = 1_767_225_600 + 901;
    let claims = with(admin, &json!({"iat": now, "exp": now + 300, "auth_time": now}));
    let confirmed = browser.get(&company.callback(&location, &claims)).await.expect(303);
    assert_eq!(confirmed.header_values("location"), [path.as_str()]);
    let lifetime = shown_lifetime(&browser, &path).await;
    browser.post(&approve, &[("lifetime", &lifetime)]).await.expect(303);
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    let form = [("grant_type", grant), ("device_code", begun["device_code"].as_str().unwrap())];
    let issued = program.send(program.form_request("/oauth2/token", &form)).await.expect(200).json;
    let bearer =
        company.app.client_with_authorization(&[&format!("Bearer {}", issued["access_token"].as_str().unwrap())]);
    assert_eq!(bearer.get("/v4/people/current").await.expect(200).json["email"], "ada@example.com");
}

#[apply(both_databases)]
async fn a_logout_at_the_provider_ends_sessions_and_no_token(engine: Engine) {
    let company = OpenIdApp::start(engine).await;
    let first = company.app.browser();
    let second = company.app.browser();
    company.sign_in(&first, &with(ada(), &json!({"sid": "s1"}))).await.expect(303);
    company.sign_in(&second, &with(ada(), &json!({"sid": "s2"}))).await.expect(303);
    let is_signed_in = async |browser: &Browser| browser.get("/preferences/profile").await.status == 200;
    let send = async |token: &str| {
        let client = company.app.browser();
        client.send(client.form_request("/sign-in/login/logout", &[("logout_token", token)])).await.status
    };
    for invalid in [
        json!({"sid": "s1", "aud": "another"}),
        json!({"sid": "s1", "nonce": "x"}),
        json!({"sid": "s1", "events": {}}),
        json!({}),
    ] {
        assert_eq!(send(&company.provider.logout_token(&invalid)).await, 400, "{invalid}");
    }
    assert_eq!(send("x").await, 400);
    assert!(is_signed_in(&first).await && is_signed_in(&second).await);
    let logout = company.provider.logout_token(&json!({"sid": "s1"}));
    assert_eq!(send(&logout).await, 200);
    assert!(!is_signed_in(&first).await && is_signed_in(&second).await);
    assert_eq!(send(&logout).await, 400, "replayed");
    assert_eq!(send(&company.provider.logout_token(&json!({"sub": "other"}))).await, 200);
    assert!(is_signed_in(&second).await);
    assert_eq!(send(&company.provider.logout_token(&json!({"sub": "ada-1"}))).await, 200);
    assert!(!is_signed_in(&second).await);
}

#[apply(both_databases)]
async fn signing_out_continues_at_the_provider(engine: Engine) {
    let company = OpenIdApp::start(engine).await;
    let browser = company.app.browser();
    company.sign_in(&browser, &ada()).await.expect(303);
    let page = browser.post("/sign-out", &[]).await.expect(200);
    let refresh = format!(r#"<meta http-equiv="refresh" content="0; url={}/end?"#, company.provider.issuer);
    assert!(page.text.contains(&refresh), "{}", page.text);
    assert_eq!(browser.session_cookie(), None);
    browser.get("/preferences/profile").await.expect(303);
    // A local user is not sent there.
    let local = company.app.signed_in_browser("admin@example.com").await;
    local.post("/sign-out", &[]).await.expect(303);
}
