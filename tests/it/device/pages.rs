//! The pages: the way through sign-in, and what they show.

use rstest::rstest;
use rstest_reuse::apply;

use super::{begin, enter};
use crate::support::{Engine, PASSWORD, TestApp, both_databases};

#[apply(both_databases)]
async fn a_person_who_is_not_signed_in_comes_back_after_the_sign_in(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = app.browser();
    let location = browser.get("/device").await.expect(303).header_values("location")[0].to_owned();
    assert_eq!(location, "/sign-in?next=%2Fdevice");
    let form = browser.get(&location).await.expect(200).text;
    assert!(form.contains(r#"name="next" value="/device""#), "{form}");
    let fields = [("email", "admin@example.com"), ("password", PASSWORD), ("next", "/device")];
    let signed_in = browser.post("/sign-in", &fields).await.expect(303);
    assert_eq!(signed_in.header_values("location"), ["/device"]);
    let page = browser.get("/device").await.expect(200);
    assert!(page.text.contains("Continue only if"), "{}", page.text);
    // A code in the address is not read.
    let codes = begin(&app, "").await;
    let linked = browser.get(&format!("/device?user_code={}", codes.user)).await.expect(200).text;
    assert!(!linked.contains(&codes.user), "{linked}");
}

#[apply(both_databases)]
async fn the_page_names_another_address_of_the_browser(engine: Engine) {
    let app = TestApp::start(engine).await;
    let codes = begin(&app, "").await;
    let browser = app.signed_in_browser("admin@example.com").await.with_address("192.0.2.77");
    let path = enter(&browser, &codes.user).await;
    let page = browser.get(&path).await.expect(200).text;
    assert!(page.contains("Unknown address") && page.contains("192.0.2.77"), "{page}");
    assert!(page.contains("30 days") && page.contains("Full access"), "{page}");
    browser.get("/device/not-an-id").await.expect(404);
}
