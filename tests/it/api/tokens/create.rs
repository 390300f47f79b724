//! `POST /v4/apiAccessTokens`

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;
use tokenward::domain::id::WorkspaceId;
use tokenward_guard::token_format::{BearerToken, TokenFormat};

use crate::support::{Engine, TestApp, TokenClient, both_databases, one_hour_token};

const PATH: &str = "/v4/apiAccessTokens";

#[apply(both_databases)]
async fn a_password_creates_a_token_and_a_token_creates_another(engine: Engine) {
    let app = TestApp::start(engine).await;
    let first = app.admin().create_token().await;
    let created = first.post(PATH, &one_hour_token()).await.expect(201);
    let second = TokenClient::from_response(&first, &created);
    first.delete(&first.token_path()).await.expect(204);
    assert!(!first.is_accepted().await && second.is_accepted().await);
}

#[apply(both_databases)]
async fn the_response_has_the_value_and_exactly_the_documented_fields(engine: Engine) {
    let app = TestApp::start(engine).await;
    let body = json!({"lifetimeSeconds": 100, "description": "My 100-second token", "name": "ignored"});
    let created = app.admin().post(PATH, &body).await.expect(201);
    let value = created.json["tokenValue"].as_str().unwrap();
    assert!(TokenFormat::default().parse_digest(BearerToken::parse(value).unwrap()).is_some());
    let info = created.json["tokenInfo"].as_object().unwrap();
    assert_eq!(info.len(), 5);
    assert_eq!(info["description"], "My 100-second token");
    assert_eq!(info["createdAt"], "2026-01-01T00:00:00.000Z");
    assert_eq!(info["expiredAt"], "2026-01-01T00:01:40.000Z");
    assert!(info["lastUsed"].is_null());
    assert!(!value.contains(info["tokenId"].as_str().unwrap()));
    assert_eq!(created.headers["cache-control"], "no-store");
    let path = created.headers["location"].to_str().unwrap();
    assert_eq!(app.admin().get(path).await.expect(200).json["tokenId"], info["tokenId"]);
}

#[apply(both_databases)]
async fn a_lifetime_of_minus_one_never_expires(engine: Engine) {
    let app = TestApp::start(engine).await;
    let bearer = app.admin().create_token_with(json!({"lifetimeSeconds": -1})).await;
    assert!(app.admin().get(&bearer.token_path()).await.expect(200).json["expiredAt"].is_null());
    app.advance_seconds(3_153_600_000);
    assert!(bearer.is_accepted().await);
}

#[apply(both_databases)]
async fn lifetimes_out_of_range_are_rejected_not_clamped(engine: Engine) {
    let app = TestApp::start(engine).await;
    for (lifetime, name) in [
        ("0", "ValidationFailed"),
        ("-0", "ValidationFailed"),
        ("-2", "ValidationFailed"),
        ("3153600001", "ValidationFailed"),
        ("9223372036854775807", "ValidationFailed"),
        ("9223372036854775808", "ValidationFailed"),
        ("1e300", "ValidationFailed"),
        ("1e400", "ApiValidationFailed"),
        ("\"1\"", "ApiValidationFailed"),
        ("\"86400\"", "ApiValidationFailed"),
        ("true", "ApiValidationFailed"),
        ("null", "ApiValidationFailed"),
        ("86400.5", "ApiValidationFailed"),
    ] {
        let response = app.admin().send_json("POST", PATH, format!("{{\"lifetimeSeconds\": {lifetime}}}")).await;
        response.expect_error(400, name);
    }
    app.admin().post(PATH, &json!({})).await.expect_error(400, "ApiValidationFailed");
    for lifetime in ["1", "86400.0", "3153600000", "1e3"] {
        app.admin().send_json("POST", PATH, format!("{{\"lifetimeSeconds\": {lifetime}}}")).await.expect(201);
    }
}

