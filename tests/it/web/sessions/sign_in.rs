//! The sign-in form: what rejections reveal, and where it leads.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{Engine, PASSWORD, TestApp, both_databases};

#[apply(both_databases)]
async fn rejected_sign_ins_are_indistinguishable(engine: Engine) {
    let app = TestApp::start(engine).await;
    let off = app.add_person("off").await;
    app.admin().update_person(off.id, json!({"isDisabled": true})).await.expect(200);
    let browser = app.browser();
    let mut pages = Vec::new();
    for (email, password) in [
        ("admin@example.com", "wrong"),
        ("unknown@example.com", PASSWORD),
        ("off@example.com", PASSWORD),
        ("off@example.com", "wrong"),
        ("admin@example.com", ""),
        ("", ""),
    ] {
        let response = browser.sign_in(email, password).await.expect(403);
        let mut headers: Vec<_> = response
            .headers
            .iter()
            .filter(|(name, _)| !["x-request-id", "x-trifacta-request-id", "content-length"].contains(&name.as_str()))
            .collect();
        headers.sort_by_key(|(name, _)| name.as_str());
        pages.push(format!("{headers:?}{}", response.text.replace(&format!(r#"value="{email}""#), r#"value="""#)));
    }
    for page in &pages {
        assert_eq!(*page, pages[0]);
    }
}

#[apply(both_databases)]
async fn sign_in_redirects_only_to_local_pages(engine: Engine) {
    let app = TestApp::start(engine).await;
    for (next, expected) in [
        ("/admin/users?search=a%20b", "/admin/users?search=a%20b"),
        ("//evil.example", "/preferences/access-tokens"),
        ("/\\evil.example", "/preferences/access-tokens"),
        ("/%09/evil.example", "/preferences/access-tokens"),
        ("https:evil.example", "/preferences/access-tokens"),
        ("/admin/\r\nset-cookie: x=y", "/preferences/access-tokens"),
    ] {
        let browser = app.browser();
        let fields = [("email", "admin@example.com"), ("password", PASSWORD), ("next", next)];
        let response = browser.post("/sign-in", &fields).await.expect(303);
        assert_eq!(response.headers["location"], expected, "{next:?}");
    }
    // The redirect to the sign-in page keeps the requested path.
    let browser = app.browser();
    let response = browser.get("/admin/users?search=x").await.expect(303);
    let page = browser.get(response.headers["location"].to_str().unwrap()).await.expect(200);
    assert!(page.text.contains(r#"name="next" value="/admin/users?search=x""#), "{}", page.text);
}

#[apply(both_databases)]
async fn sign_in_over_plain_http_is_rejected(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = app.browser();
    let mut request = browser.form_request("/sign-in", &[("email", "admin@example.com"), ("password", PASSWORD)]);
    request.headers_mut().insert("host", "tokens.example.com".parse().unwrap());
    request.headers_mut().insert("origin", "http://tokens.example.com".parse().unwrap());
    let response = browser.send(request).await.expect(403);
    assert!(response.text.contains("Sign-in requires a secure connection") && browser.session_cookie().is_none());
}
