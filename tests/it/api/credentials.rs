//! Authentication by token and password. Rejections do not reveal their reason.

use axum::body::Body;
use http::HeaderValue;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{Engine, PASSWORD, TestApp, basic_auth, both_databases};

const ME: &str = "/v4/people/current";

#[apply(both_databases)]
async fn tokens_work_until_just_before_they_expire(engine: Engine) {
    let app = TestApp::start(engine).await;
    let bearer = app.admin().create_token_with(json!({"lifetimeSeconds": 100})).await;
    app.advance_millis(99_999);
    assert!(bearer.is_accepted().await);
    app.advance_millis(1);
    assert!(!bearer.is_accepted().await);
}

#[apply(both_databases)]
async fn the_five_states_of_a_token_are_checked_on_every_use(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.set_setting("allowUsers", true).await;
    let ada = app.add_person("ada").await;
    let bearer = ada.create_token().await;
    let admin = app.admin();
    assert!(bearer.is_accepted().await);
    admin.update_person(ada.id, json!({"isDisabled": true})).await.expect(200);
    assert!(!bearer.is_accepted().await);
    ada.get(ME).await.expect_error(401, "MissingPersonException");
    admin.update_person(ada.id, json!({"isDisabled": false})).await.expect(200);
    assert!(bearer.is_accepted().await);
    admin.update_person(ada.id, json!({"tokenAccess": "disabled"})).await.expect(200);
    assert!(!bearer.is_accepted().await);
    ada.get(ME).await.expect(200);
    admin.update_person(ada.id, json!({"tokenAccess": "default"})).await.expect(200);
    app.set_setting("enabled", false).await;
    assert!(!bearer.is_accepted().await);
    ada.get(ME).await.expect(200);
    app.set_setting("enabled", true).await;
    assert!(bearer.is_accepted().await);
    admin.delete(&format!("/v4/people/{}", ada.id)).await.expect(204);
    assert!(!bearer.is_accepted().await);
    ada.get(ME).await.expect_error(401, "MissingPersonException");
}

