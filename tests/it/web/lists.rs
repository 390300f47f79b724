//! Lists of tokens: what they say, how they go on, and what is deleted from them.

use serde_json::json;

use tokenward::domain::time::Timestamp;

use crate::support::{TestApp, Visitor, insert_tokens};

on_both!(
    tokens_that_do_not_work_are_not_called_active,
    a_token_is_deleted_by_its_owner_alone_from_the_own_list,
    lists_go_on_and_back,
    of_thousands_of_tokens_all_are_deleted,
);

async fn tokens_that_do_not_work_are_not_called_active(app: TestApp) {
    let ada = app.person("ada").await;
    app.set("allowUsers", true).await;
    ada.bearer_for(json!({"lifetimeSeconds": -1})).await;
    let admin = app.signed_in("admin@example.com").await;
    let own = app.signed_in("ada@example.com").await;
    let shown = async |visitor: &Visitor, path: &str| {
        let page = visitor.get(path).await.expect(200).text;
        (page.contains(">Active</b><td><time>"), page.contains(">Blocked</b><td><time>"))
    };
    assert_eq!(shown(&admin, "/admin/tokens").await, (true, false));
    app.admin().change(ada.id, json!({"tokenAccess": "disabled"})).await.expect(200);
    assert_eq!(shown(&admin, "/admin/tokens").await, (false, true));
    assert_eq!(shown(&own, "/preferences/access-tokens").await, (false, true));
    assert!(admin.get(&format!("/admin/users/{}", ada.id)).await.text.contains("not working at present"));
    app.admin().change(ada.id, json!({"tokenAccess": "default", "isDisabled": true})).await.expect(200);
    assert_eq!(shown(&admin, "/admin/tokens").await, (false, true));
    app.admin().change(ada.id, json!({"isDisabled": false})).await.expect(200);
    app.set("enabled", false).await;
    assert_eq!(shown(&admin, "/admin/tokens").await, (false, true));
    assert!(admin.get("/admin/tokens").await.text.contains("switched off</strong> in this workspace"));
    // The API's word stays the contract's: within its lifetime.
    app.set("enabled", true).await;
    assert_eq!(app.admin().get("/v4/apiAccessTokens?allUsers=true").await.rows()[0]["status"], "active");
}

async fn a_token_is_deleted_by_its_owner_alone_from_the_own_list(app: TestApp) {
    let ada = app.person("ada").await;
    app.admin().change(ada.id, json!({"tokenAccess": "enabled"})).await.expect(200);
    let token = ada.bearer().await;
    let own = format!("/preferences/access-tokens/{}/delete", token.token_id);
    let admin = app.signed_in("admin@example.com").await;
    admin.get(&own).await.expect(404);
    admin.post(&own, &[]).await.expect(404);
    let visitor = app.signed_in("ada@example.com").await;
    let page = visitor.get(&own).await.expect(200).text;
    assert!(page.contains(&token.token_id) && page.contains("cannot be undone") && !page.contains(&token.value));
    assert!(token.works().await, "asking changes nothing");
    visitor.post(&own, &[]).await.expect(303);
    assert!(!token.works().await);
    visitor.post(&own, &[]).await.expect(404);
    for odd in ["x", "00000000-0000-0000-0000-000000000000", "..%2F..%2Fadmin"] {
        visitor.get(&format!("/preferences/access-tokens/{odd}/delete")).await.expect(404);
    }
}

async fn lists_go_on_and_back(app: TestApp) {
    for _ in 0..120 {
        app.admin().bearer().await;
        app.advance_millis(1);
    }
    let visitor = app.signed_in("admin@example.com").await;
    let ids = |page: &str| -> Vec<String> { page.split("<code>").skip(1).map(|rest| rest[..36].to_owned()).collect() };
    let link = |page: &str, rel: &str| -> Option<String> {
        let rest = page.split(&format!(r#"rel="{rel}" href=""#)).nth(1)?;
        Some(rest.split('"').next().unwrap().replace("&#38;", "&"))
    };
    for place in ["/preferences/access-tokens?search=twd", "/admin/tokens?search=admin"] {
        let first = visitor.get(place).await.expect(200).text;
        let second = visitor.get(&link(&first, "next").unwrap()).await.expect(200).text;
        let third = visitor.get(&link(&second, "next").unwrap()).await.expect(200).text;
        let pages = [ids(&first), ids(&second), ids(&third)];
        assert_eq!(pages.each_ref().map(Vec::len), [50, 50, 20]);
        let mut sorted = pages.concat();
        sorted.sort();
        sorted.reverse();
        assert_eq!(pages.concat(), sorted, "newest first, each once");
        assert!(link(&first, "prev").is_none() && link(&third, "next").is_none());
        let back = visitor.get(&link(&third, "prev").unwrap()).await.expect(200).text;
        assert_eq!(ids(&back), pages[1]);
        let begin = visitor.get(&link(&back, "prev").unwrap()).await.expect(200).text;
        assert_eq!(ids(&begin), pages[0]);
        assert!(link(&begin, "prev").is_none());
    }
    visitor.get("/preferences/access-tokens?after=nonsense").await.expect(400);
}

async fn of_thousands_of_tokens_all_are_deleted(app: TestApp) {
    let fill = insert_tokens(app.database.engine, 2_100, "", Timestamp::from_millis(1_767_225_600_000), None);
    let app = app.restarted_after(&fill).await;
    let admin = app.signed_in("admin@example.com").await;
    let page = admin.get("/preferences/access-tokens/delete-all").await.expect(200).text;
    assert!(page.contains("2100</span> active tokens"), "{page}");
    let one = app.admin().bearer().await;
    let path = one.path();
    // Twice at once, while somebody deletes one by one.
    let (first, second, single) = tokio::join!(
        admin.post("/preferences/access-tokens/delete-all", &[]),
        admin.post("/preferences/access-tokens/delete-all", &[]),
        one.delete(&path)
    );
    assert_eq!((first.status, second.status), (303, 303));
    assert!(matches!(single.status, 204 | 401 | 404));
    assert!(app.admin().get("/v4/apiAccessTokens").await.rows().is_empty());
}
