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
        (page.contains(">Active</b><td><time>"), page.contains(">Blocked</b><td><time>"))
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
    let ids = |page: &str| -> Vec<String> { page.split("<code>").skip(1).map(|rest| rest[..36].to_owned()).collect() };
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
    }
    browser.get("/preferences/access-tokens?after=nonsense").await.expect(400);
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
