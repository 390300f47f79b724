//! Forms that are submitted after their session has ended.

use rstest::rstest;
use rstest_reuse::apply;

use crate::support::{Engine, PASSWORD, TestApp, both_databases};

#[apply(both_databases)]
async fn text_of_a_form_whose_session_has_ended_is_shown_after_sign_in(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    app.advance_seconds(30 * 60);
    let path = "/preferences/access-tokens/generate";
    let fields = [("description", "kept & safe"), ("lifetime", "custom"), ("days", "12"), ("own_password", "secret")];
    let mut request = admin.form_request(path, &fields);
    request.headers_mut().insert("sec-fetch-site", "same-origin".parse().unwrap());
    request.headers_mut().insert("referer", format!("http://127.0.0.1:3005{path}").parse().unwrap());
    admin.send(request).await.expect(303);
    let draft = admin.draft_cookie().unwrap();
    assert!(draft.contains("kept") && !draft.contains("secret"), "{draft}");
    admin.sign_in("admin@example.com", PASSWORD).await.expect(303);
    assert!(app.admin().get("/v4/apiAccessTokens").await.rows().is_empty(), "signing in submits nothing");
    assert!(!admin.get("/admin/users/new").await.text.contains("kept"), "other pages do not show it");
    let page = admin.get(path).await.expect(200).text;
    assert!(page.contains(r#"value="kept &#38; safe""#) && page.contains(r#"value="12""#), "{page}");
    assert!(page.contains("You were signed out before the form was submitted"));
    // It is shown once, and not after signing out.
    assert!(admin.draft_cookie().is_none() && !admin.get(path).await.text.contains("kept"));
}

#[apply(both_databases)]
async fn a_form_of_an_ended_session_reports_that_nothing_was_done(engine: Engine) {
    let app = TestApp::start(engine).await;
    for (referer, next) in [
        ("http://127.0.0.1:3005/admin/users/new", "next=%2Fadmin%2Fusers%2Fnew&"),
        ("http://evil.example/elsewhere", "next=%2Felsewhere&"),
        ("nonsense nonsense", ""),
    ] {
        let browser = app.browser();
        let mut request = browser.form_request("/admin/users/new", &[("email", "x")]);
        request.headers_mut().insert("sec-fetch-site", "same-origin".parse().unwrap());
        request.headers_mut().insert("referer", referer.parse().unwrap());
        let response = browser.send(request).await.expect(303);
        assert_eq!(response.headers["location"], format!("/sign-in?{next}ended=yes"));
        let page = browser.get(response.headers["location"].to_str().unwrap()).await.expect(200).text;
        assert!(
            page.contains("You were signed out for inactivity. Sign in to continue.") && !page.contains("elsewhere"),
            "{page}"
        );
    }
}
