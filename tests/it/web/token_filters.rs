//! Filters, export and bulk deletion on the pages that list tokens.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{ApiClient, Browser, Engine, TestApp, both_databases};

const LISTS: [&str; 2] = ["/preferences/access-tokens", "/admin/tokens"];

/// Creates `a`, which is used at once and expires after 5 days, `b`, which expires after 60 days, and
/// `c`, which never expires and is used after a day.
async fn create_tokens(app: &TestApp) {
    let admin = app.admin();
    let create = async |description: &str, lifetime: i64| {
        admin.create_token_with(json!({"lifetimeSeconds": lifetime, "description": description})).await
    };
    let (a, _, c) = (create("a", 5 * 86_400).await, create("b", 60 * 86_400).await, create("c", -1).await);
    assert!(a.is_accepted().await);
    app.advance_seconds(86_400);
    assert!(c.is_accepted().await);
}

async fn shown(browser: &Browser, path: &str) -> String {
    let page = browser.get(path).await.expect(200).text;
    let body = page.split("<tbody>").nth(1).unwrap_or_default().to_owned();
    let names = body.split("<bdi>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned());
    names.collect::<Vec<_>>().concat()
}

#[apply(both_databases)]
async fn token_lists_are_filtered_and_exported(engine: Engine) {
    let app = TestApp::start(engine).await;
    create_tokens(&app).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    for list in LISTS {
        for (query, expected) in [
            ("", "abc"),
            ("used=never", "b"),
            ("expires_within=7", "a"),
            ("expires_within=90", "ab"),
            ("expires_within=8", "abc"),
            ("unused_since=2026-01-02", "ab"),
            ("unused_since=2026-01-01", "b"),
            ("unused_since=nonsense", "abc"),
            ("expires_within=90&used=never", "b"),
            ("used=never&search=zzz", ""),
        ] {
            let names = shown(&admin, &format!("{list}?sort=description&{query}")).await;
            assert_eq!(names, expected, "{list}?{query}");
            let csv = admin.get(&format!("{list}.csv?sort=description&{query}")).await.expect(200);
            assert_eq!(csv.text.lines().count(), expected.len() + 1, "{list}.csv?{query}");
            assert_eq!(csv.headers["content-disposition"], "attachment; filename=\"tokens.csv\"");
        }
        let page = admin.get(&format!("{list}?used=never&sort=expires")).await.expect(200).text;
        for link in [
            format!("{list}.csv?sort=expires&#38;used=never"),
            format!("{list}/delete-matching?sort=expires&#38;used=never"),
            format!("{list}?used=never&#38;sort=-expires"),
        ] {
            assert!(page.contains(&format!("href=\"{link}\"")), "{link} is not in {page}");
        }
        assert!(!admin.get(list).await.text.contains("delete-matching"), "an unfiltered list has no bulk deletion");
    }
}

#[apply(both_databases)]
async fn the_rows_of_a_filtered_list_are_deleted_after_their_number_is_typed(engine: Engine) {
    let app = TestApp::start(engine).await;
    for list in LISTS {
        create_tokens(&app).await;
        // After the clock has moved, which ends older sessions.
        let admin = app.signed_in_browser("admin@example.com").await;
        let path = format!("{list}/delete-matching");
        let page = admin.get(&format!("{path}?used=never")).await.expect(200).text;
        assert!(page.contains("1</span> active token</strong>") && page.contains("Type 1 to confirm."), "{page}");
        assert!(page.contains(r#"name="used" value="never""#));
        for count in ["", "2", "x", "-1"] {
            let page = admin.post(&path, &[("used", "never"), ("count", count)]).await.expect(400).text;
            assert!(page.contains("Type 1, the number of tokens"), "{count}: {page}");
        }
        assert_eq!(shown(&admin, &format!("{list}?sort=description")).await, "abc");
        let response = admin.post(&path, &[("used", "never"), ("count", " 1 ")]).await.expect(303);
        let location = response.headers["location"].to_str().unwrap().to_owned();
        assert_eq!(location, format!("{list}?used=never&done=deleted-1"));
        assert!(admin.get(&location).await.text.contains("1 token was deleted. It no longer works."));
        assert_eq!(shown(&admin, &format!("{list}?sort=description")).await, "ac");
        // Without a filter, nothing is deleted.
        for fields in [vec![("count", "2")], vec![("unused_since", "nonsense"), ("count", "2")]] {
            let response = admin.post(&path, &fields).await.expect(303);
            assert_eq!(response.headers["location"], *list);
        }
        assert_eq!(admin.get(&path).await.expect(303).headers["location"], *list);
        assert_eq!(shown(&admin, &format!("{list}?sort=description")).await, "ac");
        admin.post(&path, &[("search", "twd"), ("count", "2")]).await.expect(303);
        assert_eq!(shown(&admin, list).await, "");
    }
}

#[apply(both_databases)]
async fn an_administrator_deletes_the_rows_of_one_person(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    app.admin().update_person(ada.id, json!({"tokenAccess": "enabled"})).await.expect(200);
    let (hers, own) = (ada.create_token().await, app.admin().create_token().await);
    let admin = app.signed_in_browser("admin@example.com").await;
    let person = ada.id.to_string();
    let fields = [("used", "never"), ("person", person.as_str()), ("count", "1")];
    admin.post("/admin/tokens/delete-matching", &fields).await.expect(303);
    assert!(!hers.is_accepted().await && own.is_accepted().await);
}

#[apply(both_databases)]
async fn a_token_page_shows_where_the_token_was_used_from(engine: Engine) {
    let app = TestApp::start(engine).await;
    let token = app.admin().create_token().await;
    ApiClient::clone(&token).with_address("192.0.2.7").get("/v4/people/current").await.expect(200);
    let admin = app.signed_in_browser("admin@example.com").await;
    for list in LISTS {
        let page = admin.get(&format!("{list}/{}", token.token_id)).await.expect(200).text;
        assert!(page.contains("from 192.0.2.7"), "{page}");
    }
}
