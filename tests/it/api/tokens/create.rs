//! `POST /v4/apiAccessTokens`

use serde_json::json;
use tokenward_guard::token_format::{BearerToken, TokenFormat};

use crate::support::{Bearer, TestApp, an_hour};

const PATH: &str = "/v4/apiAccessTokens";

on_both!(
    a_password_gets_a_token_and_the_token_gets_the_next,
    the_answer_has_the_value_and_exactly_the_documented_fields,
    minus_one_never_expires,
    lifetimes_out_of_range_are_refused_and_none_is_clamped,
    descriptions_are_kept_as_sent_within_bounds,
    users_generate_only_where_the_workspace_or_the_person_allows,
    the_maximum_lifetime_bounds_everybody,
    nobody_makes_a_token_for_somebody_else,
    creators_who_race_the_switch_make_nothing_after_it,
);

async fn a_password_gets_a_token_and_the_token_gets_the_next(app: TestApp) {
    let first = app.admin().bearer().await;
    let made = first.post(PATH, &an_hour()).await.expect(201);
    let second = Bearer::of(&first, &made);
    first.delete(&first.path()).await.expect(204);
    assert!(!first.works().await && second.works().await);
}

async fn the_answer_has_the_value_and_exactly_the_documented_fields(app: TestApp) {
    let body = json!({"lifetimeSeconds": 100, "description": "My 100-second token", "name": "ignored"});
    let made = app.admin().post(PATH, &body).await.expect(201);
    let value = made.json["tokenValue"].as_str().unwrap();
    assert!(TokenFormat::default().parse_digest(BearerToken::parse(value).unwrap()).is_some());
    let info = made.json["tokenInfo"].as_object().unwrap();
    assert_eq!(info.len(), 5);
    assert_eq!(info["description"], "My 100-second token");
    assert_eq!(info["createdAt"], "2026-01-01T00:00:00.000Z");
    assert_eq!(info["expiredAt"], "2026-01-01T00:01:40.000Z");
    assert!(info["lastUsed"].is_null());
    assert!(!value.contains(info["tokenId"].as_str().unwrap()));
    assert_eq!(made.headers["cache-control"], "no-store");
}

async fn minus_one_never_expires(app: TestApp) {
    let bearer = app.admin().bearer_for(json!({"lifetimeSeconds": -1})).await;
    assert!(app.admin().get(&bearer.path()).await.expect(200).json["expiredAt"].is_null());
    app.advance_seconds(3_153_600_000);
    assert!(bearer.works().await);
}

async fn lifetimes_out_of_range_are_refused_and_none_is_clamped(app: TestApp) {
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
        let reply = app.admin().with_json("POST", PATH, format!("{{\"lifetimeSeconds\": {lifetime}}}")).await;
        reply.expect_error(400, name);
    }
    app.admin().post(PATH, &json!({})).await.expect_error(400, "ApiValidationFailed");
    for lifetime in ["1", "86400.0", "3153600000", "1e3"] {
        app.admin().with_json("POST", PATH, format!("{{\"lifetimeSeconds\": {lifetime}}}")).await.expect(201);
    }
}

async fn descriptions_are_kept_as_sent_within_bounds(app: TestApp) {
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

async fn users_generate_only_where_the_workspace_or_the_person_allows(app: TestApp) {
    let ada = app.person("ada").await;
    let details = ada.post(PATH, &an_hour()).await.expect_error(403, "AccessControlException");
    assert!(details.contains("feature.apiAccessTokens.allowUsers") && details.contains("administrator"));
    app.set("allowUsers", true).await;
    let bearer = ada.bearer().await;

    app.admin().change(ada.id, json!({"tokenAccess": "disabled"})).await.expect(200);
    ada.post(PATH, &an_hour()).await.expect_error(403, "AccessControlException");
    assert!(!bearer.works().await);

    app.set("allowUsers", false).await;
    app.admin().change(ada.id, json!({"tokenAccess": "default"})).await.expect(200);
    assert!(bearer.works().await, "existing tokens go on");
    ada.get(PATH).await.expect(200);
    bearer.post(PATH, &an_hour()).await.expect_error(403, "AccessControlException");

    app.admin().change(ada.id, json!({"tokenAccess": "enabled"})).await.expect(200);
    bearer.post(PATH, &an_hour()).await.expect(201);
}

async fn the_maximum_lifetime_bounds_everybody(app: TestApp) {
    let before = app.admin().bearer_for(json!({"lifetimeSeconds": -1})).await;
    app.set("maxLifetimeDays", 2).await;
    for (lifetime, status) in [(172_800, 201), (172_801, 400), (-1, 400)] {
        let reply = app.admin().post(PATH, &json!({"lifetimeSeconds": lifetime})).await.expect(status);
        if status == 400 {
            assert!(reply.expect_error(400, "ValidationFailed").contains("2 days"));
        }
    }
    assert!(before.works().await, "existing tokens are left alone");
}

async fn nobody_makes_a_token_for_somebody_else(app: TestApp) {
    let ada = app.person("ada").await;
    let body = json!({"lifetimeSeconds": 60, "personId": ada.id, "userId": ada.id, "email": ada.email});
    let bearer = app.admin().bearer_for(body).await;
    assert_eq!(bearer.get("/v4/people/current").await.expect(200).json["id"], 1);
}

async fn creators_who_race_the_switch_make_nothing_after_it(app: TestApp) {
    let admin = app.admin();
    let creators: Vec<_> = (0..20)
        .map(|_| {
            let admin = admin.clone();
            tokio::spawn(async move {
                let mut made = 0;
                while admin.post(PATH, &an_hour()).await.status == 201 {
                    made += 1;
                }
                made
            })
        })
        .collect();
    while app.store.count_members(1).await.unwrap().1 < 40 {
        tokio::task::yield_now().await;
    }
    app.set("enabled", false).await;
    let (_, when_off) = app.store.count_members(1).await.unwrap();
    for creator in creators {
        creator.await.unwrap();
    }
    assert_eq!(app.store.count_members(1).await.unwrap().1, when_off);
}
