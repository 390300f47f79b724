//! `GET /v4/apiAccessTokens`

use serde_json::{Value, json};

use tokenward::domain::time::Timestamp;

use crate::support::{Person, Reply, TestApp, an_hour, insert_tokens, numbered};

const PATH: &str = "/v4/apiAccessTokens";

on_both!(
    a_list_has_all_of_ones_own_oldest_first_and_no_value,
    a_long_list_is_whole,
    listing_with_a_token_shows_that_very_use,
    expired_tokens_stay_listed_with_their_status,
    parts_of_a_list_can_be_asked_for,
    every_order_is_kept_with_ties_by_id,
    an_administrator_lists_the_workspace_page_by_page,
    administrators_lists_are_for_administrators_of_that_workspace,
    bad_parameters_are_refused,
);

async fn described(person: &Person, description: &str, lifetime: i64) -> String {
    let body = json!({"lifetimeSeconds": lifetime, "description": description});
    let made = person.post(PATH, &body).await.expect(201);
    made.json["tokenInfo"]["tokenId"].as_str().unwrap().to_owned()
}

fn column<'a>(reply: &'a Reply, name: &str) -> Vec<&'a Value> {
    reply.rows().iter().map(|row| &row[name]).collect()
}

async fn a_list_has_all_of_ones_own_oldest_first_and_no_value(app: TestApp) {
    let admin = app.admin();
    assert_eq!(admin.get(PATH).await.expect(200).json, json!({"data": []}));
    for n in 0..30 {
        described(&admin, &n.to_string(), 60).await;
        app.advance_millis(1);
    }
    let ada = admin.add("ada", true).await;
    let secret = ada.bearer().await;
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

/// The whole list is read in parts; all of these were made in the same millisecond.
async fn a_long_list_is_whole(app: TestApp) {
    let fill = insert_tokens(app.database.engine, 2_000, "", Timestamp::from_millis(1_767_225_600_000), None);
    let app = app.restarted_after(&fill).await;
    let bearer = app.admin().bearer().await;
    let mut made: Vec<String> = (1..=2_000).map(numbered).chain([bearer.token_id.clone()]).collect();
    made.sort();
    let listed = bearer.get("/v4/apiAccessTokens?sort=-createdAt").await.expect(200);
    let ids: Vec<&str> =
        listed.json["data"].as_array().unwrap().iter().map(|t| t["tokenId"].as_str().unwrap()).collect();
    assert!(ids.iter().rev().eq(&made), "{} of {}", ids.len(), made.len());
    assert_eq!(
        bearer.get("/v4/apiAccessTokens?offset=1999").await.expect(200).json["data"].as_array().unwrap().len(),
        2
    );
}

async fn listing_with_a_token_shows_that_very_use(app: TestApp) {
    let bearer = app.admin().bearer().await;
    app.advance_seconds(7);
    assert_eq!(column(&bearer.get(PATH).await, "lastUsed"), ["2026-01-01T00:00:07.000Z"]);
    app.advance_seconds(1);
    assert_eq!(column(&app.admin().get(PATH).await, "lastUsed"), ["2026-01-01T00:00:07.000Z"], "a password is no use");
    bearer.get("/v4/people/999").await.expect(404);
    assert_eq!(app.admin().get(&bearer.path()).await.json["lastUsed"], "2026-01-01T00:00:08.000Z");
    app.set("enabled", false).await;
    app.advance_seconds(1);
    assert!(!bearer.works().await);
    app.set("enabled", true).await;
    let seen = app.admin().get(&bearer.path()).await.json["lastUsed"].clone();
    assert_eq!(seen, "2026-01-01T00:00:08.000Z", "a refused use is none");
}

async fn expired_tokens_stay_listed_with_their_status(app: TestApp) {
    let admin = app.admin();
    described(&admin, "short", 10).await;
    app.advance_millis(1);
    described(&admin, "long", 60).await;
    app.advance_seconds(10);
    assert_eq!(column(&admin.get(PATH).await, "status"), ["expired", "active"]);
    assert_eq!(column(&admin.get("/v4/apiAccessTokens?status=expired").await, "description"), ["short"]);
    assert_eq!(column(&admin.get("/v4/apiAccessTokens?status=active").await, "description"), ["long"]);
}

async fn parts_of_a_list_can_be_asked_for(app: TestApp) {
    let admin = app.admin();
    for n in 0..5 {
        described(&admin, &n.to_string(), 60).await;
        app.advance_millis(1);
    }
    let part = admin.get("/v4/apiAccessTokens?limit=2&offset=1&includeCount=true").await.expect(200);
    assert_eq!(column(&part, "description"), ["1", "2"]);
    assert_eq!(part.json["count"], 5);
    let part = admin.get("/v4/apiAccessTokens?sort=-createdAt&offset=3").await.expect(200);
    assert_eq!(column(&part, "description"), ["1", "0"]);
    assert!(part.json.get("count").is_none());
}

async fn every_order_is_kept_with_ties_by_id(app: TestApp) {
    let admin = app.admin();
    let b = described(&admin, "b", 20).await;
    let forever = described(&admin, "Z", -1).await;
    app.advance_millis(1);
    let a = described(&admin, "a", 10).await;
    let used = app.admin().bearer_for(json!({"lifetimeSeconds": 15, "description": "c"})).await;
    assert!(used.works().await);
    let mut by_id = [b.as_str(), forever.as_str(), a.as_str(), used.token_id.as_str()];
    by_id.sort_unstable();
    let mut first_two = [b.as_str(), forever.as_str()];
    first_two.sort_unstable();
    let order = |sort: &'static str| {
        let admin = admin.clone();
        async move {
            let whole = admin.get(&format!("{PATH}?sort={sort}")).await.expect(200);
            let ids: Vec<String> = column(&whole, "tokenId").iter().map(|id| id.as_str().unwrap().to_owned()).collect();
            let paged = pages(&admin, &format!("{PATH}?allUsers=true&limit=1&sort={sort}")).await;
            assert_eq!(ids, paged, "page by page, by {sort}");
            ids
        }
    };
    assert_eq!(order("expiredAt").await, [&a, &used.token_id, &b, &forever].map(String::as_str));
    assert_eq!(order("-expiredAt").await, [&forever, &b, &used.token_id, &a].map(String::as_str));
    assert_eq!(order("description").await, [&forever, &a, &b, &used.token_id].map(String::as_str));
    assert_eq!(order("-description").await, [&used.token_id, &b, &a, &forever].map(String::as_str));
    assert_eq!(order("tokenId").await, by_id);
    assert_eq!(order("createdAt").await[..2], first_two);
    assert_eq!(order("-lastUsed").await[0], used.token_id);
    assert_eq!(order("lastUsed").await[3], used.token_id);
    assert_eq!(order("-createdAt").await.len(), 4);
    by_id.reverse();
    assert_eq!(order("-tokenId").await, by_id);
}

