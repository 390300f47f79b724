//! Who is let in, by which credential, and what a stranger learns.

use axum::body::Body;
use http::HeaderValue;
use serde_json::json;

use crate::support::{PASSWORD, TestApp, basic};

const ME: &str = "/v4/people/current";

on_both!(
    tokens_work_until_just_before_they_expire,
    the_five_states_of_a_token_are_checked_on_every_use,
    a_stranger_cannot_tell_why_a_token_is_refused,
    a_stranger_cannot_tell_why_a_password_is_refused,
    no_credential_is_challenged_for_both_schemes,
    schemes_and_e_mails_match_in_any_case,
    malformed_credentials_are_refused,
    two_credentials_are_refused,
    a_password_may_contain_colons_and_any_spelling_of_a_character,
    nothing_but_the_authorization_header_is_identity,
    each_secret_works_in_its_own_place_only,
    tokens_survive_a_password_change,
    a_demoted_administrators_token_loses_the_right_at_once,
);

async fn tokens_work_until_just_before_they_expire(app: TestApp) {
    let bearer = app.admin().bearer_for(json!({"lifetimeSeconds": 100})).await;
    app.advance_millis(99_999);
    assert!(bearer.works().await);
    app.advance_millis(1);
    assert!(!bearer.works().await);
}

async fn the_five_states_of_a_token_are_checked_on_every_use(app: TestApp) {
    app.set("allowUsers", true).await;
    let ada = app.person("ada").await;
    let bearer = ada.bearer().await;
    let admin = app.admin();
    assert!(bearer.works().await);
    admin.change(ada.id, json!({"isDisabled": true})).await.expect(200);
    assert!(!bearer.works().await);
    ada.get(ME).await.expect_error(401, "MissingPersonException");
    admin.change(ada.id, json!({"isDisabled": false})).await.expect(200);
    assert!(bearer.works().await);
    admin.change(ada.id, json!({"tokenAccess": "disabled"})).await.expect(200);
    assert!(!bearer.works().await);
    ada.get(ME).await.expect(200);
    admin.change(ada.id, json!({"tokenAccess": "default"})).await.expect(200);
    app.set("enabled", false).await;
    assert!(!bearer.works().await);
    ada.get(ME).await.expect(200);
    app.set("enabled", true).await;
    assert!(bearer.works().await);
    admin.delete(&format!("/v4/people/{}", ada.id)).await.expect(204);
    assert!(!bearer.works().await);
    ada.get(ME).await.expect_error(401, "MissingPersonException");
}

