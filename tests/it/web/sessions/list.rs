//! The list of web sessions on the profile page.

use rstest::rstest;
use rstest_reuse::apply;

use crate::support::{Browser, Database, Engine, PASSWORD, TestApp, both_databases};

const PROFILE: &str = "/preferences/profile";
const ALL: &str = "/preferences/profile?sessions=all";

/// Returns the rows of the list, each up to its end.
async fn session_rows(browser: &Browser, path: &str) -> Vec<String> {
    let page = browser.get(path).await.expect(200).text;
    let list = page.split(r#"id="sessions-head""#).nth(1).unwrap().split("</ul>").next().unwrap();
    list.split("<li>").skip(1).map(str::to_owned).collect()
}

/// Returns a browser that signed in from an address.
async fn signed_in_from(app: &TestApp, address: &str) -> Browser {
    let browser = app.browser().with_address(address);
    browser.sign_in("admin@example.com", PASSWORD).await.expect(303);
    browser
}

#[apply(both_databases)]
async fn sessions_show_the_addresses_of_sign_in_and_last_use(engine: Engine) {
    let app = TestApp::start(engine).await;
    let here = signed_in_from(&app, "::ffff:192.0.2.7").await;
    let rows = session_rows(&here, PROFILE).await;
    assert!(rows.len() == 1 && rows[0].contains("192.0.2.7<") && !rows[0].contains("ffff"), "{rows:?}");
    assert!(!rows[0].contains(" from "), "the last use was from the same address: {rows:?}");
    // A use from another address is recorded with the time of the use, at most once a minute.
    let moved = here.with_session_cookie(here.session_cookie()).with_address("2001:DB8:0::1");
    moved.get(PROFILE).await.expect(200);
    assert!(!session_rows(&here, PROFILE).await[0].contains("2001:db8"));
    app.advance_seconds(60);
    moved.get(PROFILE).await.expect(200);
    let rows = session_rows(&here, PROFILE).await;
    assert!(rows[0].contains("192.0.2.7<") && rows[0].contains("from 2001:db8::1<"), "{rows:?}");
    // Without an address, for example in a session from before the column, there is a dash.
    let unknown = app.signed_in_browser("admin@example.com").await;
    assert!(session_rows(&unknown, PROFILE).await[0].contains(">—<"));
}

#[apply(both_databases)]
async fn sessions_show_the_client_behind_a_trusted_proxy_only(engine: Engine) {
    let database = Database::migrated(engine).await;
    let app =
        TestApp::start_with(database, |config| config.listen.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()])
            .await;
    for (peer, expected) in [("10.1.2.3", "203.0.113.9"), ("198.51.100.4", "198.51.100.4")] {
        let browser = app.browser().with_address(peer);
        let mut request = browser.form_request("/sign-in", &[("email", "admin@example.com"), ("password", PASSWORD)]);
        request.headers_mut().insert("sec-fetch-site", "same-origin".parse().unwrap());
        request.headers_mut().insert("x-forwarded-for", "192.0.2.66, 203.0.113.9".parse().unwrap());
        browser.send(request).await.expect(303);
        let rows = session_rows(&browser, PROFILE).await;
        assert!(rows[0].contains(&format!(">{expected}<")), "{rows:?}");
        assert!(!rows[0].contains("192.0.2.66"), "a client cannot choose its address: {rows:?}");
    }
}

#[apply(both_databases)]
async fn the_current_session_is_first_and_five_are_listed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let here = signed_in_from(&app, "192.0.2.1").await;
    for number in 2..=7 {
        app.advance_seconds(1);
        signed_in_from(&app, &format!("192.0.2.{number}")).await;
    }
    let rows = session_rows(&here, PROFILE).await;
    let addresses = |rows: &[String]| -> Vec<String> {
        rows.iter().map(|row| row.split("192.0.2.").nth(1).unwrap().split('<').next().unwrap().to_owned()).collect()
    };
    assert_eq!(addresses(&rows), ["1", "7", "6", "5", "4"]);
    assert!(rows[0].contains("This browser") && !rows[1].contains("This browser"));
    let page = here.get(PROFILE).await.text;
    let end_others = page.find("/preferences/profile/sessions/end-others").unwrap();
    assert!(end_others < page.find("This browser").unwrap(), "the button precedes the list");
    assert!(page.contains(r#"<a href="/preferences/profile?sessions=all#sessions-head">Show all 7</a>"#));
    assert_eq!(addresses(&session_rows(&here, ALL).await), ["1", "7", "6", "5", "4", "3", "2"]);
    assert!(!here.get(ALL).await.text.contains("Show all"));
    here.post("/preferences/profile/sessions/end-others", &[]).await.expect(303);
    let page = here.get(PROFILE).await.text;
    assert!(!page.contains("end-others") && !page.contains("Show all"));
    assert_eq!(session_rows(&here, ALL).await.len(), 1);
}

#[apply(both_databases)]
async fn a_page_sign_in_is_distinct_from_a_use_of_the_password_by_the_api(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let path = format!("/admin/users/{}", ada.id);
    let times = async || {
        let page = admin.get(&path).await.expect(200).text;
        let text = page.split("Last sign-in: ").nth(1).unwrap().split("</span>").next().unwrap().to_owned();
        let (sign_in, password) = text.split_once("password last used, on a page or by the API: ").unwrap();
        (sign_in.to_owned(), password.to_owned())
    };
    let (sign_in, password) = times().await;
    assert!(sign_in.starts_with('—') && password == "never", "{sign_in} {password}");
    ada.get("/v4/people/current").await.expect(200);
    let (sign_in, password) = times().await;
    assert!(sign_in.starts_with('—') && password.contains("2026-01-01 00:00:00Z"), "{sign_in} {password}");
    app.advance_seconds(90);
    app.signed_in_browser("ada@example.com").await;
    app.advance_seconds(90);
    ada.get("/v4/people/current").await.expect(200);
    let (sign_in, password) = times().await;
    assert!(sign_in.contains("2026-01-01 00:01:30Z") && password.contains("2026-01-01 00:03:00Z"));
    assert!(ada.get("/v4/people/current").await.json.get("lastSignIn").is_none(), "the API has one time");
}
