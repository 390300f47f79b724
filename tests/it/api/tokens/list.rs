//! `GET /v4/apiAccessTokens`

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use tokenward::domain::time::Timestamp;

use crate::support::{
    Engine, PersonClient, TestApp, TestResponse, both_databases, insert_tokens_sql, numbered_token_id, one_hour_token,
};

const PATH: &str = "/v4/apiAccessTokens";

async fn create_described_token(person: &PersonClient, description: &str, lifetime: i64) -> String {
    let body = json!({"lifetimeSeconds": lifetime, "description": description});
    let created = person.post(PATH, &body).await.expect(201);
    created.json["tokenInfo"]["tokenId"].as_str().unwrap().to_owned()
}

fn column<'a>(response: &'a TestResponse, name: &str) -> Vec<&'a Value> {
    response.rows().iter().map(|row| &row[name]).collect()
}

#[apply(both_databases)]
async fn a_list_has_the_callers_tokens_oldest_first_without_values(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    assert_eq!(admin.get(PATH).await.expect(200).json, json!({"data": []}));
    for n in 0..30 {
        create_described_token(&admin, &n.to_string(), 60).await;
        app.advance_millis(1);
    }
    let ada = admin.add_person("ada", true).await;
    let secret = ada.create_token().await;
    let list = admin.get(PATH).await.expect(200);
    assert_eq!(
        column(&list, "description"),
        (0..30).map(|n| json!(n.to_string())).collect::<Vec<_>>().iter().collect::<Vec<_>>()
    );
    let fields: Vec<&String> = list.rows()[0].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["createdAt", "description", "expiredAt", "hint", "lastUsed", "status", "tokenId"]);
    let list = ada.get(PATH).await.expect(200);
    assert_eq!(list.rows().len(), 1);
    assert!(!list.text.contains(&secret.value) && secret.value.starts_with(list.rows()[0]["hint"].as_str().unwrap()));
}

/// The service reads a long list in pages; all of these tokens have the same creation time.
#[apply(both_databases)]
async fn a_long_list_is_complete(engine: Engine) {
    let app = TestApp::start(engine).await;
    let fill = insert_tokens_sql(app.database.engine, 2_000, "", Timestamp::from_millis(1_767_225_600_000), None);
    let app = app.restart_after_sql(&fill).await;
    let bearer = app.admin().create_token().await;
    let mut created: Vec<String> = (1..=2_000).map(numbered_token_id).chain([bearer.token_id.clone()]).collect();
    created.sort();
    let list_token_ids = bearer.get("/v4/apiAccessTokens?sort=-createdAt").await.expect(200);
    let ids: Vec<&str> =
        list_token_ids.json["data"].as_array().unwrap().iter().map(|t| t["tokenId"].as_str().unwrap()).collect();
    assert!(ids.iter().rev().eq(&created), "{} of {}", ids.len(), created.len());
    assert_eq!(
        bearer.get("/v4/apiAccessTokens?offset=1999").await.expect(200).json["data"].as_array().unwrap().len(),
        2
    );
}

#[apply(both_databases)]
async fn a_list_includes_the_use_of_the_token_that_requests_it(engine: Engine) {
    let app = TestApp::start(engine).await;
    let bearer = app.admin().create_token().await;
    app.advance_seconds(7);
    assert_eq!(column(&bearer.get(PATH).await, "lastUsed"), ["2026-01-01T00:00:07.000Z"]);
    app.advance_seconds(1);
    assert_eq!(
        column(&app.admin().get(PATH).await, "lastUsed"),
        ["2026-01-01T00:00:07.000Z"],
        "a request with a password does not count as a use"
    );
    bearer.get("/v4/people/999").await.expect(404);
    assert_eq!(app.admin().get(&bearer.token_path()).await.json["lastUsed"], "2026-01-01T00:00:08.000Z");
    app.set_setting("enabled", false).await;
    app.advance_seconds(1);
    assert!(!bearer.is_accepted().await);
    app.set_setting("enabled", true).await;
    let last_used = app.admin().get(&bearer.token_path()).await.json["lastUsed"].clone();
    assert_eq!(last_used, "2026-01-01T00:00:08.000Z", "a rejected request does not count as a use");
}

#[apply(both_databases)]
async fn expired_tokens_stay_listed_with_their_status(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    create_described_token(&admin, "short", 10).await;
    app.advance_millis(1);
    create_described_token(&admin, "long", 60).await;
    app.advance_seconds(10);
    assert_eq!(column(&admin.get(PATH).await, "status"), ["expired", "active"]);
    assert_eq!(column(&admin.get("/v4/apiAccessTokens?status=expired").await, "description"), ["short"]);
    assert_eq!(column(&admin.get("/v4/apiAccessTokens?status=active").await, "description"), ["long"]);
}

#[apply(both_databases)]
async fn lists_support_limit_and_offset(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    for n in 0..5 {
        create_described_token(&admin, &n.to_string(), 60).await;
        app.advance_millis(1);
    }
    let part = admin.get("/v4/apiAccessTokens?limit=2&offset=1&includeCount=true").await.expect(200);
    assert_eq!(column(&part, "description"), ["1", "2"]);
    assert_eq!(part.json["count"], 5);
    let part = admin.get("/v4/apiAccessTokens?sort=-createdAt&offset=3").await.expect(200);
    assert_eq!(column(&part, "description"), ["1", "0"]);
    assert!(part.json.get("count").is_none());
}

