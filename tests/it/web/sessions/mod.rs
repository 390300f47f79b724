//! Web sessions: their values and their end.

mod drafts;
mod list;
mod reauthentication;
mod sign_in;

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokenward::domain::id::{PersonId, WorkspaceId};

use crate::support::{Browser, Engine, PASSWORD, TestApp, both_databases};

const NEW_PASSWORD: &str = "a wholly different phrase of words";

async fn is_signed_in(browser: &Browser) -> bool {
    match browser.get("/preferences/profile").await.status {
        200 => true,
        303 => false,
        other => panic!("{other}"),
    }
}

#[apply(both_databases)]
async fn each_sign_in_creates_a_new_session_value(engine: Engine) {
    let app = TestApp::start(engine).await;
    let first = app.signed_in_browser("admin@example.com").await;
    let cookie = first.session_cookie().unwrap();
    assert!(cookie.starts_with("tokenward=") && cookie.len() == "tokenward=".len() + 43);
    // A planted session cookie does not become valid by signing in (session fixation).
    let planted = format!("tokenward={}", "a".repeat(43));
    let victim = app.browser().with_session_cookie(Some(planted.clone()));
    victim.sign_in("admin@example.com", PASSWORD).await.expect(303);
    assert_ne!(victim.session_cookie().unwrap(), planted);
    assert!(!is_signed_in(&victim.with_session_cookie(Some(planted))).await);
    // Signing in again ends the former session of this browser, and no other session.
    let old_cookie = victim.session_cookie();
    victim.sign_in("admin@example.com", PASSWORD).await.expect(303);
    assert_ne!(victim.session_cookie(), old_cookie);
    assert!(!is_signed_in(&victim.with_session_cookie(old_cookie)).await);
    assert!(is_signed_in(&victim).await && is_signed_in(&first).await);
}

#[apply(both_databases)]
async fn a_session_ends_after_its_idle_timeout_or_maximum_age(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = app.signed_in_browser("admin@example.com").await;
    app.advance_seconds(30 * 60 - 1);
    assert!(is_signed_in(&browser).await);
    app.advance_seconds(30 * 60);
    assert!(!is_signed_in(&browser).await);
    let busy = app.signed_in_browser("admin@example.com").await;
    for _ in 0..12 * 3 - 1 {
        app.advance_seconds(20 * 60);
        assert!(is_signed_in(&busy).await);
    }
    app.advance_seconds(20 * 60);
    assert!(!is_signed_in(&busy).await);
    app.advance_seconds(86_400);
    assert_eq!(app.state.sessions().purge_expired().await.unwrap(), 2);
}

#[apply(both_databases)]
async fn an_ended_session_rejects_copies_of_its_cookie(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let user = format!("/admin/users/{}", ada.id);

    let out = app.signed_in_browser("ada@example.com").await;
    let stolen = out.with_session_cookie(out.session_cookie());
    let response = out.post("/sign-out", &[]).await.expect(303);
    assert_eq!(response.headers["clear-site-data"], "\"cache\"");
    assert!(out.session_cookie().is_none() && !is_signed_in(&stolen).await);

    let ended = app.signed_in_browser("ada@example.com").await;
    admin.post(&format!("{user}/end-sessions"), &[]).await.expect(303);
    assert!(!is_signed_in(&ended).await);

    // Disabling through the API ends the session; enabling does not restore it.
    let disabled = app.signed_in_browser("ada@example.com").await;
    app.admin().update_person(ada.id, json!({"isDisabled": true})).await.expect(200);
    assert!(!is_signed_in(&disabled).await);
    app.admin().update_person(ada.id, json!({"isDisabled": false})).await.expect(200);
    assert!(!is_signed_in(&disabled).await);

    // A password change through the API ends all sessions; one on the page renews its own session.
    let api_accepts = app.signed_in_browser("ada@example.com").await;
    let body = json!({"password": NEW_PASSWORD, "password2": NEW_PASSWORD});
    ada.patch(&format!("/v4/people/{}", ada.id), &body).await.expect(200);
    assert!(!is_signed_in(&api_accepts).await);
    let here = app.browser();
    here.sign_in("ada@example.com", NEW_PASSWORD).await.expect(303);
    let (elsewhere, old_browser) = (app.browser(), here.with_session_cookie(here.session_cookie()));
    elsewhere.sign_in("ada@example.com", NEW_PASSWORD).await.expect(303);
    let fields = [("old_password", NEW_PASSWORD), ("new_password", PASSWORD), ("repeated_password", PASSWORD)];
    here.post("/preferences/profile/password", &fields).await.expect(303);
    assert!(is_signed_in(&here).await && !is_signed_in(&elsewhere).await && !is_signed_in(&old_browser).await);

    // Deleting the account ends its sessions.
    admin.post(&format!("{user}/remove"), &[]).await.expect(303);
    assert!(!is_signed_in(&here).await);
}

