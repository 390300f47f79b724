//! The access log.

use serde_json::{Value, json};

use crate::support::{Database, Engine, binary::ServerProcess, http_client};

#[tokio::test]
async fn each_request_logs_one_line_with_route_status_and_ids() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = ServerProcess::start(&database.url);
    let http = http_client();
    let created = running.create_token(&http).await.unwrap();
    let id = created["tokenInfo"]["tokenId"].as_str().unwrap();
    let value = created["tokenValue"].as_str().unwrap();
    let url = format!("{}/v4/apiaccesstokens/{id}/", running.url);
    http.get(&url).bearer_auth(value).header("x-request-id", "look-for-me").send().await.unwrap();
    http.get(&url).bearer_auth(format!("{value}x")).header("x-request-id", "and-me").send().await.unwrap();
    running.send_signal("TERM");
    let (_, log) = running.wait_for_exit();
    let lines: Vec<Value> =
        log.lines().filter(|line| line.contains("-me\"")).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert_eq!((&lines[0]["http.status"], &lines[1]["http.status"]), (&json!(200), &json!(401)));
    let span = &lines[0]["span"];
    assert_eq!((&span["http.method"], &span["http.route"]), (&json!("GET"), &json!("/v4/apiAccessTokens/{tokenId}")));
    assert_eq!(
        (&span["request.id"], &span["person.id"], &span["token.id"]),
        (&json!("look-for-me"), &json!(1), &json!(id))
    );
    assert!(lines[0]["duration_ms"].is_number());
    assert_eq!(lines[1]["cause"], "the credential was rejected: malformed credential");
}
