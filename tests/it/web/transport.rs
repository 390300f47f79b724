//! Pages are for secure connections: no form that asks for a password is shown over plain HTTP.

use axum::body::Body;

use super::page_access::PAGES;
use crate::support::{Database, PASSWORD, Reply, TestApp, basic};

on_both!(
    no_page_is_shown_by_plain_http_over_a_network,
    pages_are_shown_where_the_connection_is_secure,
    a_service_known_by_https_shows_its_pages_under_that_name,
    programs_are_not_concerned,
);

async fn get(app: &TestApp, path: &str, fields: &[(&'static str, &str)]) -> Reply {
    let visitor = app.visitor();
    let mut request = visitor.request("GET", path, Body::empty());
    for (name, value) in fields {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    visitor.send(request).await
}

async fn no_page_is_shown_by_plain_http_over_a_network(app: TestApp) {
    let paths = PAGES.iter().map(|(path, _)| *path).filter(|path| !path.contains('{') && *path != "/");
    for path in paths.chain(["/sign-in?next=%2Fadmin"]) {
        for host in
            ["tokens.example.com", "host.name:3005", "10.0.0.7:3005", "[2001:db8::1]:3005", "localhost.example.com"]
        {
            for fields in [vec![("host", host)], vec![("host", host), ("x-forwarded-proto", "http")]] {
                let reply = get(&app, path, &fields).await.expect(403);
                assert!(reply.text.contains("Signing in needs a secure connection"), "{path} {host}: {}", reply.text);
                assert!(!reply.text.contains("<input") && reply.header_values("set-cookie").is_empty(), "{path}");
            }
        }
    }
    // Where a browser begins it is sent on, and is told there.
    assert_eq!(
        get(&app, "/", &[("host", "host.name:3005")]).await.expect(303).headers["location"],
        "/preferences/access-tokens"
    );
}

async fn pages_are_shown_where_the_connection_is_secure(app: TestApp) {
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
        let page = get(&app, "/sign-in", &fields).await.expect(200).text;
        assert!(page.contains(r#"name="password""#), "{fields:?}");
        let reply = get(&app, "/preferences/profile", &fields).await.expect(303);
        assert_eq!(reply.headers["location"], "/sign-in?next=%2Fpreferences%2Fprofile");
    }
}

async fn a_service_known_by_https_shows_its_pages_under_that_name(app: TestApp) {
    let app = TestApp::with(Database::migrated(app.database.engine).await, |config| {
        config.delegate.issuer = "https://tokens.example.com".into();
    })
    .await;
    // A browser that says nothing, by a proxy that says nothing.
    get(&app, "/sign-in", &[("host", "tokens.example.com")]).await.expect(200);
    get(&app, "/sign-in", &[("host", "tokens.example.com:3005")]).await.expect(403);
    get(&app, "/sign-in", &[("host", "tokens.example.com"), ("x-forwarded-proto", "http")]).await.expect(403);
    // By TLS both cookies are secure ones, and the long-lived one makes the browser known.
    let visitor = app.visitor();
    let mut request = visitor.form("/sign-in", &[("email", "admin@example.com"), ("password", PASSWORD)]);
    request.headers_mut().insert("host", "tokens.example.com".parse().unwrap());
    request.headers_mut().insert("origin", "https://tokens.example.com".parse().unwrap());
    let reply = visitor.send(request).await.expect(303);
    let device = reply.header_values("set-cookie")[0];
    assert!(device.starts_with("__Host-tokenward-device="), "{device}");
    assert!(device.ends_with("; Path=/; Max-Age=7776000; Secure; HttpOnly; SameSite=Lax"), "{device}");
}

async fn programs_are_not_concerned(app: TestApp) {
    let field = basic("admin@example.com", PASSWORD);
    for path in ["/v4/people/current", "/v4/auth"] {
        let client = app.presenting(&[&field]);
        let mut request = client.request("GET", path, Body::empty());
        request.headers_mut().insert("host", "host.name:3005".parse().unwrap());
        client.send(request).await.expect(200);
    }
    get(&app, "/favicon.ico", &[("host", "host.name:3005")]).await.expect(200);
}