#[apply(both_databases)]
async fn descriptions_are_stored_unchanged_up_to_the_limit(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let create = |description: serde_json::Value| {
        let admin = admin.clone();
        async move { admin.post(PATH, &json!({"lifetimeSeconds": 1, "description": description})).await }
    };
    for (sent, kept) in [
        (json!(null), "".to_owned()),
        (json!(""), String::new()),
        (json!("  <b>ünïcödé</b> \u{1f511} "), "  <b>ünïcödé</b> \u{1f511} ".to_owned()),
        (json!("\u{1f511}".repeat(255)), "\u{1f511}".repeat(255)),
    ] {
        assert_eq!(create(sent).await.expect(201).json["tokenInfo"]["description"], kept.as_str());
    }
    for wrong in [json!("x".repeat(256)), json!("a\0b"), json!("a\nb"), json!("a\u{7f}"), json!("a\u{85}")] {
        create(wrong).await.expect_error(400, "ValidationFailed");
    }
    for wrong in [json!(1), json!({}), json!(["x"])] {
        create(wrong).await.expect_error(400, "ApiValidationFailed");
    }
}

#[apply(both_databases)]
async fn users_create_tokens_only_if_the_workspace_or_person_allows_it(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let details = ada.post(PATH, &one_hour_token()).await.expect_error(403, "AccessControlException");
    assert!(details.contains("feature.apiAccessTokens.allowUsers") && details.contains("administrator"));
    app.set_setting("allowUsers", true).await;
    let bearer = ada.create_token().await;

    app.admin().update_person(ada.id, json!({"tokenAccess": "disabled"})).await.expect(200);
    ada.post(PATH, &one_hour_token()).await.expect_error(403, "AccessControlException");
    assert!(!bearer.is_accepted().await);

    app.set_setting("allowUsers", false).await;
    app.admin().update_person(ada.id, json!({"tokenAccess": "default"})).await.expect(200);
    assert!(bearer.is_accepted().await, "existing tokens stay valid");
    ada.get(PATH).await.expect(200);
    bearer.post(PATH, &one_hour_token()).await.expect_error(403, "AccessControlException");

    app.admin().update_person(ada.id, json!({"tokenAccess": "enabled"})).await.expect(200);
    bearer.post(PATH, &one_hour_token()).await.expect(201);
}

#[apply(both_databases)]
async fn the_maximum_lifetime_applies_to_everyone(engine: Engine) {
    let app = TestApp::start(engine).await;
    let before = app.admin().create_token_with(json!({"lifetimeSeconds": -1})).await;
    app.set_setting("maxLifetimeDays", 2).await;
    for (lifetime, status) in [(172_800, 201), (172_801, 400), (-1, 400)] {
        let response = app.admin().post(PATH, &json!({"lifetimeSeconds": lifetime})).await.expect(status);
        if status == 400 {
            assert!(response.expect_error(400, "ValidationFailed").contains("2 days"));
        }
    }
    assert!(before.is_accepted().await, "existing tokens are not affected");
}

#[apply(both_databases)]
async fn tokens_are_created_for_the_caller_only(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let named = json!({"lifetimeSeconds": 60, "personId": ada.id});
    app.admin().post(PATH, &named).await.expect_error(403, "AccessControlException");
    let body = json!({"lifetimeSeconds": 60, "userId": ada.id, "ownerId": ada.id, "email": ada.email});
    let bearer = app.admin().create_token_with(body).await;
    assert_eq!(bearer.get("/v4/people/current").await.expect(200).json["id"], 1);
}

#[apply(both_databases)]
async fn concurrent_creation_stops_when_tokens_are_disabled(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let creators: Vec<_> = (0..20)
        .map(|_| {
            let admin = admin.clone();
            tokio::spawn(async move {
                let mut created = 0;
                while admin.post(PATH, &one_hour_token()).await.status == 201 {
                    created += 1;
                }
                created
            })
        })
        .collect();
    while app.store.count_people_and_tokens(WorkspaceId::FIRST).await.unwrap().1 < 40 {
        tokio::task::yield_now().await;
    }
    app.set_setting("enabled", false).await;
    let (_, when_off) = app.store.count_people_and_tokens(WorkspaceId::FIRST).await.unwrap();
    for creator in creators {
        creator.await.unwrap();
    }
    assert_eq!(app.store.count_people_and_tokens(WorkspaceId::FIRST).await.unwrap().1, when_off);
}