#[apply(both_databases)]
async fn every_sort_order_breaks_ties_by_id(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let b = create_described_token(&admin, "b", 20).await;
    let unlimited = create_described_token(&admin, "Z", -1).await;
    app.advance_millis(1);
    let a = create_described_token(&admin, "a", 10).await;
    let used = app.admin().create_token_with(json!({"lifetimeSeconds": 15, "description": "c"})).await;
    assert!(used.is_accepted().await);
    let mut by_id = [b.as_str(), unlimited.as_str(), a.as_str(), used.token_id.as_str()];
    by_id.sort_unstable();
    let mut first_two = [b.as_str(), unlimited.as_str()];
    first_two.sort_unstable();
    let order = |sort: &'static str| {
        let admin = admin.clone();
        async move {
            let whole = admin.get(&format!("{PATH}?sort={sort}")).await.expect(200);
            let ids: Vec<String> = column(&whole, "tokenId").iter().map(|id| id.as_str().unwrap().to_owned()).collect();
            let paged = collect_pages(&admin, &format!("{PATH}?allUsers=true&limit=1&sort={sort}")).await;
            assert_eq!(ids, paged, "page by page, by {sort}");
            ids
        }
    };
    assert_eq!(order("expiredAt").await, [&a, &used.token_id, &b, &unlimited].map(String::as_str));
    assert_eq!(order("-expiredAt").await, [&unlimited, &b, &used.token_id, &a].map(String::as_str));
    assert_eq!(order("description").await, [&unlimited, &a, &b, &used.token_id].map(String::as_str));
    assert_eq!(order("-description").await, [&used.token_id, &b, &a, &unlimited].map(String::as_str));
    assert_eq!(order("tokenId").await, by_id);
    assert_eq!(order("createdAt").await[..2], first_two);
    assert_eq!(order("-lastUsed").await[0], used.token_id);
    assert_eq!(order("lastUsed").await[3], used.token_id);
    assert_eq!(order("-createdAt").await.len(), 4);
    by_id.reverse();
    assert_eq!(order("-tokenId").await, by_id);
}

/// Follows `nextCursor` to the last page, and returns all token IDs.
async fn collect_pages(person: &PersonClient, path: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut next = String::new();
    loop {
        let page = person.get(&format!("{path}{next}")).await.expect(200);
        ids.extend(page.rows().iter().map(|row| row["tokenId"].as_str().unwrap().to_owned()));
        match page.json["nextCursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => return ids,
        }
    }
}

#[apply(both_databases)]
async fn an_administrator_lists_the_workspace_page_by_page(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    app.set_setting("allowUsers", true).await;
    let ada = app.add_person("ada").await;
    let other = app.create_workspace_with_admin("eve").await;
    other.create_token().await;
    for n in 0..7 {
        create_described_token(if n % 2 == 0 { &admin } else { &ada }, &n.to_string(), 60).await;
        app.advance_millis(1);
    }
    let all = admin.get("/v4/apiAccessTokens?allUsers=true&includeCount=true").await.expect(200);
    assert_eq!((all.rows().len(), &all.json["count"]), (7, &json!(7)));
    assert_eq!((&all.rows()[1]["personId"], &all.rows()[1]["email"]), (&json!(ada.id), &json!("ada@example.com")));
    let paged = collect_pages(&admin, "/v4/apiAccessTokens?allUsers=true&limit=3").await;
    assert_eq!(paged.len(), 7);
    let adas = admin.get(&format!("/v4/apiAccessTokens?personId={}", ada.id)).await.expect(200);
    assert_eq!(column(&adas, "description"), ["1", "3", "5"]);
    // A row deleted between two pages does not break the next page.
    let page = admin.get("/v4/apiAccessTokens?allUsers=true&limit=3").await;
    let last = page.rows()[2]["tokenId"].as_str().unwrap();
    admin.delete(&format!("{PATH}/{last}")).await.expect(204);
    let cursor = page.json["nextCursor"].as_str().unwrap();
    let next = admin.get(&format!("/v4/apiAccessTokens?allUsers=true&limit=3&cursor={cursor}")).await.expect(200);
    assert_eq!(column(&next, "description"), ["3", "4", "5"]);
}

#[apply(both_databases)]
async fn workspace_lists_are_for_its_administrators(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.set_setting("allowUsers", true).await;
    let ada = app.add_person("ada").await;
    ada.create_token().await;
    for query in ["allUsers=true", "personId=1"] {
        ada.get(&format!("{PATH}?{query}")).await.expect_error(403, "AccessControlException");
    }
    assert_eq!(ada.get(&format!("{PATH}?personId={}", ada.id)).await.expect(200).rows().len(), 1);
    let other = app.create_workspace_with_admin("eve").await;
    assert_eq!(other.get("/v4/apiAccessTokens?allUsers=true").await.expect(200).rows().len(), 0);
    assert_eq!(other.get(&format!("{PATH}?personId={}", ada.id)).await.expect(200).rows().len(), 0);
}

#[apply(both_databases)]
async fn invalid_parameters_are_rejected(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    admin.post(PATH, &one_hour_token()).await.expect(201);
    for query in [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=x",
        "limit=",
        "limit=1&limit=2",
        "offset=-1",
        "offset=1e3",
        "sort=x",
        "sort=createdat",
        "includeCount=1",
        "allUsers=yes",
        "personId=x",
        "status=dead",
        "cursor=x",
        "cursor=%00",
        "limit=99999999999999999999",
    ] {
        let response = admin.get(&format!("{PATH}?{query}")).await;
        assert_eq!(response.status, 400, "{query}: {}", response.text);
    }
    admin.get(&format!("{PATH}?offset=9223372036854775807")).await.expect(200);
}
