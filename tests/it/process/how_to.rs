//! The commands of how-to guides, run one after another in a shell.

use std::{path::Path, process::Command};

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use crate::{
    support::{Database, Engine, PASSWORD, binary::ServerProcess, both_databases_multi_thread, http_client},
    workload::issuer::SigningKey,
};

/// Returns the code blocks of a guide in a language.
pub fn code_blocks(guide: &str, language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/how-to").join(guide);
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| block.strip_prefix(&format!("{language}\n"))).map(str::to_owned).collect()
}

/// Runs the commands of a guide in a folder, and returns what they print.
fn run_guide(guide: &str, url: &str, folder: &Path) -> String {
    run_guide_with(guide, url, folder, &[])
}

/// Runs the commands of a guide with more variables.
fn run_guide_with(guide: &str, url: &str, folder: &Path, variables: &[(&str, &str)]) -> String {
    let commands = code_blocks(guide, "sh").concat().replace("admin@localhost", "admin@example.com");
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &commands]).env("URL", url).env("PASSWORD", PASSWORD).current_dir(folder);
    shell.envs(variables.iter().copied());
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

#[apply(both_databases_multi_thread)]
async fn a_job_gets_uses_and_revokes_its_token_as_the_guide_shows(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = ServerProcess::start(&database.url);
    let folder = tempfile::tempdir().unwrap();
    let key = SigningKey::generate();
    std::fs::write(folder.path().join("jwks.json"), json!({"keys": [key.jwk("1")]}).to_string()).unwrap();
    let now = tokenward::domain::time::Clock::system().now().as_millis() / 1_000;
    let claims = json!({
        "iss": "https://ci.internal.example", "aud": "https://tokens.example.com", "sub": "job-1", "iat": now,
        "exp": now + 300, "jti": "1"
    });
    let jwt = key.sign(&json!({"alg": "ES256", "kid": "1"}), &claims.to_string());
    let printed = run_guide_with("ci-without-secrets.md", &running.url, folder.path(), &[("JWT", &jwt)]);
    assert_eq!(printed, code_blocks("ci-without-secrets.md", "text").concat());
    // The job has revoked its token at its end.
    let list = http_client().get(format!("{}/v4/apiAccessTokens?allUsers=true", running.url));
    let list = list.basic_auth("admin@example.com", Some(PASSWORD)).send().await.unwrap();
    assert_eq!(list.json::<serde_json::Value>().await.unwrap()["data"], json!([]));
}

/// The rules of the guide are accepted as they are printed, apart from the keys.
#[apply(both_databases_multi_thread)]
async fn the_rules_of_the_guide_are_accepted(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = ServerProcess::start(&database.url);
    let post = async |path: &str, body: &serde_json::Value| {
        let request = http_client().post(format!("{}{path}", running.url));
        let response = request.basic_auth("admin@example.com", Some(PASSWORD)).json(body).send().await.unwrap();
        assert_eq!(response.status(), 201, "{body}");
        response.json::<serde_json::Value>().await.unwrap()
    };
    let account = post("/v4/people", &json!({"kind": "service", "name": "deploy", "custodians": [1]})).await;
    let path = format!("/v4/people/{}/trust", account["id"]);
    let rules = code_blocks("ci-without-secrets.md", "json");
    assert_eq!(rules.len(), 3);
    for rule in rules {
        let mut rule: serde_json::Value = serde_json::from_str(&rule).unwrap();
        if rule.get("jwks").is_some() {
            rule["jwks"] = json!({"keys": [SigningKey::generate().jwk("1")]});
        }
        post(&path, &rule).await;
    }
}
