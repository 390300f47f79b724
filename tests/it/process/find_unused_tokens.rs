//! The commands of the how-to guide about unused tokens, run one after another in a shell.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};
use std::process::Command;
use tokenward::domain::time::Timestamp;

use super::tutorial::command_blocks;
use crate::support::{
    Database, Engine, PASSWORD, binary::ServerProcess, both_databases_multi_thread, http_client, insert_tokens_sql,
};

#[apply(both_databases_multi_thread)]
async fn the_commands_find_export_and_delete_unused_tokens(engine: Engine) {
    let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/how-to/find-unused-tokens.md"));
    let database = Database::empty(engine).await;
    let running = ServerProcess::start(&database.url);
    let request = http_client().post(format!("{}/v4/apiAccessTokens", running.url));
    let request = request.basic_auth("admin@example.com", Some(PASSWORD)).json(&json!({"lifetimeSeconds": 600}));
    let created: Value = request.send().await.unwrap().json().await.unwrap();
    // Tokens of the year 2024 that were never used, more than one request deletes.
    let old = Timestamp::from_millis(1_704_067_200_000);
    running.send_signal("TERM");
    tokio::task::block_in_place(|| running.wait_for_exit());
    database.execute_sql(&insert_tokens_sql(engine, 1_200, "", old, None)).await;
    let running = ServerProcess::start(&database.url);
    let script = command_blocks(&guide.unwrap()).replace("URL=http://127.0.0.1:3005", &format!("URL={}", running.url));
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &script]).env("TOKEN", created["tokenValue"].as_str().unwrap());
    let output = tokio::task::block_in_place(|| shell.current_dir(folder.path()).output().unwrap());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let mut lines = printed.lines();
    assert_eq!([lines.next(), lines.next()], [Some("1200"), Some("0")], "{printed}");
    assert!(lines.next().unwrap().starts_with("tokenId,description,status,createdAt"), "{printed}");
    let results: Vec<Value> = lines.by_ref().take(3).map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = [(1_200, 0), (1_200, 1_000), (200, 200)];
    assert_eq!(results, expected.map(|(matched, deleted)| json!({"matched": matched, "deleted": deleted})));
    let details: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!((&details["count"], &details["filter"]["neverUsed"]), (&json!(200), &json!(true)), "{printed}");
    let csv = std::fs::read_to_string(folder.path().join("tokens.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1_202, "the header, the old tokens, and the one in use");
}
