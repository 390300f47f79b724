//! Forms that are submitted after their session has ended.

use rstest::rstest;
use rstest_reuse::apply;

use crate::support::{Browser, Engine, PASSWORD, TestApp, both_databases};

const GENERATE: &str = "/preferences/access-tokens/generate";

/// Submits the form that generates a token after its session has ended, from an address bar of the
/// same site.
async fn submit_after_the_end(browser: &Browser) {
    let fields = [("description", "kept & safe"), ("lifetime", "custom"), ("days", "12"), ("own_password", "secret")];
    let mut request = browser.form_request(GENERATE, &fields);
    request.headers_mut().insert("sec-fetch-site", "same-origin".parse().unwrap());
    request.headers_mut().insert("referer", format!("http://127.0.0.1:3005{GENERATE}").parse().unwrap());
    browser.send(request).await.expect(303);
}

#[apply(both_databases)]
async fn text_of_a_form_whose_session_has_ended_is_shown_after_sign_in(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    app.advance_seconds(30 * 60);
    submit_after_the_end(&admin).await;
    let draft = admin.draft_cookie().unwrap();
    assert!(draft.starts_with("tokenward-draft=") && !draft.contains("kept") && !draft.contains("secret"), "{draft}");
    admin.sign_in("admin@example.com", PASSWORD).await.expect(303);
    assert!(app.admin().get("/v4/apiAccessTokens").await.rows().is_empty(), "signing in submits nothing");
    assert!(!admin.get("/admin/users/new").await.text.contains("kept"), "other pages do not show it");
    let page = admin.get(GENERATE).await.expect(200).text;
    assert!(page.contains(r#"value="kept &#38; safe""#) && page.contains(r#"value="12""#), "{page}");
    assert!(page.contains("You were signed out before the form was submitted"));
    assert!(!page.contains("secret"));
    // It is shown once, and not after signing out.
    assert!(admin.draft_cookie().is_none() && !admin.get(GENERATE).await.text.contains("kept"));
}

#[apply(both_databases)]
async fn text_of_a_form_is_shown_to_the_person_who_typed_it_only(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.admin().add_person("ada", true).await;
    let browser = app.signed_in_browser("admin@example.com").await;
    app.advance_seconds(30 * 60);
    submit_after_the_end(&browser).await;
    let draft = browser.draft_cookie();
    // The sign-in page does not show it, and a failed sign-in leaves it.
    assert!(!browser.get("/sign-in?ended=yes").await.text.contains("kept &"));
    browser.sign_in("ada@example.com", "wrong").await.expect(403);
    assert_eq!(browser.draft_cookie(), draft);
    // Another person signs in at this browser: the cookie is removed, and no page shows the text.
    browser.sign_in("ada@example.com", PASSWORD).await.expect(303);
    assert!(browser.draft_cookie().is_none());
    assert!(!browser.get(GENERATE).await.expect(200).text.contains("kept"));
    // A copy of the cookie in a session of another person shows nothing either, and is removed.
    let copy = app.signed_in_browser("ada@example.com").await.with_draft_cookie(draft.clone());
    let page = copy.get(GENERATE).await.expect(200).text;
    assert!(!page.contains("kept") && !page.contains("signed out before") && copy.draft_cookie().is_none());
    // The person who typed it still sees it.
    let own = app.signed_in_browser("admin@example.com").await.with_draft_cookie(draft);
    assert!(own.get(GENERATE).await.expect(200).text.contains("kept &#38; safe"));
}

#[apply(both_databases)]
async fn a_forged_text_of_a_form_is_not_shown(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    app.advance_seconds(30 * 60);
    submit_after_the_end(&admin).await;
    let draft = admin.draft_cookie().unwrap();
    let changed = |index: usize| {
        let mut text = draft.clone().into_bytes();
        text[index] = if text[index] == b'A' { b'B' } else { b'A' };
        String::from_utf8(text).unwrap()
    };
    // Changed, cut, in the former plain form, and with an ID that is not a session.
    let name = "tokenward-draft=".len();
    for forged in [
        changed(name + 2),
        changed(name + 30),
        changed(draft.len() - 3),
        draft[..draft.len() - 8].to_owned(),
        format!("tokenward-draft={}", "A".repeat(200)),
        "tokenward-draft=page=%2Fpreferences%2Faccess-tokens%2Fgenerate&description=kept".to_owned(),
        "tokenward-draft=".to_owned(),
    ] {
        let browser = app.signed_in_browser("admin@example.com").await.with_draft_cookie(Some(forged.clone()));
        assert!(!browser.get(GENERATE).await.expect(200).text.contains("kept"), "{forged}");
    }
}

#[apply(both_databases)]
async fn text_of_a_form_is_kept_only_if_its_session_is_known(engine: Engine) {
    let app = TestApp::start(engine).await;
    // No session, an unknown value, and a session that was signed out elsewhere.
    let unknown = app.browser().with_session_cookie(Some(format!("tokenward={}", "a".repeat(43))));
    let signed_out = app.signed_in_browser("admin@example.com").await;
    let other = app.signed_in_browser("admin@example.com").await;
    other.post("/preferences/profile/sessions/end-others", &[]).await.expect(303);
    for browser in [app.browser(), unknown, signed_out] {
        submit_after_the_end(&browser).await;
        assert!(browser.draft_cookie().is_none());
        let page = browser.get("/sign-in?ended=yes").await.text;
        assert!(!page.contains("is kept"), "{page}");
    }
    // A session is known for a day after its end.
    app.advance_seconds(30 * 60 + 86_400 - 1);
    app.state.sessions().purge_expired().await.unwrap();
    submit_after_the_end(&other).await;
    assert!(other.draft_cookie().is_some());
    let late = other.with_session_cookie(other.session_cookie());
    app.advance_seconds(1);
    assert_eq!(app.state.sessions().purge_expired().await.unwrap(), 1);
    submit_after_the_end(&late).await;
    assert!(late.draft_cookie().is_none());
    // The key is gone with the session.
    let own = app.signed_in_browser("admin@example.com").await.with_draft_cookie(other.draft_cookie());
    assert!(!own.get(GENERATE).await.text.contains("kept"));
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
