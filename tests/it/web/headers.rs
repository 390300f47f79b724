//! What a browser is told to hold to, on every page.

use axum::body::Body;

use super::page_access::{PAGES, Scene};
use crate::support::{Database, Reply, TestApp, Visitor};

on_both!(every_page_has_its_headers, a_service_known_by_https_keeps_browsers_on_it);

fn check(reply: &Reply, path: &str) {
    let policy = reply.headers["content-security-policy"].to_str().unwrap();
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
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(reply.headers[name], value, "{path}");
    }
    if !path.starts_with("/assets") && path != "/favicon.ico" {
        assert_eq!(reply.headers["cache-control"], "no-store", "{path}");
    }
    assert!(reply.headers.contains_key("x-request-id"));
    assert!(reply.header_values("www-authenticate").is_empty());
    // What the policy forbids is not in the page either.
    for forbidden in [" style=", "<style", " onclick", "javascript:"] {
        assert!(!reply.text.contains(forbidden), "{path} has {forbidden}");
    }
}

async fn assets(visitor: &Visitor) -> Vec<String> {
    let page = visitor.get("/sign-in").await.text;
    page.split('"').filter(|text| text.starts_with("/assets/")).map(str::to_owned).collect()
}

async fn every_page_has_its_headers(app: TestApp) {
    let scene = Scene::new(&app).await;
    let admin = app.signed_in("admin@example.com").await;
    for (template, _) in PAGES {
        let path = scene.path(template);
        let page = admin.get(&path).await;
        // Whoever is signed in is sent on from there.
        assert_eq!(page.status, if template == "/sign-in" { 303 } else { 200 }, "{path}");
        check(&page, &path);
        check(&app.visitor().get(&path).await, &path);
    }
    for (path, status) in
        [("/nothing", 404), ("/admin/users/99", 404), ("/admin/settings/nothing", 404), ("/assets/nothing.css", 404)]
    {
        let reply = admin.get(path).await.expect(status);
        assert!(reply.text.contains("There is nothing here"), "{path}");
        check(&reply, path);
    }
    let refused = app.visitor().sign_in("admin@example.com", "wrong").await.expect(403);
    check(&refused, "/sign-in");
    let reply = admin.send(admin.request("PUT", "/preferences/profile", Body::empty())).await;
    check(&reply, "/preferences/profile");
    let large = admin.post("/preferences/profile", &[("name", &"x".repeat(70_000))]).await.expect(413);
    check(&large, "/preferences/profile");
    let files = assets(&app.visitor()).await;
    assert_eq!(files.len(), 3);
    for file in files.iter().map(String::as_str).chain(["/favicon.ico"]) {
        let reply = app.visitor().get(file).await.expect(200);
        check(&reply, file);
        let kept = reply.headers["cache-control"].to_str().unwrap();
        assert!(kept.starts_with("public") && (file == "/favicon.ico" || kept.contains("immutable")), "{file}");
    }
    // Programs get what programs read.
    let reply = app.anonymous().get("/nothing").await;
    reply.expect_error(404, "RouteNotFoundException");
    assert!(!reply.headers.contains_key("content-security-policy"));
    app.store.close().await;
    let reply = admin.get("/preferences/access-tokens").await.expect(503);
    assert!(reply.text.contains("You have not been signed out") && reply.headers.contains_key("retry-after"));
    check(&reply, "an outage");
    assert_eq!(app.visitor().sign_in("admin@example.com", "wrong").await.status, 503);
}

async fn a_service_known_by_https_keeps_browsers_on_it(app: TestApp) {
    assert!(!app.visitor().get("/sign-in").await.headers.contains_key("strict-transport-security"));
    let app = TestApp::with(Database::migrated(app.database.engine).await, |config| {
        config.delegate.issuer = "https://tokens.example.com".into();
    })
    .await;
    let visitor = app.visitor();
    assert_eq!(visitor.get("/sign-in").await.headers["strict-transport-security"], "max-age=31536000");
    // Behind a proxy that names itself as the host, a form comes from the configured origin all the same.
    let mut request =
        visitor.form("/sign-in", &[("email", "admin@example.com"), ("password", crate::support::PASSWORD)]);
    request.headers_mut().insert("origin", "https://tokens.example.com".parse().unwrap());
    let reply = visitor.send(request).await.expect(303);
    let cookie = *reply.header_values("set-cookie").last().unwrap();
    assert!(
        cookie.starts_with("__Host-tokenward=") && cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
    visitor.get("/preferences/profile").await.expect(200);
}
