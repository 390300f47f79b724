//! Pages require a secure connection: no form is shown over plain HTTP.

use axum::body::Body;
use rstest::rstest;
use rstest_reuse::apply;

use super::page_access::PAGES;
use crate::support::{Database, Engine, PASSWORD, TestApp, TestResponse, basic_auth, both_databases};

async fn get_with_headers(app: &TestApp, path: &str, fields: &[(&'static str, &str)]) -> TestResponse {
    let browser = app.browser();
    let mut request = browser.request("GET", path, Body::empty());
    for (name, value) in fields {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    browser.send(request).await
}

#[apply(both_databases)]
async fn no_page_is_shown_over_plain_http(engine: Engine) {
    let app = TestApp::start(engine).await;
    let paths = PAGES.iter().map(|(path, _)| *path).filter(|path| !path.contains('{') && *path != "/");
    for path in paths.chain(["/sign-in?next=%2Fadmin", "/invite/x", "/forgot-password", "/reset-password/x"]) {
        for host in
            ["tokens.example.com", "host.name:3005", "10.0.0.7:3005", "[2001:db8::1]:3005", "localhost.example.com"]
        {
            for fields in [vec![("host", host)], vec![("host", host), ("x-forwarded-proto", "http")]] {
                let response = get_with_headers(&app, path, &fields).await.expect(403);
                assert!(
                    response.text.contains("Sign-in requires a secure connection"),
                    "{path} {host}: {}",
                    response.text
                );
                assert!(!response.text.contains("<input") && response.header_values("set-cookie").is_empty(), "{path}");
            }
        }
    }
    // The root path redirects, and the target page shows the error.
    assert_eq!(
        get_with_headers(&app, "/", &[("host", "host.name:3005")]).await.expect(303).headers["location"],
        "/preferences/access-tokens"
    );
}

#[apply(both_databases)]
async fn pages_are_shown_over_secure_connections(engine: Engine) {
    let app = TestApp::start(engine).await;
    let host = ("host", "tokens.example.com");
    for fields in [
        vec![("host", "localhost:3005")],
        vec![("host", "127.0.0.1")],
        vec![("host", "[::1]:3005")],
        vec![host, ("x-forwarded-proto", "https")],
        vec![host, ("forwarded", "for=203.0.113.9;proto=https")],
        vec![host, ("sec-fetch-site", "none")],
        vec![host, ("sec-fetch-site", "cross-site")],
    ] {
        let page = get_with_headers(&app, "/sign-in", &fields).await.expect(200).text;
        assert!(page.contains(r#"name="password""#), "{fields:?}");
        let response = get_with_headers(&app, "/preferences/profile", &fields).await.expect(303);
        assert_eq!(response.headers["location"], "/sign-in?next=%2Fpreferences%2Fprofile");
    }
}

#[apply(both_databases)]
async fn an_https_public_url_allows_pages_under_its_host(engine: Engine) {
    let app = TestApp::start(engine).await;
    let app = TestApp::start_with(Database::migrated(app.database.engine).await, |config| {
        config.set_public_url("https://tokens.example.com");
    })
    .await;
    // A browser without Fetch metadata, behind a proxy without forwarding headers.
    get_with_headers(&app, "/sign-in", &[("host", "tokens.example.com")]).await.expect(200);
    get_with_headers(&app, "/sign-in", &[("host", "tokens.example.com:3005")]).await.expect(403);
    get_with_headers(&app, "/sign-in", &[("host", "tokens.example.com"), ("x-forwarded-proto", "http")])
        .await
        .expect(403);
    // Over TLS both cookies are `Secure`, and the device cookie makes the browser known.
    let browser = app.browser();
    let mut request = browser.form_request("/sign-in", &[("email", "admin@example.com"), ("password", PASSWORD)]);
    request.headers_mut().insert("host", "tokens.example.com".parse().unwrap());
    request.headers_mut().insert("origin", "https://tokens.example.com".parse().unwrap());
    let response = browser.send(request).await.expect(303);
    let device = response.header_values("set-cookie")[0];
    assert!(device.starts_with("__Host-tokenward-device="), "{device}");
    assert!(device.ends_with("; Path=/; Max-Age=7776000; Secure; HttpOnly; SameSite=Lax"), "{device}");
}

#[apply(both_databases)]
async fn the_api_is_available_over_plain_http(engine: Engine) {
    let app = TestApp::start(engine).await;
    let field = basic_auth("admin@example.com", PASSWORD);
    for path in ["/v4/people/current", "/v4/auth"] {
        let client = app.client_with_authorization(&[&field]);
        let mut request = client.request("GET", path, Body::empty());
        request.headers_mut().insert("host", "host.name:3005".parse().unwrap());
        client.send(request).await.expect(200);
    }
    get_with_headers(&app, "/favicon.ico", &[("host", "host.name:3005")]).await.expect(200);
}
