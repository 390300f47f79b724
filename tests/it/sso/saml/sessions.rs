//! Sessions of people who signed in through a SAML provider: confirmations and sign-out.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::Value;

use super::SamlApp;
use crate::support::{
    Engine, PASSWORD, basic_auth, both_databases,
    saml::{Person, Request, TEST_TIME},
};

#[apply(both_databases)]
async fn a_sensitive_operation_asks_for_a_confirmation_at_the_provider(engine: Engine) {
    let company = SamlApp::start(engine).await;
    let admin = Person::ada().with("groups", &["admins"]);
    let browser = company.app.browser();
    company.sign_in(&browser, &admin).await.expect(303);
    let form = "/admin/users/new";
    let asks = async || browser.get(form).await.expect(200).text.contains("Confirm at adfs");
    assert!(!asks().await);
    company.app.advance_seconds(901);
    let now = TEST_TIME + 901;
    let page = browser.get(form).await.expect(200).text;
    let confirm = "/sign-in/adfs/confirm?next=%2Fadmin%2Fusers%2Fnew";
    assert!(page.contains(&format!(r#"<a href="{confirm}">Confirm at adfs</a>"#)), "{page}");
    // Without a fresh authentication, or as another person, nothing is confirmed.
    let at = |person: &Person, authenticated_at| Person { at: now, authenticated_at, ..person.clone() };
    let mallory = admin.clone().named("mallory", admin.format).with("email", &["mallory@example.com"]);
    for person in [at(&admin, TEST_TIME), at(&admin, now - 61), at(&mallory, now)] {
        let request = company.begin(&browser, confirm).await;
        assert!(request.document.contains("ForceAuthn=\"true\""), "{}", request.document);
        let location = company.accept(&company.provider.respond(&request, &person)).await;
        let page = browser.get(&location).await.expect(403);
        assert!(page.text.contains("You are still signed in"), "{}", page.text);
        assert!(asks().await);
    }
    assert_eq!(company.person("mallory@example.com").await, Value::Null, "a confirmation creates no account");
    // A sign-in without a fresh authentication is no confirmation either.
    company.sign_in(&browser, &at(&admin, TEST_TIME)).await.expect(303);
    assert!(asks().await);
    let before = browser.session_cookie();
    let response = company.answer(&browser, confirm, &at(&admin, now)).await.expect(303);
    assert_eq!(response.header_values("location"), [form]);
    assert_ne!(browser.session_cookie(), before);
    browser.with_session_cookie(before).get(form).await.expect(303);
    assert!(!asks().await);
    // A clock that is ahead does not make a session fresh for longer.
    let ahead = Person { authenticated_at: now + 59, ..at(&admin, now) };
    company.sign_in(&browser, &ahead).await.expect(303);
    company.app.advance_seconds(901);
    assert!(asks().await);
    // No other user may begin a confirmation, and it belongs to the session that began it.
    company.app.browser().get(confirm).await.expect(303);
    company.app.signed_in_browser("admin@example.com").await.get(confirm).await.expect(404);
    let now = now + 901;
    let request = company.begin(&browser, confirm).await;
    let fresh = Person { at: now, authenticated_at: now, ..admin };
    let location = company.accept(&company.provider.respond(&request, &fresh)).await;
    let thief = company.app.browser();
    thief.set_flow_cookie(browser.flow_cookie());
    thief.get(&location).await.expect(403);
    assert_eq!(thief.session_cookie(), None);
}

#[apply(both_databases)]
async fn a_sign_out_ends_the_local_session(engine: Engine) {
    let company = SamlApp::start(engine).await;
    let browser = company.app.browser();
    company.sign_in(&browser, &Person::ada()).await.expect(303);
    let response = browser.post("/sign-out", &[]).await.expect(303);
    assert_eq!(response.header_values("location"), ["/sign-in?out=yes"]);
    assert_eq!(browser.session_cookie(), None);
    browser.get("/preferences/profile").await.expect(303);
}

#[apply(both_databases)]
async fn a_person_links_an_account_by_proof_of_both(engine: Engine) {
    let company = SamlApp::start(engine).await;
    let grace = company.app.add_person("grace").await;
    let browser = company.app.signed_in_browser(&grace.email).await;
    let link = "/preferences/profile/link/adfs";
    let person = Person::ada();
    let begin = async || {
        let page = browser.post(link, &[("own_password", PASSWORD)]).await.expect(200).text;
        let start = page.split_once("content=\"0; url=").unwrap_or_else(|| panic!("{page}")).1;
        Request::of(&start.split_once('"').unwrap().0.replace("&#38;", "&"))
    };
    // An authentication from before is no proof.
    let request = begin().await;
    assert!(request.document.contains("ForceAuthn=\"true\""), "{}", request.document);
    let stale = Person { authenticated_at: TEST_TIME - 61, ..person.clone() };
    let location = company.accept(&company.provider.respond(&request, &stale)).await;
    browser.get(&location).await.expect(403);
    let request = begin().await;
    let fresh = Person { authenticated_at: TEST_TIME, ..person };
    let location = company.accept(&company.provider.respond(&request, &fresh)).await;
    let response = browser.get(&location).await.expect(303);
    assert_eq!(response.header_values("location"), ["/preferences/profile?done=linked"]);
    let profile = browser.get("/preferences/profile").await.expect(200).text;
    assert!(profile.contains("You sign in through <b>adfs</b>"), "{profile}");
    let client = company.app.client_with_authorization(&[&basic_auth(&grace.email, PASSWORD)]);
    client.get("/v4/people/current").await.expect(401);
}
