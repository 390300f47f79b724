//! Pages that list tokens: states, pagination and deletion.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use tokenward::domain::time::Timestamp;

use crate::support::{Browser, Engine, TestApp, both_databases, insert_tokens_sql};

#[apply(both_databases)]
async fn blocked_tokens_are_not_shown_as_active(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    app.set_setting("allowUsers", true).await;
    ada.create_token_with(json!({"lifetimeSeconds": -1})).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let own = app.signed_in_browser("ada@example.com").await;
    let states = async |browser: &Browser, path: &str| {
        let page = browser.get(path).await.expect(200).text;
        (page.contains(">Active</b>"), page.contains(">Blocked</b>"))
    };
    assert_eq!(states(&admin, "/admin/tokens").await, (true, false));
    app.admin().update_person(ada.id, json!({"tokenAccess": "disabled"})).await.expect(200);
    assert_eq!(states(&admin, "/admin/tokens").await, (false, true));
    assert_eq!(states(&own, "/preferences/access-tokens").await, (false, true));
    assert!(admin.get(&format!("/admin/users/{}", ada.id)).await.text.contains("currently not working"));
    app.admin().update_person(ada.id, json!({"tokenAccess": "default", "isDisabled": true})).await.expect(200);
    assert_eq!(states(&admin, "/admin/tokens").await, (false, true));
    app.admin().update_person(ada.id, json!({"isDisabled": false})).await.expect(200);
    app.set_setting("enabled", false).await;
    assert_eq!(states(&admin, "/admin/tokens").await, (false, true));
    assert!(admin.get("/admin/tokens").await.text.contains("switched off</strong> in this workspace"));
    // The status in the API depends on the lifetime only.
    app.set_setting("enabled", true).await;
    assert_eq!(app.admin().get("/v4/apiAccessTokens?allUsers=true").await.rows()[0]["status"], "active");
}

#[apply(both_databases)]
async fn a_token_expires_soon_in_the_last_fifth_of_its_life(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.admin().create_token_with(json!({"lifetimeSeconds": 100})).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let is_soon = async || admin.get("/preferences/access-tokens").await.text.contains(">Expires soon</b>");
    app.advance_seconds(79);
    assert!(!is_soon().await);
    app.advance_seconds(1);
    assert!(is_soon().await);
}

