//! Tokens that make tokens: what the workspace allows, whole families, all at once, and the same request sent again.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Bearer, Client, Reply, TestApp, an_hour};

on_both!(
    a_workspace_decides_what_tokens_may_make,
    a_token_names_the_one_that_made_it,
    a_token_is_deleted_with_what_it_has_made,
    all_tokens_of_a_person_are_deleted_at_once,
    a_deletion_that_has_lost_its_id_deletes_nothing,
    the_same_request_gives_the_same_answer_for_ten_minutes,
    a_key_is_good_for_one_body_one_person_and_one_credential,
    of_many_that_are_the_same_at_once_one_token_is_made,
);

const TOKENS: &str = "/v4/apiAccessTokens";

async fn minted(app: &TestApp, value: &str) {
    let setting = json!({"key": "tokenward.tokenMintedTokens", "value": value});
    let body = json!({"configuration": [setting]});
    app.admin().patch("/v4/workspaces/current/configuration", &body).await.expect(200);
}

async fn child(parent: &Bearer, lifetime: i64) -> Reply {
    parent.post(TOKENS, &json!({"lifetimeSeconds": lifetime})).await
}

async fn a_workspace_decides_what_tokens_may_make(app: TestApp) {
    let admin = app.admin();
    let (short, forever) = (admin.bearer().await, admin.bearer_for(json!({"lifetimeSeconds": -1})).await);
    child(&short, -1).await.expect(201);
    minted(&app, "bounded").await;
    let details = child(&short, -1).await.expect_error(400, "ValidationFailed");
    assert!(
        details.contains("2026-01-01T01:00:00.000Z") && details.contains("tokenward.tokenMintedTokens"),
        "{details}"
    );
    child(&short, 3_601).await.expect_error(400, "ValidationFailed");
    child(&short, 3_600).await.expect(201);
    app.advance_seconds(1);
    child(&short, 3_600).await.expect_error(400, "ValidationFailed");
    child(&short, 3_599).await.expect(201);
    child(&forever, -1).await.expect(201);
    minted(&app, "forbidden").await;
    assert!(child(&forever, 1).await.expect_error(403, "AccessControlException").contains("password"));
    admin.post(TOKENS, &json!({"lifetimeSeconds": -1})).await.expect(201);
    assert!(short.works().await, "those that are there go on");
    for wrong in [json!("maybe"), json!(true), json!(1)] {
        let body = json!({"configuration": [{"key": "tokenward.tokenMintedTokens", "value": wrong}]});
        admin.patch("/v4/workspaces/current/configuration", &body).await.expect(400);
    }
    let schema = admin.get("/v4/workspaces/current/configuration-schema").await.expect(200);
    assert_eq!(schema.json[3]["enum"], json!(["allowed", "bounded", "forbidden"]));
}

async fn a_token_names_the_one_that_made_it(app: TestApp) {
    let parent = app.admin().bearer().await;
    let made = Bearer::of(&parent, &child(&parent, 60).await.expect(201));
    assert_eq!(app.admin().get(&made.path()).await.expect(200).json["parentTokenId"], json!(parent.token_id));
    assert_eq!(app.admin().get(&parent.path()).await.expect(200).json.get("parentTokenId"), None);
}

async fn a_token_is_deleted_with_what_it_has_made(app: TestApp) {
    let (root, other) = (app.admin().bearer().await, app.admin().bearer().await);
    let middle = Bearer::of(&root, &child(&root, 60).await.expect(201));
    let leaf = Bearer::of(&middle, &child(&middle, 60).await.expect(201));
    app.admin().delete(&middle.path()).await.expect(204);
    assert!(root.works().await && leaf.works().await, "without being asked for only the one");
    let stranger = app.person("ada").await;
    stranger.delete(&format!("{}?descendants=true", root.path())).await.expect_error(404, "DataNotFoundException");
    app.admin().delete(&format!("{}?descendants=maybe", root.path())).await.expect(400);
    app.admin().delete(&format!("{}?descendants=true", root.path())).await.expect(204);
    assert!(!root.works().await && !leaf.works().await && other.works().await);
    app.admin().delete(&format!("{}?descendants=true", root.path())).await.expect_error(404, "DataNotFoundException");
}

