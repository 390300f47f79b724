//! What forms do, and what they say when they do not.

use serde_json::json;

use crate::support::{PASSWORD, TestApp, Visitor};

on_both!(
    a_form_makes_one_token_however_often_and_fast_it_is_sent,
    a_form_of_another_session_or_of_none_makes_nothing,
    what_is_refused_is_said_and_nothing_is_lost,
    what_administrators_get_wrong_is_said,
    a_choice_and_what_is_written_beside_it_must_agree,
    lifetimes_are_days,
    who_must_change_the_password_does_nothing_else,
    whoever_may_not_generate_is_told_why,
    a_page_that_was_left_open_undoes_nobodys_change,
);

const GENERATE: &str = "/preferences/access-tokens/generate";

async fn generate(visitor: &Visitor, form: &str) -> crate::support::Reply {
    visitor.post(GENERATE, &[("form", form), ("lifetime", "30"), ("description", "x")]).await
}

async fn tokens(app: &TestApp) -> usize {
    app.admin().get("/v4/apiAccessTokens").await.rows().len()
}

/// The value on the page that shows one.
fn value_in(page: &str) -> Option<&str> {
    page.split(r#"id="token-value" translate="no">"#).nth(1)?.split('<').next()
}

async fn a_form_makes_one_token_however_often_and_fast_it_is_sent(app: TestApp) {
    let admin = app.signed_in("admin@example.com").await;
    let form = admin.new_form().await;
    let many = futures_util::future::join_all((0..20).map(|_| generate(&admin, &form))).await;
    let (made, refused): (Vec<_>, Vec<_>) = many.iter().partition(|reply| reply.status == 200);
    assert_eq!((made.len(), tokens(&app).await), (1, 1));
    let value = value_in(&made[0].text).unwrap();
    assert_eq!(app.presenting(&[&format!("Bearer {value}")]).get("/v4/people/current").await.status, 200);
    assert_eq!(made[0].headers["cache-control"], "no-store");
    for reply in refused {
        assert_eq!(reply.status, 409);
        assert!(reply.text.contains("made its token already") && !reply.text.contains(value));
    }
    generate(&admin, &admin.new_form().await).await.expect(200);
    assert_eq!(tokens(&app).await, 2);
}

async fn a_form_of_another_session_or_of_none_makes_nothing(app: TestApp) {
    let first = app.signed_in("admin@example.com").await;
    let old = first.new_form().await;
    app.advance_seconds(1);
    let second = app.signed_in("admin@example.com").await;
    // Made up, from before the session, from far ahead, of another version, none at all.
    let ahead = "0ffffffffff0-7000-8000-000000000000".to_owned();
    for form in [
        old,
        ahead,
        "00000000-0000-4000-8000-000000000000".into(),
        "00000000-0000-1000-8000-000000000000".into(),
        "x".into(),
        String::new(),
    ] {
        let reply = generate(&second, &form).await;
        assert!(matches!(reply.status, 400 | 409), "{form}: {}", reply.status);
    }
    let reply = second.post(GENERATE, &[("lifetime", "30")]).await;
    assert_eq!((reply.status, tokens(&app).await), (400, 0));
    assert!(reply.text.contains("Nothing was generated"));
}

async fn what_is_refused_is_said_and_nothing_is_lost(app: TestApp) {
    let admin = app.signed_in("admin@example.com").await;
    let form = admin.new_form().await;
    for (lifetime, days, description, said) in [
        ("custom", "0", "kept <as> it is", "whole number of days from 1 to 36500, or -1"),
        ("custom", "", "kept <as> it is", "whole number of days"),
        ("custom", "1.5", "kept <as> it is", "whole number of days"),
        ("custom", "9223372036854775807", "kept <as> it is", "whole number of days"),
        ("30", "7", "kept <as> it is", "You wrote 7 days, but chose another lifetime"),
        ("", "", "kept <as> it is", "whole number of days"),
        ("30", "", "a\u{7}b", "must not contain control characters"),
    ] {
        let fields = [("form", form.as_str()), ("lifetime", lifetime), ("days", days), ("description", description)];
        let reply = admin.post(GENERATE, &fields).await.expect(400);
        assert!(
            reply.text.contains(said) && reply.text.contains(r#"role="alert""#),
            "{lifetime} {days}: {}",
            reply.text
        );
        if description.starts_with("kept") {
            assert!(reply.text.contains(r#"value="kept &#60;as&#62; it is""#), "{}", reply.text);
        }
    }
    let too_long = "é".repeat(256);
    let fields = [("form", form.as_str()), ("lifetime", "30"), ("description", too_long.as_str())];
    assert!(admin.post(GENERATE, &fields).await.expect(400).text.contains("at most 255 characters"));
    // A refusal does not use the form up.
    let longest = "🚀".repeat(255);
    let fields = [("form", form.as_str()), ("lifetime", "30"), ("description", longest.as_str())];
    admin.post(GENERATE, &fields).await.expect(200);
}

async fn what_administrators_get_wrong_is_said(app: TestApp) {
    let admin = app.signed_in("admin@example.com").await;
    app.person("ada").await;
    let fields = [("email", "ADA@example.com"), ("name", "Other Ada"), ("password", PASSWORD), ("must_change", "yes")];
    let reply = admin.post("/admin/users/new", &fields).await.expect(409);
    assert!(reply.text.contains("Somebody has this e-mail already") && reply.text.contains("Other Ada"));
    assert!(!reply.text.contains(PASSWORD), "a password is not sent back");
    for (path, fields, said) in [
        ("/admin/users/1", [("email", "not an address"), ("role", "administrator")], "Write an e-mail address"),
        ("/admin/users/1", [("email", "admin@example.com"), ("role", "user")], "last enabled administrator"),
        (
            "/admin/settings/feature.apiAccessTokens.maxLifetimeDays",
            [("value", "custom"), ("days", "0")],
            "whole number of days",
        ),
        (
            "/admin/settings/feature.apiAccessTokens.enabled",
            [("value", "maybe"), ("days", "")],
            "Choose one of the values",
        ),
    ] {
        let reply = admin.post(path, &[fields[0], fields[1], ("token_access", "default"), ("name", "A")]).await;
        assert!(
            matches!(reply.status, 400 | 409) && reply.text.contains(said),
            "{path}: {} {}",
            reply.status,
            reply.text
        );
    }
    // What is no form at all.
    let mut request = admin.request("POST", "/preferences/profile", axum::body::Body::from("{}"));
    request.headers_mut().insert("sec-fetch-site", "same-origin".parse().unwrap());
    request.headers_mut().insert("content-type", "application/json".parse().unwrap());
    admin.send(request).await.expect(415);
}

async fn a_choice_and_what_is_written_beside_it_must_agree(app: TestApp) {
    let admin = app.signed_in("admin@example.com").await;
    let path = "/admin/settings/feature.apiAccessTokens.maxLifetimeDays";
    let set = async |value: &str, days: &str, shown: &str| {
        admin.post(path, &[("value", value), ("days", days), ("shown_days", shown)]).await
    };
    set("custom", "60", "").await.expect(303);
    assert!(set("default", "90", "60").await.expect(400).text.contains("You wrote 90 days, but chose Default"));
    assert!(admin.get("/admin/settings").await.text.contains("60 days"));
    // What the page had put into the field is nobody's word.
    set("default", "60", "60").await.expect(303);
    assert!(admin.get("/admin/settings").await.text.contains("Unlimited"));
    assert!(set("nothing", "60", "60").await.expect(400).text.contains("whole number of days"));
}

async fn lifetimes_are_days(app: TestApp) {
    let admin = app.signed_in("admin@example.com").await;
    for (lifetime, days, seconds) in [
        ("90", "", Some(90 * 86_400)),
        ("custom", "1", Some(86_400)),
        ("-1", "", None),
        ("custom", "-1", None),
        ("custom", "36500", Some(3_153_600_000_i64)),
    ] {
        let form = admin.new_form().await;
        admin.post(GENERATE, &[("form", &form), ("lifetime", lifetime), ("days", days)]).await.expect(200);
        app.advance_seconds(1);
        let list = app.admin().get("/v4/apiAccessTokens").await;
        let token = list.rows().last().unwrap().clone();
        let moment =
            |field: &str| token[field].as_str().map(|text| chrono::DateTime::parse_from_rfc3339(text).unwrap());
        let lived = moment("expiredAt").map(|end| (end - moment("createdAt").unwrap()).num_seconds());
        assert_eq!(lived, seconds, "{lifetime} {days}");
    }
    app.set("maxLifetimeDays", 45).await;
    let page = admin.get(GENERATE).await.expect(200);
    assert!(page.text.contains("At most 45 days") && page.text.contains(r#"value="30" checked"#));
    assert!(!page.text.contains(r#"value="90""#) && !page.text.contains(r#"value="-1""#));
    let form = admin.new_form().await;
    let reply = admin.post(GENERATE, &[("form", &form), ("lifetime", "-1")]).await.expect(400);
    assert!(reply.text.contains("a token lives for at most 45 days"));
    admin.post(GENERATE, &[("form", &form), ("lifetime", "custom"), ("days", "45")]).await.expect(200);
    app.set("maxLifetimeDays", 7).await;
    assert!(admin.get(GENERATE).await.text.contains(r#"value="custom" id="lifetime-custom" checked"#));
}

async fn who_must_change_the_password_does_nothing_else(app: TestApp) {
    let ada = app.person("ada").await;
    app.admin().change(ada.id, json!({"forcePasswordChange": true, "isAdmin": true})).await.expect(200);
    let visitor = app.signed_in("ada@example.com").await;
    for path in ["/preferences/access-tokens", "/admin/users", "/preferences/profile", "/admin/activity"] {
        assert_eq!(visitor.get(path).await.expect(303).headers["location"], "/change-password", "{path}");
    }
    for (path, fields) in [
        (GENERATE, &[("lifetime", "30")] as &[(&str, &str)]),
        ("/admin/settings/feature.apiAccessTokens.enabled", &[("value", "false")]),
        ("/preferences/profile/password", &[("old_password", PASSWORD)]),
    ] {
        assert_eq!(visitor.post(path, fields).await.expect(303).headers["location"], "/change-password", "{path}");
    }
    let change = async |old: &str, new: &str| {
        visitor
            .post("/change-password", &[("old_password", old), ("new_password", new), ("repeated_password", new)])
            .await
    };
    assert!(
        change("wrong", "another phrase of many words")
            .await
            .expect(400)
            .text
            .contains("present password is not right")
    );
    assert!(change(PASSWORD, PASSWORD).await.expect(400).text.contains("must differ from the present one"));
    change(PASSWORD, "another phrase of many words").await.expect(303);
    visitor.get("/admin/users").await.expect(200);
    assert_eq!(visitor.get("/change-password").await.expect(303).headers["location"], "/preferences/profile");
}

async fn whoever_may_not_generate_is_told_why(app: TestApp) {
    let ada = app.person("ada").await;
    let visitor = app.signed_in("ada@example.com").await;
    let list = async || visitor.get("/preferences/access-tokens").await.expect(200).text;
    assert!(
        list().await.contains("Only administrators may generate") && list().await.contains("Ask admin@example.com")
    );
    assert!(!list().await.contains("Generate New Token"));
    visitor.get(GENERATE).await.expect(403);
    app.set("allowUsers", true).await;
    assert!(list().await.contains("Generate New Token"));
    let form = visitor.new_form().await;
    app.admin().change(ada.id, json!({"tokenAccess": "disabled"})).await.expect(200);
    assert!(list().await.contains("Your token access is disabled"));
    generate(&visitor, &form).await.expect(403);
    app.admin().change(ada.id, json!({"tokenAccess": "default"})).await.expect(200);
    app.set("enabled", false).await;
    assert!(list().await.contains("switched off in this workspace"));
    assert_eq!(generate(&visitor, &form).await.expect(303).headers["location"], "/preferences/access-tokens");
    assert_eq!(app.store.count_members(1).await.unwrap().1, 0);
}

async fn a_page_that_was_left_open_undoes_nobodys_change(app: TestApp) {
    let ada = app.admin().add("ada", true).await;
    let admin = app.signed_in("admin@example.com").await;
    let path = format!("/admin/users/{}", ada.id);
    let page = admin.get(&path).await.expect(200).text;
    let hidden: Vec<(String, String)> = page
        .split(r#"<input type="hidden" name=""#)
        .skip(1)
        .map(|rest| {
            let mut parts = rest.split('"');
            (parts.next().unwrap().to_owned(), parts.nth(1).unwrap().to_owned())
        })
        .collect();
    assert_eq!(hidden.len(), 4);
    app.admin().change(ada.id, json!({"isAdmin": false, "tokenAccess": "disabled"})).await.expect(200);
    let mut fields: Vec<(&str, &str)> = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.extend([
        ("email", "ada@example.com"),
        ("name", "Ada L."),
        ("role", "administrator"),
        ("token_access", "default"),
    ]);
    admin.post(&path, &fields).await.expect(303);
    let now = app.admin().get(&format!("/v4/people/{}", ada.id)).await.json;
    assert_eq!(
        (&now["name"], &now["isAdmin"], &now["tokenAccess"]),
        (&json!("Ada L."), &json!(false), &json!("disabled"))
    );
    // A form without a role gives none and takes none.
    admin.post(&path, &[("email", "ada@example.com"), ("name", "A")]).await.expect(400);
}
