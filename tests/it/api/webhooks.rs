//! `/v4/webhooks`: validation, and what the responses contain.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{Engine, TestApp, both_databases};

const URL: &str = "https://hooks.example.com/path?key=secret-of-the-url";

#[apply(both_databases)]
async fn the_secret_is_only_in_the_response_to_the_creation(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let body = json!({"url": URL, "events": ["token.leaked", "token.created"]});
    let created = admin.post("/v4/webhooks", &body).await.expect(201);
    assert_eq!(created.headers["cache-control"], "no-store");
    let secret = created.json["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    let id = created.json["id"].as_str().unwrap();
    let path = created.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(path, format!("/v4/webhooks/{id}"));
    let read = admin.get(&path).await.expect(200);
    assert_eq!(read.json["events"], json!(["token.created", "token.leaked"]));
    assert_eq!((&read.json["url"], &read.json["isEnabled"]), (&json!(URL), &json!(true)));
    let changed = admin.patch(&path, &json!({"isEnabled": false, "events": ["*"]})).await.expect(200);
    assert_eq!(changed.json, json!({"id": id, "updatedAt": "2026-01-01T00:00:00.000Z"}));
    let listed = admin.get("/v4/webhooks").await.expect(200);
    assert_eq!((&listed.rows()[0]["events"], &listed.rows()[0]["isEnabled"]), (&json!(["*"]), &json!(false)));
    let events = admin.get("/v4/events?allUsers=true").await.expect(200);
    let recorded: Vec<_> = events.rows().iter().filter(|row| row["target"] == id).collect();
    assert_eq!((recorded.len(), &recorded[0]["label"]), (2, &json!("https://hooks.example.com")));
    let encoded = secret.trim_start_matches("whsec_");
    for response in [read, changed, listed, events] {
        assert!(!response.text.contains(encoded));
    }
    assert!(!admin.get("/v4/events?allUsers=true").await.text.contains("secret-of-the-url"));
    admin.delete(&path).await.expect(204);
    for method in ["GET", "PATCH", "DELETE"] {
        admin.send_json(method, &path, "{}").await.expect_error(404, "DataNotFoundException");
    }
}

#[apply(both_databases)]
async fn bodies_are_strict_and_errors_name_the_remedy(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let created = admin.post("/v4/webhooks", &json!({"url": URL, "events": ["*"]})).await.expect(201);
    let path = created.headers["location"].to_str().unwrap().to_owned();
    for (body, name, details) in [
        (json!({"url": URL}), "ApiValidationFailed", "missing field `events`."),
        (
            json!({"url": URL, "events": ["*"], "secret": "x"}),
            "ApiValidationFailed",
            "secret is unknown; the fields are url, events, isEnabled.",
        ),
        (json!({"url": URL, "events": ["*"], "is_enabled": true}), "ApiValidationFailed", "did you mean isEnabled?"),
        (
            json!({"url": URL, "events": ["*"], "isEnabled": null}),
            "ApiValidationFailed",
            "isEnabled must be a value other than null.",
        ),
        (json!({"url": URL, "events": "*"}), "ApiValidationFailed", "events must be a sequence."),
        (json!({"url": URL, "events": []}), "ValidationFailed", "at least one event"),
        (json!({"url": URL, "events": ["*", "token.leaked"]}), "ValidationFailed", "not both"),
        (json!({"url": URL, "events": ["token.leak"]}), "ValidationFailed", "the nearest is token.leaked"),
        (json!({"url": "hooks.example.com", "events": ["*"]}), "ValidationFailed", "absolute URL"),
        (
            json!({"url": "https://ada:x@hooks.example.com", "events": ["*"]}),
            "ValidationFailed",
            "user name or password",
        ),
        (json!({"url": "http://169.254.169.254/", "events": ["*"]}), "ValidationFailed", "not globally routable"),
        (json!({"url": "http://[::1]/", "events": ["*"]}), "ValidationFailed", "outbound.allow_private"),
        (json!({"url": "http://localhost./", "events": ["*"]}), "ValidationFailed", "outbound.allow_private"),
        (json!({"url": "http://10.0.0.7/", "events": ["*"]}), "ValidationFailed", "outbound.allow_private"),
    ] {
        let text = admin.post("/v4/webhooks", &body).await.expect_error(400, name);
        assert!(text.contains(details), "{body}: {text}");
        if !details.starts_with("missing") {
            admin.patch(&path, &body).await.expect_error(400, name);
        }
    }
    admin.patch(&path, &json!({"url": null})).await.expect_error(400, "ApiValidationFailed");
    admin.patch(&path, &json!({})).await.expect(200);
    for id in ["1", "00000000-0000-7000-8000-000000000000", "01a20a6ac1b57dc2aeac0281c48408b8"] {
        admin.get(&format!("/v4/webhooks/{id}")).await.expect_error(404, "DataNotFoundException");
    }
    for query in ["limit=0", "limit=1001", "cursor=x", "cursor=0", "offset=1"] {
        admin
            .get(&format!("{path}/deliveries?{query}"))
            .await
            .expect_error(400, if query.starts_with("limit") { "ValidationFailed" } else { "ApiValidationFailed" });
    }
    for _ in 1..20 {
        admin.post("/v4/webhooks", &json!({"url": URL, "events": ["*"]})).await.expect(201);
    }
    let full = admin.post("/v4/webhooks", &json!({"url": URL, "events": ["*"]})).await;
    assert!(full.expect_error(409, "ConflictException").contains("20 webhooks"));
}

#[apply(both_databases)]
async fn deliveries_are_listed_page_by_page(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let created = admin.post("/v4/webhooks", &json!({"url": URL, "events": ["token.created"]})).await.expect(201);
    let path = format!("{}/deliveries", created.headers["location"].to_str().unwrap());
    for _ in 0..5 {
        admin.create_token().await;
    }
    let mut seen = Vec::new();
    let mut page = admin.get(&format!("{path}?limit=2")).await.expect(200);
    loop {
        seen.extend(page.rows().iter().map(|row| row["eventId"].as_i64().unwrap()));
        let Some(cursor) = page.json["nextCursor"].as_str() else { break };
        page = admin.get(&format!("{path}?limit=2&cursor={cursor}")).await.expect(200);
    }
    assert!(seen.len() == 5 && seen.is_sorted_by(|a, b| a > b), "{seen:?}");
    let first_page = admin.get(&path).await.expect(200);
    let row = &first_page.rows()[0];
    assert_eq!(
        (&row["action"], &row["status"], &row["attempts"]),
        (&json!("token.created"), &json!("pending"), &json!(0))
    );
    assert!(row["attemptedAt"].is_null() && row["outcome"].is_null() && row["nextAttemptAt"].is_string(), "{row}");
}
