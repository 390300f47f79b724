//! The public URL of a running service: derived from its listener, or configured.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use serde_json::Value;

use super::commands::run_ok;
use crate::support::{
    Database, Engine, PASSWORD,
    binary::{ServerProcess, tokenward_command},
    http_client,
};

/// The message of the warning about a missing public URL.
const WARNING: &str = "public_url is not set";

/// Returns the URLs in the responses of a service: OAuth issuer and endpoints, the address for leak
/// reports, and the server of the OpenAPI document.
async fn published_urls(running: &ServerProcess) -> Vec<String> {
    let http = http_client();
    let port = running.url.rsplit(':').next().unwrap();
    let get = async |path: &str| -> Value {
        let request = http.get(format!("http://127.0.0.1:{port}{path}"));
        let response = request.basic_auth("admin@example.com", Some(PASSWORD)).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    };
    let metadata = get("/.well-known/oauth-authorization-server").await;
    let (format, document) = (get("/.well-known/api-token-format").await, get("/v4/open-api-spec").await);
    let urls = [
        &metadata["issuer"],
        &metadata["introspection_endpoint"],
        &metadata["revocation_endpoint"],
        &format["reportTo"],
        &document["servers"][0]["url"],
    ];
    urls.map(|url| url.as_str().unwrap().to_owned()).to_vec()
}

fn urls_below(url: &str) -> Vec<String> {
    ["", "/oauth2/introspect", "/oauth2/revoke", "/v4/leaks", ""].map(|path| format!("{url}{path}")).to_vec()
}

#[tokio::test]
async fn an_unset_public_url_is_the_one_of_the_bound_port() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = ServerProcess::start(&database.url);
    assert!(!running.url.ends_with(":0"));
    assert_eq!(published_urls(&running).await, urls_below(&running.url));
    running.send_signal("TERM");
    let (_, log) = running.wait_for_exit();
    assert!(!log.contains(WARNING), "{log}");
}

#[tokio::test]
async fn a_listener_for_other_machines_warns_without_a_public_url() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = ServerProcess::start_on("0.0.0.0:0", tokenward_command(&database.url));
    let derived = running.url.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(published_urls(&running).await, urls_below(&derived));
    running.send_signal("TERM");
    let (_, log) = running.wait_for_exit();
    let warnings: Vec<Value> =
        log.lines().filter(|line| line.contains(WARNING)).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    assert_eq!((&warnings[0]["level"], &warnings[0]["url"]), (&"WARN".into(), &derived.into()));
    assert!(warnings[0]["remedy"].as_str().unwrap().starts_with("set public_url"), "{log}");
}

#[tokio::test]
async fn the_warning_is_readable_in_a_text_log() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut command = tokenward_command(&database.url);
    command.args(["serve", "--listen", "0.0.0.0:0"]).env("TOKENWARD_LOG__FORMAT", "text").stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut log = Vec::new();
    let warning = lines.inspect(|line| log.push(line.clone())).find(|line| line.contains(WARNING));
    child.kill().unwrap();
    child.wait().unwrap();
    let warning = warning.unwrap_or_else(|| panic!("{log:#?}"));
    for part in ["WARN", "links, the OAuth issuer and the address for leak reports", "set public_url to the URL"] {
        assert!(warning.contains(part), "{part} in {warning}");
    }
}

#[tokio::test]
async fn a_configured_public_url_is_used_without_a_warning() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut command = tokenward_command(&database.url);
    command.env("TOKENWARD_PUBLIC_URL", "https://tokens.example.com/");
    let running = ServerProcess::start_on("0.0.0.0:0", command);
    assert_eq!(published_urls(&running).await, urls_below("https://tokens.example.com"));
    running.send_signal("TERM");
    let (_, log) = running.wait_for_exit();
    assert!(!log.contains(WARNING), "{log}");
}

#[test]
fn commands_show_the_derived_url_and_its_source() {
    let print = |arguments: &[&str]| run_ok("sqlite:x", arguments, "");
    let printed = print(&["config", "print"]);
    assert!(printed.contains("# public_url = \"http://127.0.0.1:3005\"  # derived from listen.http\n"), "{printed}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    let (path, print_with) = (file.to_str().unwrap().to_owned(), |text: &str| {
        std::fs::write(&file, text).unwrap();
        [["config", "print"], ["scanner-rules", "gitleaks"], ["scanner-rules", "detect-secrets"]]
            .map(|arguments| run_ok("sqlite:x", &[&["--config", file.to_str().unwrap()][..], &arguments].concat(), ""))
    });
    let [printed, gitleaks, detect_secrets] = print_with("[listen]\nhttp = \"[::]:4000\"\n");
    assert!(printed.contains("# public_url = \"http://[::1]:4000\"  # derived from listen.http\n"), "{printed}");
    assert!(gitleaks.contains("http://[::1]:4000") && detect_secrets.contains("http://[::1]:4000"), "{gitleaks}");
    let [printed, gitleaks, _] = print_with("public_url = \"https://tokens.example.com\"\n");
    assert!(printed.contains(&format!("public_url = \"https://tokens.example.com\"  # {path}, line 1\n")), "{printed}");
    assert!(gitleaks.contains("https://tokens.example.com"), "{gitleaks}");
}
