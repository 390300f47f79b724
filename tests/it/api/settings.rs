//! `/v4/workspaces/{id}/configuration`, and the effect of the settings.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::support::{Database, Engine, TestApp, both_databases, one_hour_token};

const CONFIGURATION: &str = "/v4/workspaces/current/configuration";
const ENABLED: &str = "feature.apiAccessTokens.enabled";
const ALLOW_USERS: &str = "feature.apiAccessTokens.allowUsers";
const MAX_DAYS: &str = "feature.apiAccessTokens.maxLifetimeDays";

fn change(settings: &[(&str, Value)]) -> Value {
    let settings: Vec<Value> = settings.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    json!({"configuration": settings})
}

#[apply(both_databases)]
async fn settings_are_read_set_and_reset(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let all = |enabled: Value, allow: Value, days: Value| {
        let own = [
            "tokenward.childTokens",
            "tokenward.scopes",
            "tokenward.requireScopes",
            "tokenward.recordAddresses",
            "tokenward.expiryWarningDays",
        ];
        let own = own.map(|key| (key, json!(null)));
        let rows = [vec![(ENABLED, enabled), (ALLOW_USERS, allow), (MAX_DAYS, days)], own.to_vec()].concat();
        json!(rows.into_iter().map(|(key, value)| json!({"key": key, "value": value})).collect::<Vec<_>>())
    };
    // What the original API returns.
    let compatible = |response: Value| {
        let pick = |setting: &Value| json!({"key": setting["key"], "value": setting["value"]});
        json!(response.as_array().unwrap().iter().map(pick).collect::<Vec<_>>())
    };
    assert_eq!(compatible(admin.get(CONFIGURATION).await.expect(200).json), all(json!(null), json!(null), json!(null)));
    app.advance_seconds(3);
    let done =
        admin.patch(CONFIGURATION, &change(&[(ALLOW_USERS, json!(true)), (MAX_DAYS, json!(365.0))])).await.expect(200);
    assert_eq!(done.json, json!({"id": 1, "updatedAt": "2026-01-01T00:00:03.000Z"}));
    assert_eq!(
        compatible(admin.get("/v4/workspaces/1/configuration").await.json),
        all(json!(null), json!(true), json!(365))
    );
    let one = admin.get(&format!("{CONFIGURATION}?key={MAX_DAYS}")).await.expect(200);
    assert_eq!(
        one.json,
        json!([{"key": MAX_DAYS, "value": 365, "effectiveValue": 365, "default": -1, "source": "workspace"}])
    );
    admin.get(&format!("{CONFIGURATION}?key=x")).await.expect_error(400, "ValidationFailed");
    let reset = "/v4/workspaces/current/delete-configuration";
    let keys = json!({"settings": [MAX_DAYS, ENABLED]});
    assert_eq!(admin.post(reset, &keys).await.expect(200).json, json!({"numberOfRowsDeleted": 1}));
    assert_eq!(admin.post(reset, &keys).await.expect(200).json, json!({"numberOfRowsDeleted": 0}));
    admin.post(reset, &json!({"settings": ["x"]})).await.expect_error(400, "ValidationFailed");
    assert_eq!(compatible(admin.get(CONFIGURATION).await.json), all(json!(null), json!(true), json!(null)));
}

