//! The access log.

use serde_json::{Value, json};

use crate::support::{
    Database, Engine,
    binary::{ServerProcess, tokenward_command},
    http_client,
};

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
    let line = &lines[0];
    assert_eq!((&line["http.method"], &line["http.route"]), (&json!("GET"), &json!("/v4/apiAccessTokens/{tokenId}")));
    assert_eq!(
        (&line["request.id"], &line["person.id"], &line["token.id"]),
        (&json!("look-for-me"), &json!(1), &json!(id))
    );
    assert_eq!((&line["client.address"], &lines[1]["client.address"]), (&json!("127.0.0.1"), &json!("127.0.0.1")));
    assert!(line.get("span").is_none() && line.get("spans").is_none(), "{line}");
    assert!(lines[0]["duration_ms"].is_number());
    assert_eq!(lines[1]["cause"], "the credential was rejected: malformed credential");
}

/// Programs such as fail2ban read the client addresses of rejected sign-ins.
#[tokio::test]
async fn a_rejected_sign_in_logs_the_client_address_and_never_what_was_typed() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut serve = tokenward_command(&database.url);
    serve.env("TOKENWARD_LISTEN__TRUSTED_PROXIES", "[\"127.0.0.1\"]");
    let running = ServerProcess::start_with(serve);
    let http = http_client();
    let wrong = "a wrong password that is typed";
    for email in ["admin@example.com", "not-an-account@example.com"] {
        let url = format!("{}/v4/people/current", running.url);
        let request = http.get(url).basic_auth(email, Some(wrong)).header("x-forwarded-for", "192.0.2.7");
        assert_eq!(request.send().await.unwrap().status(), 401);
        let form = [("email", email), ("password", wrong)];
        let request = http.post(format!("{}/sign-in", running.url)).form(&form).header("x-forwarded-for", "192.0.2.8");
        let request = request.header("origin", &running.url);
        assert_eq!(request.send().await.unwrap().status(), 403);
    }
    running.send_signal("TERM");
    let (_, log) = running.wait_for_exit();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let denied: Vec<&Value> = lines.iter().filter(|line| line["message"] == "denied a sign-in").collect();
    let addresses: Vec<&Value> = denied.iter().map(|line| &line["client.address"]).collect();
    assert_eq!(addresses, ["192.0.2.7", "192.0.2.8", "192.0.2.7", "192.0.2.8"]);
    let people: Vec<&Value> = denied.iter().map(|line| &line["person.id"]).collect();
    assert_eq!(people, [&json!(1), &json!(1), &Value::Null, &Value::Null]);
    let text = log.lines().find(|line| line.contains("denied a sign-in")).unwrap();
    let (_, after) =
        text.split_once("\"message\":\"denied a sign-in\"").expect("the message in the form that filters match");
    assert!(after.contains("\"client.address\":\"192.0.2.7\""), "{text}");
    assert!(!log.contains(wrong) && !log.contains("not-an-account"), "{log}");
}

#[tokio::test]
async fn assets_are_logged_at_debug_level() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = ServerProcess::start(&database.url);
    let http = http_client();
    let page = http.get(format!("{}/sign-in", running.url)).send().await.unwrap().text().await.unwrap();
    let asset = page.split('"').find(|text| text.starts_with("/assets/")).unwrap();
    assert_eq!(http.get(format!("{}{asset}", running.url)).send().await.unwrap().status(), 200);
    assert_eq!(http.get(format!("{}/assets/missing", running.url)).send().await.unwrap().status(), 404);
    running.send_signal("TERM");
    let (_, log) = running.wait_for_exit();
    let assets: Vec<&str> = log.lines().filter(|line| line.contains("/assets/{file}")).collect();
    assert!(assets.len() == 1 && assets[0].contains("\"http.status\":404"), "{assets:?}");
}