async fn all_tokens_of_a_person_are_deleted_at_once(app: TestApp) {
    let ada = app.admin().add("ada", true).await;
    let bob = app.person("bob").await;
    let other = app.other_admin("eve").await;
    let (hers, second, mine) = (ada.bearer().await, ada.bearer().await, app.admin().bearer().await);
    let path = format!("{TOKENS}?personId={}", ada.id);
    bob.delete(&path).await.expect_error(403, "AccessControlException");
    other.delete(&path).await.expect_error(404, "DataNotFoundException");
    assert!(hers.works().await);
    app.admin().delete(&path).await.expect(204);
    assert!(!hers.works().await && !second.works().await && mine.works().await);
    assert_eq!(ada.get(TOKENS).await.expect(200).rows().len(), 0);
    assert_eq!(ada.get(&hers.path()).await.status, 404);
    app.admin().delete(&path).await.expect(204);
    let again = ada.bearer().await;
    assert!(again.works().await, "what is made afterwards lives");
    // All of one's own, by one of them.
    again.delete(TOKENS).await.expect(204);
    assert!(!again.works().await && mine.works().await);
    app.admin().delete(&format!("{TOKENS}?personId=9999")).await.expect_error(404, "DataNotFoundException");
    app.admin().delete(&format!("{TOKENS}?personId=x")).await.expect(400);
    app.app.tokens().remove_dead().await.unwrap();
    assert!(mine.works().await);
}

async fn a_deletion_that_has_lost_its_id_deletes_nothing(app: TestApp) {
    let token = app.admin().bearer().await;
    for path in ["/v4/apiAccessTokens/", "/v4/apiaccesstokens/", "/v4/apiAccessTokens/?descendants=true"] {
        app.admin().delete(path).await.expect_error(404, "RouteNotFoundException");
    }
    assert!(token.works().await);
}

async fn create(client: &Client, key: &str, body: &Value) -> Reply {
    let mut request = client.request("POST", TOKENS, body.to_string().into());
    request.headers_mut().insert("idempotency-key", key.parse().unwrap());
    client.send(request).await
}

const KEY: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";

async fn the_same_request_gives_the_same_answer_for_ten_minutes(app: TestApp) {
    let admin = app.admin();
    let first = create(&admin, KEY, &an_hour()).await.expect(201);
    app.advance_seconds(599);
    let again = create(&admin, KEY, &an_hour()).await.expect(201);
    assert_eq!(first.text, again.text, "value included");
    assert_eq!(admin.get(TOKENS).await.expect(200).rows().len(), 1);
    assert!(Bearer::of(&admin, &again).works().await);
    app.advance_seconds(1);
    let other = create(&admin, KEY, &an_hour()).await.expect(201);
    assert_ne!(first.json["tokenValue"], other.json["tokenValue"]);
}

async fn a_key_is_good_for_one_body_one_person_and_one_credential(app: TestApp) {
    let (admin, ada) = (app.admin(), app.admin().add("ada", true).await);
    let first = create(&admin, KEY, &an_hour()).await.expect(201);
    for body in [json!({"lifetimeSeconds": 3601}), json!({"lifetimeSeconds": 3600, "description": "x"})] {
        assert!(create(&admin, KEY, &body).await.expect_error(400, "ValidationFailed").contains("another body"));
    }
    let same = json!({"description": null, "lifetimeSeconds": 3600.0, "unknown": 1});
    assert_eq!(create(&admin, KEY, &same).await.expect(201).text, first.text, "what is meant is the same");
    let hers = create(&ada, KEY, &an_hour()).await.expect(201);
    let by_token = create(&Bearer::of(&admin, &first), KEY, &an_hour()).await.expect(201);
    let values = [&first, &hers, &by_token].map(|reply| reply.json["tokenValue"].clone());
    assert!(values[0] != values[1] && values[0] != values[2] && values[1] != values[2]);
    for wrong in ["short", "with spaces in the key", ""] {
        create(&admin, wrong, &an_hour()).await.expect_error(400, "ValidationFailed");
    }
    let mut two = admin.request("POST", TOKENS, an_hour().to_string().into());
    for key in [KEY, "another-key-0123456789"] {
        two.headers_mut().append("idempotency-key", key.parse().unwrap());
    }
    admin.send(two).await.expect(400);
    assert_eq!(admin.get(TOKENS).await.expect(200).rows().len(), 2);
}

async fn of_many_that_are_the_same_at_once_one_token_is_made(app: TestApp) {
    let admin = app.admin();
    let replies = join_all((0..20).map(|_| {
        let admin = admin.clone();
        async move { create(&admin, KEY, &an_hour()).await.expect(201).text }
    }))
    .await;
    assert!(replies.iter().all(|text| *text == replies[0]));
    assert_eq!(admin.get(TOKENS).await.expect(200).rows().len(), 1);
}