async fn a_stranger_cannot_tell_why_a_token_is_refused(app: TestApp) {
    app.set("allowUsers", true).await;
    let admin = app.admin();
    let [expired, deleted, disabled, barred] = ["expired", "deleted", "disabled", "barred"];
    let mut bearers = Vec::new();
    for name in [expired, deleted, disabled, barred] {
        let person = app.person(name).await;
        let lifetime = if name == expired { 1 } else { 1_000 };
        bearers.push((person.id, person.bearer_for(json!({"lifetimeSeconds": lifetime})).await));
    }
    app.advance_seconds(1);
    admin.delete(&bearers[1].1.path()).await.expect(204);
    admin.change(bearers[2].0, json!({"isDisabled": true})).await.expect(200);
    admin.change(bearers[3].0, json!({"tokenAccess": "disabled"})).await.expect(200);
    let mut wrong = admin.bearer().await.value;
    wrong.replace_range(52.., if wrong.ends_with('0') { "1" } else { "0" });
    let mut replies = vec![app.presenting(&[&format!("Bearer {wrong}")]).get(ME).await];
    for (_, bearer) in &bearers {
        replies.push(bearer.get(ME).await);
    }
    for reply in &mut replies {
        reply.expect_error(401, "MissingPersonException");
        assert_eq!(reply.headers["www-authenticate"], r#"Bearer realm="tokenward", error="invalid_token""#);
        reply.headers.remove("x-request-id");
        reply.headers.remove("x-trifacta-request-id");
    }
    assert!(replies.iter().all(|reply| (&reply.text, &reply.headers) == (&replies[0].text, &replies[0].headers)));
}

async fn a_stranger_cannot_tell_why_a_password_is_refused(app: TestApp) {
    let ada = app.person("ada").await;
    app.admin().change(ada.id, json!({"isDisabled": true})).await.expect(200);
    let mut replies = Vec::new();
    for (email, password) in
        [("admin@example.com", "wrong"), ("nobody@example.com", "wrong"), (&ada.email, PASSWORD), ("nobody", PASSWORD)]
    {
        let mut reply = app.presenting(&[&basic(email, password)]).get(ME).await;
        reply.expect_error(401, "MissingPersonException");
        reply.headers.remove("x-request-id");
        reply.headers.remove("x-trifacta-request-id");
        replies.push(reply);
    }
    assert!(replies.iter().all(|reply| (&reply.text, &reply.headers) == (&replies[0].text, &replies[0].headers)));
}

async fn no_credential_is_challenged_for_both_schemes(app: TestApp) {
    let reply = app.anonymous().get(ME).await;
    reply.expect_error(401, "MissingPersonException");
    assert_eq!(
        reply.header_values("www-authenticate"),
        [r#"Bearer realm="tokenward""#, r#"Basic realm="tokenward", charset="UTF-8""#]
    );
}

async fn schemes_and_e_mails_match_in_any_case(app: TestApp) {
    let bearer = app.admin().bearer().await;
    for field in [format!("bearer {}", bearer.value), format!("BEARER    secret-token:{}", bearer.value)] {
        app.presenting(&[&field]).get(ME).await.expect(200);
    }
    let encoded = basic(" ADMIN@Example.COM ", PASSWORD);
    app.presenting(&[&encoded.replacen("Basic", "bAsIc", 1)]).get(ME).await.expect(200);
}

async fn malformed_credentials_are_refused(app: TestApp) {
    let value = app.admin().bearer().await.value;
    let plain = |text: &str| {
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
        plain("admin@example.com"),
        plain("admin@example.com:"),
        plain(&format!(":{PASSWORD}")),
        plain(&format!("admin@example.com:{PASSWORD}\0")),
        plain(&format!("admin@example.com\0:{PASSWORD}")),
        plain(&format!("admin@example.com:{}", "x".repeat(20_000))),
        format!("Basic {}", "/////w=="),
        "\u{e9}".to_owned(),
    ] {
        app.presenting(&[&field]).get(ME).await.expect_error(401, "MissingPersonException");
    }
}

async fn two_credentials_are_refused(app: TestApp) {
    let bearer = app.admin().bearer().await;
    let good = format!("Bearer {}", bearer.value);
    for fields in [vec![good.clone(), good.clone()], vec![good.clone(), "Basic x".into()], vec![format!("{good},x")]] {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let reply = app.presenting(&fields).get(ME).await;
        reply.expect_error(401, "MissingPersonException");
        assert_eq!(reply.headers["www-authenticate"], r#"Bearer realm="tokenward", error="invalid_request""#);
    }
}

async fn a_password_may_contain_colons_and_any_spelling_of_a_character(app: TestApp) {
    let password = "caf\u{e9}: f\u{fc}r alle :::";
    let body = json!({"email": "ada@example.com", "name": "", "password": password});
    app.admin().post("/v4/people", &body).await.expect(201);
    let spelled = "cafe\u{301}: fu\u{308}r alle :::";
    for typed in [password, spelled] {
        app.presenting(&[&basic("ada@example.com", typed)]).get(ME).await.expect(200);
    }
    app.presenting(&[&basic("ada@example.com", "cafe: fur alle :::")]).get(ME).await.expect(401);
}

async fn nothing_but_the_authorization_header_is_identity(app: TestApp) {
    let bearer = app.admin().bearer().await;
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

    let ada = app.person("ada").await;
    let mut request = ada.request("GET", ME, Body::empty());
    request.headers_mut().insert("x-trifacta-user-id", HeaderValue::from_static("1"));
    request.headers_mut().insert("cookie", HeaderValue::from_static("stale=1"));
    assert_eq!(ada.send(request).await.expect(200).json["id"], ada.id);
}

async fn each_secret_works_in_its_own_place_only(app: TestApp) {
    let value = app.admin().bearer().await.value;
    for (field, status) in [
        (format!("Bearer {value}"), 200),
        (basic("admin@example.com", PASSWORD), 200),
        (basic("admin@example.com", &value), 401),
        (basic("x", &value), 401),
        (basic(&value, ""), 401),
        (basic(&value, &value), 401),
        (format!("Bearer {}", PASSWORD.replace(' ', "-")), 401),
    ] {
        app.presenting(&[&field]).get(ME).await.expect(status);
    }
}

async fn tokens_survive_a_password_change(app: TestApp) {
    let admin = app.admin();
    let bearer = admin.bearer().await;
    let new = "an entirely new password";
    admin.change(1, json!({"password": new, "password2": new})).await.expect(200);
    assert!(bearer.works().await);
    admin.get(ME).await.expect(401);
    admin.with_password(new).get(ME).await.expect(200);
}

async fn a_demoted_administrators_token_loses_the_right_at_once(app: TestApp) {
    let bob = app.admin().add("bob", true).await;
    let bearer = bob.bearer().await;
    bearer.get("/v4/people").await.expect(200);
    app.admin().change(bob.id, json!({"isAdmin": false})).await.expect(200);
    bearer.get("/v4/people").await.expect_error(403, "AccessControlException");
    assert!(bearer.works().await);
}
