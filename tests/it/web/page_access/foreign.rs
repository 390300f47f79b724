//! Requests from elsewhere: other sites, other kinds of credentials, other workspaces, and lower
//! roles.

use rstest::rstest;
use rstest_reuse::apply;

use super::{
    PageFixture,
    tables::{FORMS, Fields, NEW_PASSWORD},
};
use crate::support::{Engine, PASSWORD, TestApp, both_databases};

#[apply(both_databases)]
async fn cross_origin_forms_are_rejected_at_every_path(engine: Engine) {
    let app = TestApp::start(engine).await;
    let fixture = PageFixture::new(&app).await;
    let admin = &fixture.actors[3].1;
    let forged: [&[(&str, &str)]; 10] = [
        &[],
        &[("sec-fetch-site", "")],
        &[("sec-fetch-site", ""), ("origin", "")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://127.0.0.1:3006")],
        &[("sec-fetch-site", "nonsense"), ("origin", "http://127.0.0.1.evil.example:3005")],
    ];
    let sign_in: Fields = &[("email", "admin@example.com"), ("password", PASSWORD)];
    for (template, _, fields, _) in FORMS.iter().chain(&[("/sign-in", "", sign_in, "")]) {
        for headers in forged {
            let mut request = admin.form_request(&fixture.path(template), fields);
            for (name, value) in headers {
                request.headers_mut().insert(*name, value.parse().unwrap());
            }
            let response = admin.send(request).await;
            assert_eq!(response.status, 403, "{template} with {headers:?}");
            assert!(
                response.text.contains("This form came from another site")
                    && response.header_values("set-cookie").is_empty()
            );
        }
    }
    // Nothing was changed: the target still has the token, and the administrator is signed in.
    assert_eq!(app.admin().get(&format!("/v4/apiAccessTokens/{}", fixture.path("{token}"))).await.status, 200);
    admin.get("/admin/workspaces").await.expect(200);
    // A matching `Origin` is enough for browsers without Fetch metadata.
    let mut request = admin.form_request("/preferences/profile", &[("name", "Admin")]);
    request.headers_mut().insert("origin", "http://127.0.0.1:3005".parse().unwrap());
    admin.send(request).await.expect(303);
}

#[apply(both_databases)]
async fn pages_ignore_authorization_and_the_api_ignores_cookies(engine: Engine) {
    let app = TestApp::start(engine).await;
    let token = app.admin().create_token().await;
    let basic = crate::support::basic_auth("admin@example.com", PASSWORD);
    for credential in [format!("Bearer {}", token.value), basic] {
        let browser = app.browser();
        let mut request = browser.request("GET", "/preferences/access-tokens", axum::body::Body::empty());
        request.headers_mut().insert("authorization", credential.parse().unwrap());
        let response = browser.send(request).await.expect(303);
        assert!(response.header_values("www-authenticate").is_empty());
    }
    let signed_in_browser = app.signed_in_browser("admin@example.com").await;
    for path in ["/v4/people/current", "/v4/auth", "/v4/apiAccessTokens"] {
        assert_eq!(signed_in_browser.get(path).await.status, 401, "{path}");
    }
    // A session value is not accepted as a token.
    let value = signed_in_browser.session_cookie().unwrap().split_once('=').unwrap().1.to_owned();
    assert_eq!(
        app.client_with_authorization(&[&format!("Bearer {value}")]).get("/v4/people/current").await.status,
        401
    );
}

#[apply(both_databases)]
async fn administrators_cannot_access_other_workspaces(engine: Engine) {
    let app = TestApp::start(engine).await;
    let fixture = PageFixture::new(&app).await;
    let other = app.signed_in_browser("other@other.example").await;
    for template in [
        "/admin/users/{person}",
        "/admin/users/{person}/password",
        "/admin/users/{person}/disable",
        "/admin/users/{person}/remove",
        "/admin/users/{person}/delete-tokens",
        "/admin/tokens?person={person}",
        "/admin/tokens/{token}",
        "/admin/tokens/{token}/delete",
        "/preferences/access-tokens/{token}",
        "/preferences/access-tokens/{token}/delete",
        "/preferences/access-tokens/{token}/replace",
    ] {
        assert_eq!(other.get(&fixture.path(template)).await.status, 404, "{template}");
    }
    for (template, least, fields, _) in FORMS {
        if template.contains("{person}") || template.contains("{token}") {
            assert_eq!(other.post(&fixture.path(template), fields).await.status, 404, "{template}");
        } else if least == "platform administrator" {
            assert_eq!(other.post(&fixture.path(template), fields).await.status, 403, "{template}");
        }
    }
    let list = other.get("/admin/users").await.expect(200);
    assert!(list.text.contains("other@other.example") && !list.text.contains("person@example.com"));
    assert!(!other.get("/admin/activity").await.text.contains("target@example.com"));
    assert!(!other.get("/admin/tokens").await.text.contains("target@example.com"));
}

#[apply(both_databases)]
async fn an_administrator_cannot_change_a_platform_administrator(engine: Engine) {
    let app = TestApp::start(engine).await;
    let fixture = PageFixture::new(&app).await;
    let (_, administrator) = &fixture.actors[2];
    for (path, fields) in [
        (
            "/admin/users/1",
            &[("email", "mine@example.com"), ("role", "administrator"), ("token_access", "default")] as &[_],
        ),
        ("/admin/users/1/disable", &[]),
        ("/admin/users/1/force-password-change", &[]),
        ("/admin/users/1/password", &[("password", NEW_PASSWORD)]),
        ("/admin/users/1/remove", &[]),
    ] {
        let response = administrator.post(path, fields).await;
        assert_eq!(response.status, 403, "{path}");
        assert!(response.text.contains("Only a platform administrator may"), "{path}");
    }
}