#[apply(both_databases)]
async fn null_resets_a_setting_and_an_absent_value_is_an_error(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    admin.patch(CONFIGURATION, &change(&[(ALLOW_USERS, json!(true)), (MAX_DAYS, json!(9))])).await.expect(200);
    let absent = json!({"configuration": [{"key": ALLOW_USERS}]});
    admin.patch(CONFIGURATION, &absent).await.expect_error(400, "ApiValidationFailed");
    // The same key twice is ambiguous, also with null.
    let twice = change(&[(MAX_DAYS, json!(null)), (MAX_DAYS, json!(1))]);
    admin.patch(CONFIGURATION, &twice).await.expect_error(400, "ValidationFailed");
    let days =
        |json: Value| json!({"key": MAX_DAYS, "value": null, "effectiveValue": -1, "default": -1, "source": json});
    let read = || async { admin.get(&format!("{CONFIGURATION}?key={MAX_DAYS}")).await.json[0].clone() };
    assert_eq!(read().await["effectiveValue"], 9);
    let reset = change(&[(MAX_DAYS, json!(null)), (ENABLED, json!(null))]);
    admin.patch(CONFIGURATION, &reset).await.expect(200);
    assert_eq!(read().await, days(json!("default")));
    assert_eq!(admin.get(&format!("{CONFIGURATION}?key={ALLOW_USERS}")).await.json[0]["value"], true);
    // Only settings that had a value were changed.
    let events = admin.get("/v4/events?allUsers=true&action=setting.changed").await;
    assert_eq!(events.rows().len(), 3);
    let last = &events.rows()[0];
    assert_eq!((&last["target"], &last["details"]), (&json!(MAX_DAYS), &json!({"from": "9", "to": "default"})));
}

#[apply(both_databases)]
async fn the_source_of_a_setting_is_shown(engine: Engine) {
    let database = Database::migrated(engine).await;
    let app = TestApp::start_with(database, |config| config.tokens.enabled_by_default = false).await;
    let admin = app.admin();
    let read = || async { admin.get(&format!("{CONFIGURATION}?key={ENABLED}")).await.expect(200).json[0].clone() };
    let setting = |value: Value, effective: bool, source: &str| json!({"key": ENABLED, "value": value, "effectiveValue": effective, "default": false, "source": source});
    assert_eq!(read().await, setting(json!(null), false, "configuration"));
    admin.patch(CONFIGURATION, &change(&[(ENABLED, json!(true))])).await.expect(200);
    assert_eq!(read().await, setting(json!(true), true, "workspace"));
}

#[apply(both_databases)]
async fn a_settings_update_is_all_or_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    for wrong in [
        change(&[(ALLOW_USERS, json!(true)), (MAX_DAYS, json!(0))]),
        change(&[(ALLOW_USERS, json!(true)), (MAX_DAYS, json!(36_501))]),
        change(&[(ALLOW_USERS, json!(true)), (MAX_DAYS, json!(-2))]),
        change(&[(ALLOW_USERS, json!(true)), ("feature.unknown", json!(true))]),
        change(&[(ALLOW_USERS, json!(true)), (ALLOW_USERS, json!(false))]),
    ] {
        admin.patch(CONFIGURATION, &wrong).await.expect_error(400, "ValidationFailed");
    }
    for wrong in [
        change(&[(ALLOW_USERS, json!(true)), (MAX_DAYS, json!(true))]),
        change(&[(ALLOW_USERS, json!(true)), (ENABLED, json!(1))]),
        change(&[(ALLOW_USERS, json!("true"))]),
        change(&[(MAX_DAYS, json!(1.5))]),
        json!({"configuration": {}}),
        json!({"configuration": [[ALLOW_USERS, true]]}),
        json!({}),
    ] {
        admin.patch(CONFIGURATION, &wrong).await.expect_error(400, "ApiValidationFailed");
    }
    assert!(admin.get(CONFIGURATION).await.json.as_array().unwrap().iter().all(|setting| setting["value"].is_null()));
    admin.patch(CONFIGURATION, &change(&[])).await.expect(200);
    for fine in [1, 36_500, -1] {
        admin.patch(CONFIGURATION, &change(&[(MAX_DAYS, json!(fine))])).await.expect(200);
    }
}

