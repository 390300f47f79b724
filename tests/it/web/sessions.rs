//! Web sessions: sign-in, end of sessions, re-authentication, and what rejections reveal.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokenward::domain::id::{PersonId, WorkspaceId};

use crate::support::{Browser, Database, Engine, PASSWORD, TestApp, both_databases};

const NEW_PASSWORD: &str = "a wholly different phrase of words";

async fn is_signed_in(browser: &Browser) -> bool {
    match browser.get("/preferences/profile").await.status {
        200 => true,
        303 => false,
        other => panic!("{other}"),
    }
}

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
             user_agent)) from web_session"
        }
    };
    let row = app.query_text(row).await.unwrap();
    for secret in [value.to_lowercase(), hex(value.as_bytes())] {
        assert!(!row.contains(&secret), "{row}");
    }
    assert!(row.contains(&hex(&Sha256::digest(&value))), "the row contains the digest of the value: {row}");
}

#[apply(both_databases)]
async fn sensitive_operations_require_reauthentication_after_15_minutes(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let token = app.admin().create_token().await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let (user, remove) = (format!("/admin/users/{}", ada.id), format!("/admin/users/{}/remove", ada.id));
    let delete = format!("/admin/users/{}/delete-tokens", ada.id);
    let password = format!("/admin/users/{}/password", ada.id);
    let operations: [(&str, &[(&str, &str)]); 8] = [
        ("/preferences/access-tokens/delete-all", &[]),
        ("/admin/settings/feature.apiAccessTokens.enabled", &[("value", "false")]),
        (&user, &[("email", "ada@example.com"), ("role", "administrator"), ("token_access", "default")]),
        (&delete, &[]),
        (&password, &[("password", NEW_PASSWORD)]),
        ("/admin/users/new", &[("email", "eve@example.com"), ("password", PASSWORD), ("is_admin", "yes")]),
        ("/admin/workspaces/new", &[("name", "X"), ("admin_email", "x@example.com"), ("password", PASSWORD)]),
        (&remove, &[]),
    ];
    app.advance_seconds(15 * 60);
    for (path, fields) in operations {
        for wrong in [None, Some(""), Some("wrong")] {
            let mut fields = fields.to_vec();
            fields.extend(wrong.map(|password| ("own_password", password)));
            let response = admin.post(path, &fields).await.expect(400);
            assert!(response.text.contains(r#"name="own_password""#), "{path}");
        }
    }
    assert!(token.is_accepted().await);
    assert_eq!(app.admin().get("/v4/people?includeCount=true").await.json["count"], 2);
    assert_eq!(app.admin().get(&format!("/v4/people/{}", ada.id)).await.json["isAdmin"], false);
    for (path, fields) in operations {
        let admin = app.signed_in_browser("admin@example.com").await;
        app.advance_seconds(15 * 60);
        let fields: Vec<_> = fields.iter().copied().chain([("own_password", PASSWORD)]).collect();
        admin.post(path, &fields).await.expect(303);
    }
    assert!(!token.is_accepted().await);
}

#[apply(both_databases)]
async fn generating_a_token_requires_reauthentication_after_15_minutes(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let path = "/preferences/access-tokens/generate";
    let form = admin.fetch_form_id().await;
    let generate = async |admin: &Browser, form: &str, password: Option<&str>| {
        let fields = [("form", form), ("lifetime", "30")];
        let fields: Vec<_> = fields.into_iter().chain(password.map(|text| ("own_password", text))).collect();
        admin.post(path, &fields).await
    };
    app.advance_seconds(15 * 60 - 1);
    assert!(!admin.get(path).await.text.contains("own_password"));
    app.advance_seconds(1);
    assert!(admin.get(path).await.text.contains(r#"name="own_password""#));
    for wrong in [None, Some(""), Some("wrong")] {
        let response = generate(&admin, &form, wrong).await.expect(400);
        assert!(response.text.contains(r#"aria-invalid="true" aria-errormessage="form-error""#), "{}", response.text);
    }
    assert!(app.admin().get("/v4/apiAccessTokens").await.rows().is_empty());
    generate(&admin, &form, Some(PASSWORD)).await.expect(200);
    // The operator can switch it off.
    let app =
        TestApp::start_with(Database::migrated(engine).await, |config| config.sessions.reauth_for_tokens = false).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    app.advance_seconds(15 * 60);
    let form = admin.fetch_form_id().await;
    generate(&admin, &form, None).await.expect(200);
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
async fn reauthentication_renews_the_session_value(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let stolen = admin.with_session_cookie(admin.session_cookie());
    app.advance_seconds(15 * 60);
    let fields = [("value", "true"), ("own_password", PASSWORD)];
    admin.post("/admin/settings/feature.apiAccessTokens.enabled", &fields).await.expect(303);
    assert!(is_signed_in(&admin).await && !is_signed_in(&stolen).await);
}

#[apply(both_databases)]
async fn reauthentication_counts_even_if_the_operation_is_rejected(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    app.advance_seconds(15 * 60);
    let add = |email| [("email", email), ("password", "another phrase of many words"), ("own_password", PASSWORD)];
    let response = admin.post("/admin/users/new", &add("admin@example.com")).await.expect(409);
    assert!(!response.text.contains("own_password"), "the password was entered just now");
    admin.post("/admin/users/new", &add("ada@example.com")[..2]).await.expect(303);
    assert!(is_signed_in(&admin).await);
    // Also if the operation fails.
    app.advance_seconds(15 * 60);
    admin.post("/admin/users/99/remove", &[("own_password", PASSWORD)]).await.expect(404);
    assert!(is_signed_in(&admin).await);
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