#[apply(both_databases)]
async fn deleting_keeps_the_filter_and_warns_about_working_tokens_only(engine: Engine) {
    let app = TestApp::start(engine).await;
    let first = app.admin().create_token_with(json!({"lifetimeSeconds": 1})).await;
    let second = app.admin().create_token().await;
    let admin = app.signed_in_browser("admin@example.com").await;
    app.advance_seconds(2);
    for list in ["/preferences/access-tokens", "/admin/tokens"] {
        let open = async |id: &str| {
            let mut request = admin.request("GET", &format!("{list}/{id}/delete"), axum::body::Body::empty());
            let referer = format!("http://127.0.0.1:3005{list}?search=x%26y&done=deleted");
            request.headers_mut().insert("referer", referer.parse().unwrap());
            admin.send(request).await.expect(200).text
        };
        let page = open(&second.token_id).await;
        assert!(page.contains(&format!(r#"name="back" value="{list}?search=x%26y""#)), "{page}");
        assert!(page.contains("stops working immediately"));
        let page = open(&first.token_id).await;
        assert!(page.contains("has expired") && !page.contains("stops working immediately"), "{page}");
    }
    let path = format!("/admin/tokens/{}/delete", first.token_id);
    let response = admin.post(&path, &[("back", "/admin/tokens?search=x%26y")]).await.expect(303);
    assert!(response.headers["location"].to_str().unwrap().starts_with("/admin/tokens?search=x%26y&done=deleted"));
    let path = format!("/admin/tokens/{}/delete", second.token_id);
    let response = admin.post(&path, &[("back", "https://evil.example/admin/tokens?x")]).await.expect(303);
    assert!(response.headers["location"].to_str().unwrap().starts_with("/admin/tokens?done=deleted"));
}

#[apply(both_databases)]
async fn disabling_an_account_is_confirmed_with_the_number_of_tokens(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    app.admin().update_person(ada.id, json!({"tokenAccess": "enabled"})).await.expect(200);
    ada.create_token().await;
    let token = ada.create_token().await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let path = format!("/admin/users/{}/disable", ada.id);
    let page = admin.get(&path).await.expect(200).text;
    assert!(page.contains("2</span> tokens stop</strong> working immediately"), "{page}");
    assert!(token.is_accepted().await, "the confirmation page changes nothing");
    admin.post(&path, &[]).await.expect(303);
    assert!(!token.is_accepted().await);
}

#[apply(both_databases)]
async fn only_the_owner_deletes_a_token_from_their_list(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    app.admin().update_person(ada.id, json!({"tokenAccess": "enabled"})).await.expect(200);
    let token = ada.create_token().await;
    let own = format!("/preferences/access-tokens/{}/delete", token.token_id);
    let admin = app.signed_in_browser("admin@example.com").await;
    admin.get(&own).await.expect(404);
    admin.post(&own, &[]).await.expect(404);
    let browser = app.signed_in_browser("ada@example.com").await;
    let page = browser.get(&own).await.expect(200).text;
    assert!(page.contains(&token.token_id) && page.contains("cannot be undone") && !page.contains(&token.value));
    assert!(token.is_accepted().await, "the confirmation page deletes nothing");
    browser.post(&own, &[]).await.expect(303);
    assert!(!token.is_accepted().await);
    browser.post(&own, &[]).await.expect(404);
    for odd in ["x", "00000000-0000-0000-0000-000000000000", "..%2F..%2Fadmin"] {
        browser.get(&format!("/preferences/access-tokens/{odd}/delete")).await.expect(404);
    }
}

#[apply(both_databases)]
async fn lists_page_forward_and_back(engine: Engine) {
    let app = TestApp::start(engine).await;
    for _ in 0..120 {
        app.admin().create_token().await;
        app.advance_millis(1);
    }
    let browser = app.signed_in_browser("admin@example.com").await;
    let ids = |page: &str| -> Vec<String> {
        let before = page.split("/delete>Delete Token").collect::<Vec<_>>();
        before[..before.len() - 1].iter().map(|text| text[text.len() - 36..].to_owned()).collect()
    };
    let link = |page: &str, rel: &str| -> Option<String> {
        let rest = page.split(&format!(r#"rel="{rel}" href=""#)).nth(1)?;
        Some(rest.split('"').next().unwrap().replace("&#38;", "&"))
    };
    for path in ["/preferences/access-tokens?search=twd", "/admin/tokens?search=admin"] {
        let first = browser.get(path).await.expect(200).text;
        let second = browser.get(&link(&first, "next").unwrap()).await.expect(200).text;
        let third = browser.get(&link(&second, "next").unwrap()).await.expect(200).text;
        let pages = [ids(&first), ids(&second), ids(&third)];
        assert_eq!(pages.each_ref().map(Vec::len), [50, 50, 20]);
        let mut sorted = pages.concat();
        sorted.sort();
        sorted.reverse();
        assert_eq!(pages.concat(), sorted, "newest first, without duplicates");
        assert!(link(&first, "prev").is_none() && link(&third, "next").is_none());
        let back = browser.get(&link(&third, "prev").unwrap()).await.expect(200).text;
        assert_eq!(ids(&back), pages[1]);
        let begin = browser.get(&link(&back, "prev").unwrap()).await.expect(200).text;
        assert_eq!(ids(&begin), pages[0]);
        assert!(link(&begin, "prev").is_none());
        let range = |page: &str| page.split("<span>").find(|text| text.contains("–")).unwrap()[..20].to_owned();
        for (page, start) in [
            (&first, "1–50 of "),
            (&second, "51–100 of "),
            (&third, "101–120 of "),
            (&back, "51–100 of "),
            (&begin, "1–50 of "),
        ] {
            assert!(range(page).starts_with(start), "{path}: {}", range(page));
        }
        assert!(first.contains(r#"data-number="120">120</span></span>"#));
    }
    browser.get("/preferences/access-tokens?after=nonsense").await.expect(400);
}

#[apply(both_databases)]
async fn tokens_are_listed_by_status_and_sorted_by_column(engine: Engine) {
    let app = TestApp::start(engine).await;
    for (description, lifetime) in [("b", 1), ("c", 500), ("a", -1), ("d", 1)] {
        app.admin().create_token_with(json!({"lifetimeSeconds": lifetime, "description": description})).await;
        app.advance_millis(1);
    }
    app.advance_seconds(2);
    let admin = app.signed_in_browser("admin@example.com").await;
    for list in ["/preferences/access-tokens", "/admin/tokens"] {
        let shown = async |query: &str| {
            let page = admin.get(&format!("{list}{query}")).await.expect(200).text;
            let body = page.split("<tbody>").nth(1).unwrap_or_default().to_owned();
            let names = body.split("<bdi>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned());
            (names.collect::<Vec<_>>().concat(), page)
        };
        let (names, page) = shown("").await;
        assert_eq!(names, "ac", "the newest active token first");
        for tab in [r#"aria-current="page">Active <span data-number="2">"#, r#">Expired <span data-number="2">"#] {
            assert!(page.contains(tab), "{page}");
        }
        assert!(page.contains(r#"aria-sort="descending""#));
        for (query, expected) in [
            ("?status=expired", "db"),
            ("?status=expired&sort=description", "bd"),
            ("?sort=description", "ac"),
            ("?sort=-description", "ca"),
            ("?sort=expires", "ca"),
            ("?sort=-expires", "ac"),
            ("?search=zzzzzz", ""),
        ] {
            assert_eq!(shown(query).await.0, expected, "{list}{query}");
        }
    }
}

#[apply(both_databases)]
async fn a_token_has_a_page_with_its_history(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    app.admin().update_person(ada.id, json!({"tokenAccess": "enabled"})).await.expect(200);
    let token = ada.create_token_with(json!({"lifetimeSeconds": 864_000, "description": "nightly"})).await;
    ada.create_token().await;
    let own = app.signed_in_browser("ada@example.com").await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let id = &token.token_id;
    for (browser, list, has_replacement) in
        [(&own, "/preferences/access-tokens", true), (&admin, "/admin/tokens", false)]
    {
        let page = browser.get(&format!("{list}/{id}")).await.expect(200).text;
        assert!(
            page.contains("nightly") && page.contains(id.as_str()) && page.contains(&format!("{list}/{id}/delete"))
        );
        assert_eq!(page.contains("Replace this token…"), has_replacement, "{list}");
        assert_eq!(page.matches("Token generated").count(), 1, "only events of this token: {page}");
    }
    admin.get(&format!("/preferences/access-tokens/{id}")).await.expect(404);
    // The notice names the deleted token; other text in the address is not shown.
    let response = own.post(&format!("/preferences/access-tokens/{id}/delete"), &[]).await.expect(303);
    let location = response.headers["location"].to_str().unwrap().to_owned();
    assert!(own.get(&location).await.text.contains("Deleted “nightly” (twd_"));
    let invented = "/preferences/access-tokens?done=deleted&token=00000000-0000-7000-8000-000000000000";
    assert!(own.get(invented).await.text.contains("The token was deleted. It no longer works."));
}

#[apply(both_databases)]
async fn activity_is_filtered_and_exported(engine: Engine) {
    let app = TestApp::start(engine).await;
    let token = app.admin().create_token_with(json!({"lifetimeSeconds": -1, "description": "=HYPERLINK"})).await;
    app.advance_seconds(86_400);
    app.admin().create_token().await;
    let admin = app.signed_in_browser("admin@example.com").await;
    for list in ["/preferences/activity", "/admin/activity"] {
        let page = async |query: &str| admin.get(&format!("{list}{query}")).await.expect(200).text;
        let generated = async |query: &str| page(query).await.matches("<td>Token generated").count();
        assert_eq!(generated("").await, 2);
        assert!(page("").await.contains("2 January 2026 (UTC)") && page("").await.contains("1 January 2026 (UTC)"));
        assert_eq!(generated("?since=2026-01-02").await, 1);
        assert_eq!(generated("?until=2026-01-01").await, 1);
        assert_eq!(generated("?action=token.created").await, 2);
        assert_eq!(generated("?action=session.created").await, 0);
        assert_eq!(generated(&format!("?token={}", token.token_id)).await, 1);
        let response = admin.get(&format!("{list}.csv?action=token.created&until=2026-01-01")).await.expect(200);
        assert_eq!(response.headers["content-type"], "text/csv; charset=utf-8");
        let lines: Vec<&str> = response.text.lines().collect();
        assert_eq!(lines.len(), 2, "{}", response.text);
        assert!(lines[0].starts_with("time,action,") && lines[1].contains(&token.token_id), "{}", response.text);
    }
}

#[apply(both_databases)]
async fn error_pages_keep_the_header_of_signed_in_users(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.add_person("ada").await;
    let user = app.signed_in_browser("ada@example.com").await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let forbidden = user.get("/admin/users").await.expect(403).text;
    assert!(forbidden.contains("You don’t have access") && forbidden.contains("This page is for administrators."));
    assert!(
        forbidden.contains("Sign out") && forbidden.contains("Preferences") && !forbidden.contains("Admin console")
    );
    for path in ["/nothing", "/admin/nothing", "/admin/users/99", "/preferences/access-tokens/x"] {
        let page = admin.get(path).await.expect(404).text;
        assert!(
            page.contains("Page not found") && page.contains("Sign out") && page.contains("Admin console"),
            "{path}"
        );
        let anonymous = app.browser().get(path).await;
        assert!(!anonymous.text.contains("Sign out"), "{path}");
    }
}

#[apply(both_databases)]
async fn all_of_thousands_of_tokens_are_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let fill = insert_tokens_sql(app.database.engine, 2_100, "", Timestamp::from_millis(1_767_225_600_000), None);
    let app = app.restart_after_sql(&fill).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let page = admin.get("/preferences/access-tokens/delete-all").await.expect(200).text;
    assert!(page.contains("2100</span> active tokens"), "{page}");
    let one = app.admin().create_token().await;
    let path = one.token_path();
    // Two concurrent bulk deletions and a single one.
    let (first, second, single) = tokio::join!(
        admin.post("/preferences/access-tokens/delete-all", &[]),
        admin.post("/preferences/access-tokens/delete-all", &[]),
        one.delete(&path)
    );
    assert_eq!((first.status, second.status), (303, 303));
    assert!(matches!(single.status, 204 | 401 | 404));
    assert!(app.admin().get("/v4/apiAccessTokens").await.rows().is_empty());
}
