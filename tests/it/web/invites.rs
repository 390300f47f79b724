//! The pages on which administrators create invite links.

use rstest::rstest;
use rstest_reuse::apply;

use crate::support::{Browser, Engine, PASSWORD, TestApp, both_databases};

const NEW_USER: &str = "/admin/users/new";

/// Returns the link on the page that shows it.
fn link_in(page: &str) -> Option<&str> {
    page.split(r#"id="invite-link" translate="no">"#).nth(1)?.split('<').next()
}

async fn invite(admin: &Browser, email: &str) -> String {
    let fields = [("email", email), ("name", "Ada"), ("credential", "invite"), ("must_change", "yes")];
    let page = admin.post(NEW_USER, &fields).await.expect(200);
    assert_eq!(page.headers["cache-control"], "no-store");
    assert!(page.text.contains("It cannot be shown again.") && page.text.contains("secure channel"), "{}", page.text);
    let link = link_in(&page.text).expect("a link").to_owned();
    link.strip_prefix("http://127.0.0.1:3005").expect("the public URL").to_owned()
}

#[apply(both_databases)]
async fn an_administrator_adds_a_user_with_an_invite_link(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let form = admin.get(NEW_USER).await.expect(200).text;
    assert!(form.contains(r#"id="invite" name="credential" value="invite" checked"#), "{form}");
    let link = invite(&admin, "ada@example.com").await;
    let list = || async { admin.get("/admin/users").await.expect(200).text };
    let user = || async { admin.get("/admin/users/2").await.expect(200).text };
    for page in [list().await, user().await] {
        assert!(page.contains("Invited") && page.contains("until <time") && !page.contains(&link), "{page}");
        assert!(page.contains("2026-01-04 00:00:00Z"), "{page}");
    }
    app.advance_seconds(72 * 3_600);
    admin.sign_in("admin@example.com", PASSWORD).await.expect(303);
    for page in [list().await, user().await] {
        assert!(page.contains("Invite expired") && !page.contains("Invited"), "{page}");
    }
    let new = admin.post("/admin/users/2/invite", &[]).await.expect(200);
    let new = link_in(&new.text).unwrap().strip_prefix("http://127.0.0.1:3005").unwrap();
    let fields = [("new_password", PASSWORD), ("repeated_password", PASSWORD)];
    app.browser().post(&link, &fields).await.expect(404);
    app.browser().post(new, &fields).await.expect(303);
    for page in [list().await, user().await] {
        assert!(!page.contains("Invite") || page.contains("New invite link…"), "{page}");
        assert!(!page.contains("Invited") && !page.contains("Invite expired"), "{page}");
    }
    // A person who has a password keeps it until the link is used.
    admin.post("/admin/users/2/invite", &[]).await.expect(200);
    assert!(user().await.contains("A link is valid until"), "{}", user().await);
    app.signed_in_browser("ada@example.com").await;
}

#[apply(both_databases)]
async fn rejected_invites_show_the_reason_and_keep_the_choice(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let fields = [("email", "admin@example.com"), ("credential", "invite")];
    let page = admin.post(NEW_USER, &fields).await.expect(409).text;
    assert!(page.contains("already exists") && page.contains(r#"value="invite" checked"#), "{page}");
    let fields = [("email", "ada@example.com"), ("credential", "password"), ("password", "short")];
    let page = admin.post(NEW_USER, &fields).await.expect(400).text;
    assert!(page.contains("from 15 to 128") && page.contains(r#"value="password" checked"#), "{page}");
    // A password that was entered before the choice was changed is ignored.
    let fields = [("email", "ada@example.com"), ("credential", "invite"), ("password", PASSWORD)];
    admin.post(NEW_USER, &fields).await.expect(200);
    assert_eq!(app.browser().sign_in("ada@example.com", PASSWORD).await.status, 403);
    let response = admin.get("/admin/users/1/invite").await.expect(303);
    assert_eq!(response.headers["location"], "/preferences/profile");
    assert_eq!(admin.post("/admin/users/1/invite", &[]).await.status, 303);
    let found = app.admin().get("/v4/people?email=ada@example.com").await;
    let user = format!("/admin/users/{}", found.rows()[0]["id"]);
    admin.post(&format!("{user}/disable"), &[]).await.expect(303);
    assert!(!admin.get(&user).await.text.contains("New invite link"));
    let page = admin.post(&format!("{user}/invite"), &[]).await.expect(409).text;
    assert!(page.contains("Enable the account first.") && link_in(&page).is_none(), "{page}");
}

#[apply(both_databases)]
async fn creating_a_link_requires_reauthentication_after_15_minutes(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.add_person("ada").await;
    let admin = app.signed_in_browser("admin@example.com").await;
    app.advance_seconds(15 * 60);
    assert!(admin.get("/admin/users/2/invite").await.text.contains("Your password"));
    for (path, fields) in
        [("/admin/users/2/invite", &[][..]), (NEW_USER, &[("email", "eve@example.com"), ("credential", "invite")])]
    {
        let page = admin.post(path, fields).await.expect(400).text;
        assert!(page.contains("Enter your password to continue.") && link_in(&page).is_none(), "{page}");
    }
    let page = admin.post("/admin/users/2/invite", &[("own_password", PASSWORD)]).await.expect(200).text;
    assert!(link_in(&page).is_some(), "{page}");
}

/// Browsers send `Origin: null` with the form, because the page has `Referrer-Policy: no-referrer`.
#[apply(both_databases)]
async fn the_form_of_a_link_works_without_an_origin(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let link = invite(&admin, "ada@example.com").await;
    let browser = app.browser();
    let send = async |site: &str| {
        let mut request = browser.form_request(&link, &[("new_password", PASSWORD), ("repeated_password", PASSWORD)]);
        request.headers_mut().insert("origin", "null".parse().unwrap());
        request.headers_mut().insert("sec-fetch-site", site.parse().unwrap());
        browser.send(request).await.status
    };
    assert_eq!((send("cross-site").await, send("same-site").await), (403, 403));
    assert_eq!(send("same-origin").await, 303);
}