#[apply(both_databases)]
async fn rejected_tokens_are_indistinguishable(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.set_setting("allowUsers", true).await;
    let admin = app.admin();
    let [expired, deleted, disabled, barred] = ["expired", "deleted", "disabled", "barred"];
    let mut bearers = Vec::new();
    for name in [expired, deleted, disabled, barred] {
        let person = app.add_person(name).await;
        let lifetime = if name == expired { 1 } else { 1_000 };
        bearers.push((person.id, person.create_token_with(json!({"lifetimeSeconds": lifetime})).await));
    }
    app.advance_seconds(1);
    admin.delete(&bearers[1].1.token_path()).await.expect(204);
    admin.update_person(bearers[2].0, json!({"isDisabled": true})).await.expect(200);
    admin.update_person(bearers[3].0, json!({"tokenAccess": "disabled"})).await.expect(200);
    let mut wrong = admin.create_token().await.value;
    wrong.replace_range(52.., if wrong.ends_with('0') { "1" } else { "0" });
    let mut responses = vec![app.client_with_authorization(&[&format!("Bearer {wrong}")]).get(ME).await];
    for (_, bearer) in &bearers {
        responses.push(bearer.get(ME).await);
    }
    for response in &mut responses {
        response.expect_error(401, "MissingPersonException");
        assert_eq!(response.headers["www-authenticate"], r#"Bearer realm="tokenward", error="invalid_token""#);
        response.headers.remove("x-request-id");
        response.headers.remove("x-trifacta-request-id");
    }
    assert!(
        responses
            .iter()
            .all(|response| (&response.text, &response.headers) == (&responses[0].text, &responses[0].headers))
    );
}

#[apply(both_databases)]
async fn rejected_passwords_are_indistinguishable(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    app.admin().update_person(ada.id, json!({"isDisabled": true})).await.expect(200);
    let mut responses = Vec::new();
    for (email, password) in [
        ("admin@example.com", "wrong"),
        ("unknown@example.com", "wrong"),
        (&ada.email, PASSWORD),
        ("unknown", PASSWORD),
    ] {
        let mut response = app.client_with_authorization(&[&basic_auth(email, password)]).get(ME).await;
        response.expect_error(401, "MissingPersonException");
        response.headers.remove("x-request-id");
        response.headers.remove("x-trifacta-request-id");
        responses.push(response);
    }
    assert!(
        responses
            .iter()
            .all(|response| (&response.text, &response.headers) == (&responses[0].text, &responses[0].headers))
    );
}

#[apply(both_databases)]
async fn a_missing_credential_is_challenged_for_both_schemes(engine: Engine) {
    let app = TestApp::start(engine).await;
    let response = app.anonymous().get(ME).await;
    response.expect_error(401, "MissingPersonException");
    assert_eq!(
        response.header_values("www-authenticate"),
        [r#"Bearer realm="tokenward""#, r#"Basic realm="tokenward", charset="UTF-8""#]
    );
}

#[apply(both_databases)]
async fn schemes_and_e_mails_match_in_any_case(engine: Engine) {
    let app = TestApp::start(engine).await;
    let bearer = app.admin().create_token().await;
    for field in [format!("bearer {}", bearer.value), format!("BEARER    secret-token:{}", bearer.value)] {
        app.client_with_authorization(&[&field]).get(ME).await.expect(200);
    }
    let encoded = basic_auth(" ADMIN@Example.COM ", PASSWORD);
    app.client_with_authorization(&[&encoded.replacen("Basic", "bAsIc", 1)]).get(ME).await.expect(200);
}

#[apply(both_databases)]
async fn malformed_credentials_are_rejected(engine: Engine) {
    let app = TestApp::start(engine).await;
    let value = app.admin().create_token().await.value;
    let plain_forms = |text: &str| {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        format!("Basic {}", STANDARD.encode(text))
    };
    for field in [
        format!("Bearer {value}x"),
        format!("Bearer {}", &value[..52]),
        format!("Bearer {}", value.to_lowercase()),
        format!("Bearer x {value}"),
        format!("Bearer secret-token:secret-token:{value}"),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer{value}"),
        value.clone(),
        format!("Token {value}"),
        "Basic".to_owned(),
        "Basic !!!".to_owned(),
        plain_forms("admin@example.com"),
        plain_forms("admin@example.com:"),
        plain_forms(&format!(":{PASSWORD}")),
        plain_forms(&format!("admin@example.com:{PASSWORD}\0")),
        plain_forms(&format!("admin@example.com\0:{PASSWORD}")),
        plain_forms(&format!("admin@example.com:{}", "x".repeat(20_000))),
        format!("Basic {}", "/////w=="),
        "\u{e9}".to_owned(),
    ] {
        app.client_with_authorization(&[&field]).get(ME).await.expect_error(401, "MissingPersonException");
    }
}

#[apply(both_databases)]
async fn two_credentials_are_rejected(engine: Engine) {
    let app = TestApp::start(engine).await;
    let bearer = app.admin().create_token().await;
    let good = format!("Bearer {}", bearer.value);
    for fields in [vec![good.clone(), good.clone()], vec![good.clone(), "Basic x".into()], vec![format!("{good},x")]] {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let response = app.client_with_authorization(&fields).get(ME).await;
        response.expect_error(401, "MissingPersonException");
        assert_eq!(response.headers["www-authenticate"], r#"Bearer realm="tokenward", error="invalid_request""#);
    }
}

#[apply(both_databases)]
async fn a_password_may_contain_colons_and_any_spelling_of_a_character(engine: Engine) {
    let app = TestApp::start(engine).await;
    let password = "caf\u{e9}: f\u{fc}r alle :::";
    let body = json!({"email": "ada@example.com", "name": "", "password": password});
    app.admin().post("/v4/people", &body).await.expect(201);
    let spelled = "cafe\u{301}: fu\u{308}r alle :::";
    for typed in [password, spelled] {
        app.client_with_authorization(&[&basic_auth("ada@example.com", typed)]).get(ME).await.expect(200);
    }
    app.client_with_authorization(&[&basic_auth("ada@example.com", "cafe: fur alle :::")]).get(ME).await.expect(401);
}

#[apply(both_databases)]
async fn only_the_authorization_header_authenticates(engine: Engine) {
    let app = TestApp::start(engine).await;
    let bearer = app.admin().create_token().await;
    let path = format!("{ME}?access_token={0}&token={0}", bearer.value);
    let mut request = app.anonymous().request("GET", &path, Body::from(format!("access_token={}", bearer.value)));
    for name in [
        "x-trifacta-person-workspace-id",
        "x-trifacta-user-id",
        "x-trifacta-workspace-id",
        "x-alteryx-workspace-gid",
        "x-csrf-token",
        "x-forwarded-user",
        "remote-user",
        "x-original-user",
    ] {
        request.headers_mut().insert(name, HeaderValue::from_static("1"));
    }
    request.headers_mut().insert("cookie", HeaderValue::from_static("session=1"));
    app.anonymous().send(request).await.expect_error(401, "MissingPersonException");

    let ada = app.add_person("ada").await;
    let mut request = ada.request("GET", ME, Body::empty());
    request.headers_mut().insert("x-trifacta-user-id", HeaderValue::from_static("1"));
    request.headers_mut().insert("cookie", HeaderValue::from_static("stale=1"));
    assert_eq!(ada.send(request).await.expect(200).json["id"], ada.id);
}

#[apply(both_databases)]
async fn tokens_and_passwords_are_not_interchangeable(engine: Engine) {
    let app = TestApp::start(engine).await;
    let value = app.admin().create_token().await.value;
    for (field, status) in [
        (format!("Bearer {value}"), 200),
        (basic_auth("admin@example.com", PASSWORD), 200),
        (basic_auth("admin@example.com", &value), 401),
        (basic_auth("x", &value), 401),
        (basic_auth(&value, ""), 401),
        (basic_auth(&value, &value), 401),
        (format!("Bearer {}", PASSWORD.replace(' ', "-")), 401),
    ] {
        app.client_with_authorization(&[&field]).get(ME).await.expect(status);
    }
}

#[apply(both_databases)]
async fn tokens_survive_a_password_change(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let bearer = admin.create_token().await;
    let new = "an entirely new password";
    admin.update_person(1, json!({"password": new, "password2": new})).await.expect(200);
    assert!(bearer.is_accepted().await);
    admin.get(ME).await.expect(401);
    admin.with_password(new).get(ME).await.expect(200);
}

#[apply(both_databases)]
async fn a_demoted_administrators_token_loses_the_right_at_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let bob = app.admin().add_person("bob", true).await;
    let bearer = bob.create_token().await;
    bearer.get("/v4/people").await.expect(200);
    app.admin().update_person(bob.id, json!({"isAdmin": false})).await.expect(200);
    bearer.get("/v4/people").await.expect_error(403, "AccessControlException");
    assert!(bearer.is_accepted().await);
}
