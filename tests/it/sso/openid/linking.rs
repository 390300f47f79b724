//! Linking of an account at an `OpenID` provider by the person who has both.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use super::{OpenIdApp, TOKENS, ada, with};
use crate::support::{Browser, Engine, PASSWORD, basic_auth, both_databases};

const LINK: &str = "/preferences/profile/link/login";
const PASSWORD_FIELD: &[(&str, &str)] = &[("own_password", PASSWORD)];
const NOW: i64 = 1_767_225_600;

/// Returns claims of a person who has just authenticated.
fn fresh(seconds: i64) -> Value {
    with(ada(), &json!({"iat": NOW + seconds, "exp": NOW + seconds + 300, "auth_time": NOW + seconds}))
}

/// Begins a link and returns the URL of the provider, to which the page continues.
async fn begin(browser: &Browser, fields: &[(&str, &str)]) -> String {
    let page = browser.post(LINK, fields).await.expect(200).text;
    let start = page.split_once("content=\"0; url=").unwrap_or_else(|| panic!("{page}")).1;
    start.split_once('"').unwrap().0.replace("&#38;", "&").replace("&amp;", "&")
}

#[apply(both_databases)]
async fn a_person_links_an_account_by_proof_of_both(engine: Engine) {
    let company = OpenIdApp::start(engine).await;
    let grace = company.app.add_person("grace").await;
    company.app.set_setting("allowUsers", true).await;
    let token = grace.create_token().await;
    let (browser, other) =
        (company.app.signed_in_browser(&grace.email).await, company.app.signed_in_browser(&grace.email).await);
    let profile = browser.get("/preferences/profile").await.expect(200).text;
    assert!(profile.contains(r#"<a href="/preferences/profile/link/login">sign in through login…</a>"#), "{profile}");
    // The local password, however recent the sign-in.
    assert!(browser.get(LINK).await.expect(200).text.contains("own_password"));
    for wrong in [&[][..], &[("own_password", "wrong")]] {
        browser.post(LINK, wrong).await.expect(400);
        assert_eq!(browser.flow_cookie(), None);
    }
    company.app.advance_seconds(901);
    let location = begin(&browser, PASSWORD_FIELD).await;
    assert!(location.contains("prompt=login") && location.contains("max_age=0"), "{location}");
    // The provider: an authentication from before is none.
    let stale = with(fresh(901), &json!({"auth_time": NOW}));
    let page = browser.get(&company.callback(&location, &stale)).await.expect(403).text;
    assert!(page.contains("Not confirmed"), "{page}");
    let location = begin(&browser, PASSWORD_FIELD).await;
    let response = browser.get(&company.callback(&location, &fresh(901))).await.expect(303);
    assert_eq!(response.header_values("location"), ["/preferences/profile?done=linked"]);
    let profile = browser.get("/preferences/profile?done=linked").await.expect(200).text;
    assert!(profile.contains("Your account is linked.") && profile.contains("You have no password here."), "{profile}");
    assert!(!profile.contains("curl -u"), "{profile}");
    // The password and the other session have ended, the token has not.
    other.get(TOKENS).await.expect(303);
    let password = company.app.client_with_authorization(&[&basic_auth(&grace.email, PASSWORD)]);
    password.get("/v4/people/current").await.expect(401);
    assert!(token.is_accepted().await);
    // The next sign-in finds the same person.
    let next = company.app.browser();
    company.sign_in(&next, &fresh(901)).await.expect(303);
    assert_eq!(company.person("ada@example.com").await["id"], json!(grace.id));
    assert!(company.actions().await.iter().any(|action| action == "identity.linked"));
    browser.get(LINK).await.expect(404);
}

#[apply(both_databases)]
async fn an_account_is_linked_in_the_browser_that_began(engine: Engine) {
    let company = OpenIdApp::start(engine).await;
    company.app.add_person("grace").await;
    let grace = company.app.signed_in_browser("grace@example.com").await;
    // No GET begins a link, and a stranger has no form.
    company.app.browser().post(LINK, &[]).await.expect(303);
    grace.get("/preferences/profile/link/unknown").await.expect(404);
    // The attacker's callback in the victim's browser, and the victim's in the attacker's.
    company.app.add_person("mallory").await;
    let mallory = company.app.signed_in_browser("mallory@example.com").await;
    let location = begin(&mallory, PASSWORD_FIELD).await;
    let path = company.callback(&location, &fresh(0));
    grace.get(&path).await.expect(403);
    grace.set_flow_cookie(mallory.flow_cookie());
    grace.get(&path).await.expect(403);
    // It is used up. Without the session that began it, nothing is linked.
    mallory.get(&path).await.expect(403);
    let location = begin(&grace, PASSWORD_FIELD).await;
    let path = company.callback(&location, &fresh(0));
    let cookie = grace.flow_cookie();
    grace.post("/sign-out", &[]).await.expect(303);
    grace.set_flow_cookie(cookie);
    grace.get(&path).await.expect(403);
    assert_eq!(company.person("ada@example.com").await, Value::Null);
    assert!(!company.actions().await.iter().any(|action| action == "identity.linked"));
}

#[apply(both_databases)]
async fn refused_links_change_nothing(engine: Engine) {
    let company = OpenIdApp::start(engine).await;
    let grace = company.app.add_person("grace").await;
    let browser = company.app.signed_in_browser(&grace.email).await;
    let link = async |browser: &Browser, claims: &Value, status: u16, text: &str| {
        let location = begin(browser, PASSWORD_FIELD).await;
        let page = browser.get(&company.callback(&location, claims)).await.expect(status).text;
        assert!(page.contains("Not linked") && page.contains(text), "{page}");
        browser.get(TOKENS).await.expect(200);
    };
    let outside = with(fresh(0), &json!({"groups": ["others"]}));
    link(&browser, &outside, 403, "in no group that may sign in").await;
    // The account of another person.
    company.sign_in(&company.app.browser(), &fresh(0)).await.expect(303);
    link(&browser, &fresh(0), 409, "is linked to a person here already").await;
    let admin = company.app.signed_in_browser("admin@example.com").await;
    let own = with(fresh(0), &json!({"sub": "admin-1", "groups": ["admins"]}));
    link(&admin, &own, 409, "the last administrator who can sign in without").await;
    for email in [grace.email.as_str(), "admin@example.com"] {
        let password = company.app.client_with_authorization(&[&basic_auth(email, PASSWORD)]);
        password.get("/v4/people/current").await.expect(200);
    }
    // A person who is disabled meanwhile.
    let location = begin(&browser, PASSWORD_FIELD).await;
    company.app.admin().update_person(grace.id, json!({"isDisabled": true})).await.expect(200);
    let free = with(fresh(0), &json!({"sub": "grace-1"}));
    browser.get(&company.callback(&location, &free)).await.expect(403);
}
