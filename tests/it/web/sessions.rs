//! Being signed in: what begins it, what ends it, and what a stranger can learn of it.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::support::{Engine, PASSWORD, TestApp, Visitor};

on_both!(
    a_stranger_cannot_tell_why_a_sign_in_is_refused,
    a_session_has_a_value_of_its_own_each_time,
    a_session_ends_when_it_idles_or_is_old,
    what_ends_a_session_ends_it_for_whoever_has_the_cookie,
    one_goes_on_to_a_page_of_ours_alone,
    a_form_that_came_too_late_is_said_to_have_done_nothing,
    plain_http_over_a_network_is_refused,
    the_store_holds_no_value_of_a_session,
    acts_of_weight_ask_for_the_password_after_a_quarter_of_an_hour,
    a_proof_gives_the_session_another_value,
    a_right_password_is_not_lost_with_a_refused_act,
    another_role_means_another_session,
    others_cookies_do_not_hide_ours,
    only_platform_administrators_sign_out_platform_administrators,
);

const NEW_PASSWORD: &str = "a wholly different phrase of words";

async fn is_in(visitor: &Visitor) -> bool {
    match visitor.get("/preferences/profile").await.status {
        200 => true,
        303 => false,
        other => panic!("{other}"),
    }
}

async fn a_stranger_cannot_tell_why_a_sign_in_is_refused(app: TestApp) {
    let off = app.person("off").await;
    app.admin().change(off.id, json!({"isDisabled": true})).await.expect(200);
    let visitor = app.visitor();
    let mut pages = Vec::new();
    for (email, password) in [
        ("admin@example.com", "wrong"),
        ("nobody@example.com", PASSWORD),
        ("off@example.com", PASSWORD),
        ("off@example.com", "wrong"),
        ("admin@example.com", ""),
        ("", ""),
    ] {
        let reply = visitor.sign_in(email, password).await.expect(403);
        let mut headers: Vec<_> = reply
            .headers
            .iter()
            .filter(|(name, _)| !["x-request-id", "x-trifacta-request-id", "content-length"].contains(&name.as_str()))
            .collect();
        headers.sort_by_key(|(name, _)| name.as_str());
        pages.push(format!("{headers:?}{}", reply.text.replace(&format!(r#"value="{email}""#), r#"value="""#)));
    }
    for page in &pages {
        assert_eq!(*page, pages[0]);
    }
}

async fn a_session_has_a_value_of_its_own_each_time(app: TestApp) {
    let first = app.signed_in("admin@example.com").await;
    let cookie = first.cookie().unwrap();
    assert!(cookie.starts_with("tokenward=") && cookie.len() == "tokenward=".len() + 43);
    // A value that somebody planted is not made good by signing in.
    let planted = format!("tokenward={}", "a".repeat(43));
    let victim = app.visitor().with_cookie(Some(planted.clone()));
    victim.sign_in("admin@example.com", PASSWORD).await.expect(303);
    assert_ne!(victim.cookie().unwrap(), planted);
    assert!(!is_in(&victim.with_cookie(Some(planted))).await);
    // Signing in again leaves no session behind in this browser, and others alone.
    let former = victim.cookie();
    victim.sign_in("admin@example.com", PASSWORD).await.expect(303);
    assert_ne!(victim.cookie(), former);
    assert!(!is_in(&victim.with_cookie(former)).await);
    assert!(is_in(&victim).await && is_in(&first).await);
}

async fn a_session_ends_when_it_idles_or_is_old(app: TestApp) {
    let visitor = app.signed_in("admin@example.com").await;
    app.advance_seconds(30 * 60 - 1);
    assert!(is_in(&visitor).await);
    app.advance_seconds(30 * 60);
    assert!(!is_in(&visitor).await);
    let busy = app.signed_in("admin@example.com").await;
    for _ in 0..12 * 3 - 1 {
        app.advance_seconds(20 * 60);
        assert!(is_in(&busy).await);
    }
    app.advance_seconds(20 * 60);
    assert!(!is_in(&busy).await);
    assert_eq!(app.app.sessions().remove_over().await.unwrap(), 2);
}

async fn what_ends_a_session_ends_it_for_whoever_has_the_cookie(app: TestApp) {
    let ada = app.person("ada").await;
    let admin = app.signed_in("admin@example.com").await;
    let user = format!("/admin/users/{}", ada.id);

    let out = app.signed_in("ada@example.com").await;
    let stolen = out.with_cookie(out.cookie());
    let reply = out.post("/sign-out", &[]).await.expect(303);
    assert_eq!(reply.headers["clear-site-data"], "\"cache\"");
    assert!(out.cookie().is_none() && !is_in(&stolen).await);

    let ended = app.signed_in("ada@example.com").await;
    admin.post(&format!("{user}/end-sessions"), &[]).await.expect(303);
    assert!(!is_in(&ended).await);

    // Disabled by the API; enabled again, the session stays over.
    let disabled = app.signed_in("ada@example.com").await;
    app.admin().change(ada.id, json!({"isDisabled": true})).await.expect(200);
    assert!(!is_in(&disabled).await);
    app.admin().change(ada.id, json!({"isDisabled": false})).await.expect(200);
    assert!(!is_in(&disabled).await);

    // One's own password by the API, and by the page, which goes on in a new session.
    let by_api = app.signed_in("ada@example.com").await;
    let body = json!({"password": NEW_PASSWORD, "password2": NEW_PASSWORD});
    ada.patch(&format!("/v4/people/{}", ada.id), &body).await.expect(200);
    assert!(!is_in(&by_api).await);
    let here = app.visitor();
    here.sign_in("ada@example.com", NEW_PASSWORD).await.expect(303);
    let (elsewhere, former) = (app.visitor(), here.with_cookie(here.cookie()));
    elsewhere.sign_in("ada@example.com", NEW_PASSWORD).await.expect(303);
    let fields = [("old_password", NEW_PASSWORD), ("new_password", PASSWORD), ("repeated_password", PASSWORD)];
    here.post("/preferences/profile/password", &fields).await.expect(303);
    assert!(is_in(&here).await && !is_in(&elsewhere).await && !is_in(&former).await);

    // Removed.
    admin.post(&format!("{user}/remove"), &[]).await.expect(303);
    assert!(!is_in(&here).await);
}

async fn one_goes_on_to_a_page_of_ours_alone(app: TestApp) {
    for (next, expected) in [
        ("/admin/users?search=a%20b", "/admin/users?search=a%20b"),
        ("//evil.example", "/preferences/access-tokens"),
        ("/\\evil.example", "/preferences/access-tokens"),
        ("/%09/evil.example", "/preferences/access-tokens"),
        ("https:evil.example", "/preferences/access-tokens"),
        ("/admin/\r\nset-cookie: x=y", "/preferences/access-tokens"),
    ] {
        let visitor = app.visitor();
        let fields = [("email", "admin@example.com"), ("password", PASSWORD), ("next", next)];
        let reply = visitor.post("/sign-in", &fields).await.expect(303);
        assert_eq!(reply.headers["location"], expected, "{next:?}");
    }
    // The way back is kept through the refusal.
    let visitor = app.visitor();
    let reply = visitor.get("/admin/users?search=x").await.expect(303);
    let page = visitor.get(reply.headers["location"].to_str().unwrap()).await.expect(200);
    assert!(page.text.contains(r#"name="next" value="/admin/users?search=x""#), "{}", page.text);
}

async fn a_form_that_came_too_late_is_said_to_have_done_nothing(app: TestApp) {
    for (referer, next) in [
        ("http://127.0.0.1:3005/admin/users/new", "next=%2Fadmin%2Fusers%2Fnew&"),
        ("http://evil.example/elsewhere", "next=%2Felsewhere&"),
        ("nonsense nonsense", ""),
    ] {
        let visitor = app.visitor();
        let mut request = visitor.form("/admin/users/new", &[("email", "x")]);
        request.headers_mut().insert("sec-fetch-site", "same-origin".parse().unwrap());
        request.headers_mut().insert("referer", referer.parse().unwrap());
        let reply = visitor.send(request).await.expect(303);
        assert_eq!(reply.headers["location"], format!("/sign-in?{next}ended=yes"));
        let page = visitor.get(reply.headers["location"].to_str().unwrap()).await.expect(200).text;
        assert!(page.contains("so nothing was done") && !page.contains("elsewhere"), "{page}");
    }
}

async fn plain_http_over_a_network_is_refused(app: TestApp) {
    let visitor = app.visitor();
    let mut request = visitor.form("/sign-in", &[("email", "admin@example.com"), ("password", PASSWORD)]);
    request.headers_mut().insert("host", "tokens.example.com".parse().unwrap());
    request.headers_mut().insert("origin", "http://tokens.example.com".parse().unwrap());
    let reply = visitor.send(request).await.expect(403);
    assert!(reply.text.contains("Signing in needs a secure connection") && visitor.cookie().is_none());
}

async fn the_store_holds_no_value_of_a_session(mut app: TestApp) {
    let visitor = app.signed_in("admin@example.com").await;
    let value = visitor.cookie().unwrap().split_once('=').unwrap().1.to_owned();
    let sessions = app.store.list_sessions(1, 1).await.unwrap();
    assert_eq!(sessions.len(), 1);
    // Neither the session's id nor its digest opens anything.
    for other in [sessions[0].id.simple().to_string(), "0".repeat(43)] {
        assert!(!is_in(&visitor.with_cookie(Some(format!("tokenward={other}")))).await);
    }
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    // Every column, those of bytes as hexadecimal digits.
    let row = match app.database.engine {
        Engine::Postgres => "select lower(row_to_json(s)::text) from web_session s",
        Engine::Sqlite => {
            "select lower(concat_ws('|', hex(id), hex(digest), workspace_id, person_id, begun_at, proven_at, seen_at, \
             user_agent)) from web_session"
        }
    };
    let row = app.look(row).await.unwrap();
    for secret in [value.to_lowercase(), hex(value.as_bytes())] {
        assert!(!row.contains(&secret), "{row}");
    }
    assert!(row.contains(&hex(&Sha256::digest(&value))), "what is searched is where it would be: {row}");
}

async fn acts_of_weight_ask_for_the_password_after_a_quarter_of_an_hour(app: TestApp) {
    let ada = app.person("ada").await;
    let token = app.admin().bearer().await;
    let admin = app.signed_in("admin@example.com").await;
    let (user, remove) = (format!("/admin/users/{}", ada.id), format!("/admin/users/{}/remove", ada.id));
    let delete = format!("/admin/users/{}/delete-tokens", ada.id);
    let acts: [(&str, &[(&str, &str)]); 7] = [
        ("/preferences/access-tokens/delete-all", &[]),
        ("/admin/settings/feature.apiAccessTokens.enabled", &[("value", "false")]),
        (&user, &[("email", "ada@example.com"), ("role", "administrator"), ("token_access", "default")]),
        (&delete, &[]),
        ("/admin/users/new", &[("email", "eve@example.com"), ("password", PASSWORD), ("is_admin", "yes")]),
        ("/admin/workspaces/new", &[("name", "X"), ("admin_email", "x@example.com"), ("password", PASSWORD)]),
        (&remove, &[]),
    ];
    app.advance_seconds(15 * 60);
    for (path, fields) in acts {
        for wrong in [None, Some(""), Some("wrong")] {
            let mut fields = fields.to_vec();
            fields.extend(wrong.map(|password| ("own_password", password)));
            let reply = admin.post(path, &fields).await.expect(400);
            assert!(reply.text.contains(r#"name="own_password""#), "{path}");
        }
    }
    assert!(token.works().await);
    assert_eq!(app.admin().get("/v4/people?includeCount=true").await.json["count"], 2);
    assert_eq!(app.admin().get(&format!("/v4/people/{}", ada.id)).await.json["isAdmin"], false);
    for (path, fields) in acts {
        let admin = app.signed_in("admin@example.com").await;
        app.advance_seconds(15 * 60);
        let fields: Vec<_> = fields.iter().copied().chain([("own_password", PASSWORD)]).collect();
        admin.post(path, &fields).await.expect(303);
    }
    assert!(!token.works().await);
}

async fn a_proof_gives_the_session_another_value(app: TestApp) {
    let admin = app.signed_in("admin@example.com").await;
    let stolen = admin.with_cookie(admin.cookie());
    app.advance_seconds(15 * 60);
    let fields = [("value", "true"), ("own_password", PASSWORD)];
    admin.post("/admin/settings/feature.apiAccessTokens.enabled", &fields).await.expect(303);
    assert!(is_in(&admin).await && !is_in(&stolen).await);
}

async fn a_right_password_is_not_lost_with_a_refused_act(app: TestApp) {
    let admin = app.signed_in("admin@example.com").await;
    app.advance_seconds(15 * 60);
    let add = |email| [("email", email), ("password", "another phrase of many words"), ("own_password", PASSWORD)];
    let reply = admin.post("/admin/users/new", &add("admin@example.com")).await.expect(409);
    assert!(!reply.text.contains("own_password"), "it was typed just now");
    admin.post("/admin/users/new", &add("ada@example.com")[..2]).await.expect(303);
    assert!(is_in(&admin).await);
    // Also where the act ends in an error of ours.
    app.advance_seconds(15 * 60);
    admin.post("/admin/users/99/remove", &[("own_password", PASSWORD)]).await.expect(404);
    assert!(is_in(&admin).await);
}

async fn another_role_means_another_session(app: TestApp) {
    let ada = app.person("ada").await;
    let stolen = app.signed_in("ada@example.com").await;
    app.admin().change(ada.id, json!({"name": "Ada L.", "isAdmin": false})).await.expect(200);
    assert!(is_in(&stolen).await);
    app.admin().change(ada.id, json!({"isAdmin": true})).await.expect(200);
    assert!(!is_in(&stolen).await);
}

async fn others_cookies_do_not_hide_ours(app: TestApp) {
    let visitor = app.signed_in("admin@example.com").await;
    let mut request = visitor.request("GET", "/preferences/profile", axum::body::Body::empty());
    let cookies = format!("theirs=\u{e9}; {}", visitor.cookie().unwrap());
    request.headers_mut().insert("cookie", http::HeaderValue::from_bytes(cookies.as_bytes()).unwrap());
    visitor.send(request).await.expect(200);
}

async fn only_platform_administrators_sign_out_platform_administrators(app: TestApp) {
    app.admin().add("other", true).await;
    let platform = app.signed_in("admin@example.com").await;
    let other = app.signed_in("other@example.com").await;
    other.post("/admin/users/1/end-sessions", &[]).await.expect(403);
    assert!(is_in(&platform).await);
}
