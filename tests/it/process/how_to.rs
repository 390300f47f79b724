//! The commands of how-to guides, run one after another in a shell.

use std::{path::Path, process::Command};

use rstest::rstest;
use rstest_reuse::apply;

use crate::support::{Database, Engine, PASSWORD, binary::ServerProcess, both_databases_multi_thread, http_client};

/// Returns the code blocks of a guide in a language.
pub fn code_blocks(guide: &str, language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/how-to").join(guide);
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| block.strip_prefix(&format!("{language}\n"))).map(str::to_owned).collect()
}

/// Runs the commands of a guide in a folder, and returns what they print.
fn run_guide(guide: &str, url: &str, folder: &Path) -> String {
    let commands = code_blocks(guide, "sh").concat().replace("admin@localhost", "admin@example.com");
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &commands]).env("URL", url).env("PASSWORD", PASSWORD).current_dir(folder);
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{guide}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[apply(both_databases_multi_thread)]
async fn the_commands_that_renew_a_token_work(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = ServerProcess::start(&database.url);
    let http = http_client();
    let create = http.post(format!("{}/v4/apiAccessTokens", running.url));
    let create = create.basic_auth("admin@example.com", Some(PASSWORD)).json(&serde_json::json!({
        "lifetimeSeconds": 86_400, "scopes": ["reports:read", "tokenward:tokens:read", "tokenward:tokens:write"],
    }));
    let old: serde_json::Value = create.send().await.unwrap().json().await.unwrap();
    let old = old["tokenValue"].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, old).unwrap();
    let printed = run_guide("renew-a-token.md", &running.url, folder.path());
    assert!(printed.starts_with("sunset: ") && printed.contains(" GMT"), "{printed}");
    assert!(printed.contains("deletesAt") && printed.contains("replacedBy"), "{printed}");
    // Both tokens work now, and the new one has the scopes of the old one.
    let new = std::fs::read_to_string(file).unwrap();
    assert_ne!(new, old);
    for value in [old, &new] {
        let check = http.get(format!("{}/v4/auth/scope=reports:read", running.url)).bearer_auth(value);
        assert_eq!(check.send().await.unwrap().status(), 200);
    }
}

#[apply(both_databases_multi_thread)]
async fn the_commands_for_a_token_with_a_scope_print_what_the_guide_shows(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = ServerProcess::start(&database.url);
    let folder = tempfile::tempdir().unwrap();
    let printed = run_guide("read-only-token.md", &running.url, folder.path());
    assert_eq!(printed, code_blocks("read-only-token.md", "text").concat());
}

#[apply(both_databases_multi_thread)]
async fn the_commands_for_a_service_account_print_what_the_guide_shows(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = ServerProcess::start(&database.url);
    let folder = tempfile::tempdir().unwrap();
    let printed = run_guide("service-account.md", &running.url, folder.path());
    assert_eq!(printed, code_blocks("service-account.md", "text").concat());
}