#[apply(both_databases)]
async fn the_configuration_schema_describes_all_settings(engine: Engine) {
    let app = TestApp::start(engine).await;
    let described = app.admin().get("/v4/workspaces/1/configuration-schema").await.expect(200).json;
    let labels: Vec<&str> =
        described.as_array().unwrap().iter().map(|setting| setting["label"].as_str().unwrap()).collect();
    assert_eq!(
        labels,
        [
            "API Access Token",
            "Allow users to generate access tokens",
            "Maximum lifetime for user generated access tokens (days)",
            "May a token create more tokens?",
            "Scopes of new tokens",
            "Require scopes",
            "Record where tokens are used from",
            "Days before expiry at which events announce it"
        ]
    );
    assert_eq!((&described[0]["type"], &described[0]["default"]), (&json!("boolean"), &json!(true)));
    assert_eq!(
        (&described[2]["minimum"], &described[2]["maximum"], &described[2]["default"]),
        (&json!(1), &json!(36_500), &json!(-1))
    );
    assert_eq!(
        (&described[7]["type"], &described[7]["maximum"], &described[7]["maxItems"], &described[7]["default"]),
        (&json!("array"), &json!(3_650), &json!(8), &json!([30, 7, 1]))
    );
    let catalog = &described[4];
    assert_eq!(
        (&catalog["type"], &catalog["maxItems"], &catalog["default"]),
        (&json!("array"), &json!(100), &json!([]))
    );
}

#[apply(both_databases)]
async fn settings_belong_to_the_administrators_of_the_workspace(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let other = app.create_workspace_with_admin("eve").await;
    let body = change(&[(ENABLED, json!(false))]);
    ada.get(CONFIGURATION).await.expect_error(403, "AccessControlException");
    ada.patch("/v4/workspaces/1/configuration", &body).await.expect_error(403, "AccessControlException");
    other.get("/v4/workspaces/1/configuration").await.expect_error(404, "DataNotFoundException");
    other.patch("/v4/workspaces/1/configuration", &body).await.expect_error(404, "DataNotFoundException");
    other
        .post("/v4/workspaces/1/delete-configuration", &json!({"settings": []}))
        .await
        .expect_error(404, "DataNotFoundException");
    // Platform administrators manage workspaces, but not their settings.
    let other_path = format!("/v4/workspaces/{}/configuration", other.workspace_id);
    app.admin().get(&other_path).await.expect_error(404, "DataNotFoundException");
    app.admin().get("/v4/workspaces/x/configuration").await.expect_error(404, "DataNotFoundException");
}

#[apply(both_databases)]
async fn disabled_token_routes_return_404(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let bearer = admin.create_token().await;
    let expired = admin.create_token_with(json!({"lifetimeSeconds": 1})).await;
    app.advance_seconds(1);
    app.set_setting("enabled", false).await;
    for (method, path) in [
        ("GET", "/v4/apiAccessTokens"),
        ("POST", "/v4/apiAccessTokens"),
        ("GET", &bearer.token_path()),
        ("DELETE", &bearer.token_path()),
    ] {
        for body in [one_hour_token().to_string(), "[]".to_owned()] {
            admin.send_json(method, path, body.clone()).await.expect_error(404, "RouteNotFoundException");
            bearer.send_json(method, path, body.clone()).await.expect_error(404, "RouteNotFoundException");
            expired.send_json(method, path, body.clone()).await.expect_error(401, "MissingPersonException");
            app.anonymous().send_json(method, path, body.clone()).await.expect_error(401, "MissingPersonException");
            admin
                .with_password("wrong")
                .send_json(method, path, body)
                .await
                .expect_error(401, "MissingPersonException");
        }
    }
    bearer.get("/v4/people/current").await.expect_error(401, "MissingPersonException");
    admin.get("/v4/people/current").await.expect(200);
    app.set_setting("enabled", true).await;
    assert!(bearer.is_accepted().await, "nothing was deleted");
}

#[apply(both_databases)]
async fn disabling_tokens_affects_one_workspace_only(engine: Engine) {
    let app = TestApp::start(engine).await;
    let other = app.create_workspace_with_admin("eve").await;
    let bearer = other.create_token().await;
    app.set_setting("enabled", false).await;
    assert!(bearer.is_accepted().await);
    app.set_setting("enabled", true).await;
    other.patch(CONFIGURATION, &change(&[(ENABLED, json!(false))])).await.expect(200);
    assert!(!bearer.is_accepted().await && app.admin().create_token().await.is_accepted().await);
}
