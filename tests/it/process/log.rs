//! What is logged of a request.

use serde_json::{Value, json};

use crate::support::{Database, Engine, binary::Running, http_client};

#[tokio::test]
async fn each_request_is_one_line_with_route_status_and_ids() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = Running::start(&database.url);
    let http = http_client();
    let made = running.make_token(&http).await.unwrap();
    let id = made["tokenInfo"]["tokenId"].as_str().unwrap();
    let value = made["tokenValue"].as_str().unwrap();
    let url = format!("{}/v4/apiaccesstokens/{id}/", running.url);
    http.get(&url).bearer_auth(value).header("x-request-id", "look-for-me").send().await.unwrap();
    http.get(&url).bearer_auth(format!("{value}x")).header("x-request-id", "and-me").send().await.unwrap();
    running.signal("TERM");
    let (_, log) = running.wait();
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
    assert_eq!(lines[1]["cause"], "the credential was refused: not a credential");
}
