//! Security headers of every page.

use axum::body::Body;
use rstest::rstest;
use rstest_reuse::apply;

use super::page_access::{PAGES, PageFixture};
use crate::support::{Browser, Database, Engine, TestApp, TestResponse, both_databases};

fn assert_security_headers(response: &TestResponse, path: &str) {
    let policy = response.headers["content-security-policy"].to_str().unwrap();
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(part), "{path}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let referrer_policy = if ["/invite/", "/reset-password/"].iter().any(|prefix| path.starts_with(prefix)) {
        "no-referrer"
    } else {
        "same-origin"
    };
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", referrer_policy),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(response.headers[name], value, "{path}");
    }
    if !path.starts_with("/assets") && path != "/favicon.ico" {
        assert_eq!(response.headers["cache-control"], "no-store", "{path}");
    }
    assert!(response.headers.contains_key("x-request-id"));
    assert!(response.header_values("www-authenticate").is_empty());
    // The page contains nothing that the policy forbids.
    for forbidden in [" style=", "<style", " onclick", "javascript:"] {
        assert!(!response.text.contains(forbidden), "{path} has {forbidden}");
    }
}

async fn list_assets(browser: &Browser) -> Vec<String> {
    let page = browser.get("/sign-in").await.text;
    page.split('"').filter(|text| text.starts_with("/assets/")).map(str::to_owned).collect()
}

#[apply(both_databases)]
async fn every_page_has_the_security_headers(engine: Engine) {
    let app = TestApp::start(engine).await;
    let fixture = PageFixture::new(&app).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    for (template, _) in PAGES {
        let path = fixture.path(template);
        let page = admin.get(&path).await;
        // A signed-in browser is redirected from the sign-in page.
        assert_eq!(page.status, if template == "/sign-in" { 303 } else { 200 }, "{path}");
        assert_security_headers(&page, &path);
        assert_security_headers(&app.browser().get(&path).await, &path);
    }
    for (path, status) in
        [("/nothing", 404), ("/admin/users/99", 404), ("/admin/settings/nothing", 404), ("/assets/nothing.css", 404)]
    {
        let response = admin.get(path).await.expect(status);
        assert!(response.text.contains("Page not found"), "{path}");
        assert_security_headers(&response, path);
    }
    for path in ["/invite/nothing", "/reset-password/nothing", "/forgot-password"] {
        assert_security_headers(&app.browser().get(path).await.expect(404), path);
    }
    let response = app.browser().sign_in("admin@example.com", "wrong").await.expect(403);
    assert_security_headers(&response, "/sign-in");
    let response = admin.send(admin.request("PUT", "/preferences/profile", Body::empty())).await;
    assert_security_headers(&response, "/preferences/profile");
    let large = admin.post("/preferences/profile", &[("name", &"x".repeat(70_000))]).await.expect(413);
    assert_security_headers(&large, "/preferences/profile");
    let files = list_assets(&app.browser()).await;
    assert_eq!(files.len(), 3);
    for file in files.iter().map(String::as_str).chain(["/favicon.ico"]) {
        let response = app.browser().get(file).await.expect(200);
        assert_security_headers(&response, file);
        let kept = response.headers["cache-control"].to_str().unwrap();
        assert!(kept.starts_with("public") && (file == "/favicon.ico" || kept.contains("immutable")), "{file}");
    }
    // API clients get JSON.
    let response = app.anonymous().get("/nothing").await;
    response.expect_error(404, "RouteNotFoundException");
    assert!(!response.headers.contains_key("content-security-policy"));
    app.store.close().await;
    let response = admin.get("/preferences/access-tokens").await.expect(503);
    assert!(response.text.contains("You have not been signed out") && response.headers.contains_key("retry-after"));
    assert_security_headers(&response, "/preferences/access-tokens without a store");
    assert_eq!(app.browser().sign_in("admin@example.com", "wrong").await.status, 503);
}

#[apply(both_databases)]
async fn an_https_public_url_enables_hsts_and_host_cookies(engine: Engine) {
    let app = TestApp::start(engine).await;
    assert!(!app.browser().get("/sign-in").await.headers.contains_key("strict-transport-security"));
    let app = TestApp::start_with(Database::migrated(app.database.engine).await, |config| {
        config.set_public_url("https://tokens.example.com");
    })
    .await;
    let browser = app.browser();
    assert_eq!(browser.get("/sign-in").await.headers["strict-transport-security"], "max-age=31536000");
    // A form has the configured origin even if the proxy sends its own host.
    let mut request =
        browser.form_request("/sign-in", &[("email", "admin@example.com"), ("password", crate::support::PASSWORD)]);
    request.headers_mut().insert("origin", "https://tokens.example.com".parse().unwrap());
    let response = browser.send(request).await.expect(303);
    let cookie = *response.header_values("set-cookie").last().unwrap();
    assert!(
        cookie.starts_with("__Host-tokenward=") && cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
    browser.get("/preferences/profile").await.expect(200);
}