/// Follows `nextCursor` to the end.
async fn pages(person: &Person, path: &str) -> Vec<String> {
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

async fn an_administrator_lists_the_workspace_page_by_page(app: TestApp) {
    let admin = app.admin();
    app.set("allowUsers", true).await;
    let ada = app.person("ada").await;
    let other = app.other_admin("eve").await;
    other.bearer().await;
    for n in 0..7 {
        described(if n % 2 == 0 { &admin } else { &ada }, &n.to_string(), 60).await;
        app.advance_millis(1);
    }
    let all = admin.get("/v4/apiAccessTokens?allUsers=true&includeCount=true").await.expect(200);
    assert_eq!((all.rows().len(), &all.json["count"]), (7, &json!(7)));
    assert_eq!((&all.rows()[1]["personId"], &all.rows()[1]["email"]), (&json!(ada.id), &json!("ada@example.com")));
    let paged = pages(&admin, "/v4/apiAccessTokens?allUsers=true&limit=3").await;
    assert_eq!(paged.len(), 7);
    let hers = admin.get(&format!("/v4/apiAccessTokens?personId={}", ada.id)).await.expect(200);
    assert_eq!(column(&hers, "description"), ["1", "3", "5"]);
    // A row that is deleted while its page is read does not break the next page.
    let page = admin.get("/v4/apiAccessTokens?allUsers=true&limit=3").await;
    let last = page.rows()[2]["tokenId"].as_str().unwrap();
    admin.delete(&format!("{PATH}/{last}")).await.expect(204);
    let cursor = page.json["nextCursor"].as_str().unwrap();
    let next = admin.get(&format!("/v4/apiAccessTokens?allUsers=true&limit=3&cursor={cursor}")).await.expect(200);
    assert_eq!(column(&next, "description"), ["3", "4", "5"]);
}

async fn administrators_lists_are_for_administrators_of_that_workspace(app: TestApp) {
    app.set("allowUsers", true).await;
    let ada = app.person("ada").await;
    ada.bearer().await;
    for query in ["allUsers=true", "personId=1"] {
        ada.get(&format!("{PATH}?{query}")).await.expect_error(403, "AccessControlException");
    }
    assert_eq!(ada.get(&format!("{PATH}?personId={}", ada.id)).await.expect(200).rows().len(), 1);
    let other = app.other_admin("eve").await;
    assert_eq!(other.get("/v4/apiAccessTokens?allUsers=true").await.expect(200).rows().len(), 0);
    assert_eq!(other.get(&format!("{PATH}?personId={}", ada.id)).await.expect(200).rows().len(), 0);
}

async fn bad_parameters_are_refused(app: TestApp) {
    let admin = app.admin();
    admin.post(PATH, &an_hour()).await.expect(201);
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
        let reply = admin.get(&format!("{PATH}?{query}")).await;
        assert_eq!(reply.status, 400, "{query}: {}", reply.text);
    }
    admin.get(&format!("{PATH}?offset=9223372036854775807")).await.expect(200);
}
