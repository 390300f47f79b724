//! `GET /v4/apiAccessTokens` with `Accept: text/csv`

use axum::body::Body;
use http::HeaderValue;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;
use tokenward::domain::time::Timestamp;

use crate::support::{ApiClient, Engine, TestApp, TestResponse, both_databases, insert_tokens_sql};

const PATH: &str = "/v4/apiAccessTokens";

async fn get_csv(client: &ApiClient, query: &str) -> TestResponse {
    let mut request = client.request("GET", &format!("{PATH}{query}"), Body::empty());
    request.headers_mut().insert("accept", HeaderValue::from_static("text/csv"));
    client.send(request).await
}

#[apply(both_databases)]
async fn tokens_are_exported_and_no_cell_is_a_formula(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let mut rows = String::new();
    for (description, cell) in [
        ("=HYPERLINK(\"http://x\")", "'=HYPERLINK(\"\"http://x\"\")"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("a,b", "a,b"),
        ("é", "é"),
    ] {
        let token = admin.create_token_with(json!({"lifetimeSeconds": -1, "description": description})).await;
        let (id, hint) = (&token.token_id, &token.value[..8]);
        rows += &format!(
            "\"{id}\",\"{cell}\",\"active\",\"2026-01-01T00:00:00.000Z\",\"\",\"\",\"{hint}\",\"\",\"1\",\
             \"admin@example.com\",\"\"\r\n"
        );
    }
    let response = get_csv(&admin, "?sort=tokenId").await.expect(200);
    let header =
        "tokenId,description,status,createdAt,expiredAt,lastUsed,hint,parentTokenId,personId,email,lastUsedFrom";
    let (first, rest) = response.text.split_once("\r\n").unwrap();
    assert_eq!(first, header);
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(rest), sorted(&rows));
    assert_eq!(response.headers["content-type"], "text/csv; charset=utf-8");
    assert_eq!(response.headers["content-disposition"], "attachment; filename=\"tokens.csv\"");
    assert_eq!(response.headers["cache-control"], "no-store");
}

#[apply(both_databases)]
async fn an_export_has_all_rows_unless_there_is_a_limit(engine: Engine) {
    let app = TestApp::start(engine).await;
    let fill = insert_tokens_sql(app.database.engine, 1_234, "", Timestamp::from_millis(1_767_225_600_000), None);
    let app = app.restart_after_sql(&fill).await;
    let admin = app.admin();
    for (query, rows) in [
        ("", 1_234),
        ("?allUsers=true", 1_234),
        ("?allUsers=true&sort=-lastUsed", 1_234),
        ("?allUsers=true&limit=5", 5),
        ("?limit=5&offset=1232", 2),
        ("?neverUsed=false", 0),
        ("?status=active", 1_234),
    ] {
        let response = get_csv(&admin, query).await.expect(200);
        assert_eq!(response.text.lines().count(), rows + 1, "{query}");
    }
    app.set_setting("allowUsers", true).await;
    let ada = app.add_person("ada").await;
    get_csv(&ada, "?allUsers=true").await.expect_error(403, "AccessControlException");
    get_csv(&ada, "?createdBefore=x").await.expect_error(400, "ApiValidationFailed");
    assert_eq!(get_csv(&ada, "").await.expect(200).text.lines().count(), 1);
    get_csv(&app.anonymous(), "").await.expect_error(401, "MissingPersonException");
}