#[apply(both_databases)]
async fn the_store_holds_no_session_value(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    let browser = app.signed_in_browser("admin@example.com").await;
    let value = browser.session_cookie().unwrap().split_once('=').unwrap().1.to_owned();
    let sessions = app.store.list_sessions(WorkspaceId::FIRST, PersonId::new(1)).await.unwrap();
    assert_eq!(sessions.len(), 1);
    // Neither the ID of the session nor a made-up value authenticates.
    for other in [sessions[0].id.simple().to_string(), "0".repeat(43)] {
        assert!(!is_signed_in(&browser.with_session_cookie(Some(format!("tokenward={other}")))).await);
    }
    let hex = |bytes: &[u8]| hex::encode(bytes);
    // Every column, byte columns in hexadecimal.
    let row = match app.database.engine {
        Engine::Postgres => "select lower(row_to_json(s)::text) from web_session s",
        Engine::Sqlite => {
            "select lower(concat_ws('|', hex(id), hex(digest), workspace_id, person_id, created_at, authenticated_at, last_seen_at, \
             user_agent, address, last_address, hex(draft_key))) from web_session"
        }
    };
    let row = app.query_text(row).await.unwrap();
    for secret in [value.to_lowercase(), hex(value.as_bytes())] {
        assert!(!row.contains(&secret), "{row}");
    }
    assert!(row.contains(&hex(&Sha256::digest(&value))), "the row contains the digest of the value: {row}");
}

#[apply(both_databases)]
async fn an_administrator_sets_a_temporary_password(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let browser = app.signed_in_browser("ada@example.com").await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let user = format!("/admin/users/{}", ada.id);
    assert!(admin.get(&user).await.text.contains("Set temporary password"));
    let path = format!("{user}/password");
    let response = admin.post(&path, &[("password", "short")]).await.expect(400);
    assert!(response.text.contains("from 15 to 128 characters") && response.text.contains("aria-invalid"));
    admin.post(&path, &[("password", NEW_PASSWORD)]).await.expect(303);
    assert!(!is_signed_in(&browser).await, "web sessions end");
    let response = app.browser().sign_in("ada@example.com", NEW_PASSWORD).await.expect(303);
    assert_eq!(response.headers["location"], "/change-password");
    // Administrators change their own password on the profile page.
    assert_eq!(admin.get("/admin/users/1/password").await.expect(303).headers["location"], "/preferences/profile");
    assert!(app.browser().get("/sign-in").await.text.contains("Forgot your password?"));
}

#[apply(both_databases)]
async fn a_role_change_ends_web_sessions(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let stolen = app.signed_in_browser("ada@example.com").await;
    app.admin().update_person(ada.id, json!({"name": "Ada L.", "isAdmin": false})).await.expect(200);
    assert!(is_signed_in(&stolen).await);
    app.admin().update_person(ada.id, json!({"isAdmin": true})).await.expect(200);
    assert!(!is_signed_in(&stolen).await);
}

#[apply(both_databases)]
async fn foreign_cookies_do_not_hide_the_session_cookie(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = app.signed_in_browser("admin@example.com").await;
    let mut request = browser.request("GET", "/preferences/profile", axum::body::Body::empty());
    let cookies = format!("theirs=\u{e9}; {}", browser.session_cookie().unwrap());
    request.headers_mut().insert("cookie", http::HeaderValue::from_bytes(cookies.as_bytes()).unwrap());
    browser.send(request).await.expect(200);
}

#[apply(both_databases)]
async fn only_platform_administrators_end_sessions_of_platform_administrators(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.admin().add_person("other", true).await;
    let platform = app.signed_in_browser("admin@example.com").await;
    let other = app.signed_in_browser("other@example.com").await;
    other.post("/admin/users/1/end-sessions", &[]).await.expect(403);
    assert!(is_signed_in(&platform).await);
}
