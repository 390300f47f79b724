//! Standard output or standard error that is closed early, as in `tokenward openapi | head -1`.

use rstest::rstest;
use rstest_reuse::apply;
use std::{net::TcpStream, process::Stdio};

use crate::support::{
    Database, Engine,
    binary::{ServerProcess, run_with_stdin, tokenward_command},
    both_databases_multi_thread, http_client,
};

/// Runs a command whose standard output is closed from the start. Returns its exit code and
/// standard error.
fn run_with_closed_stdout(url: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut closed = tokenward_command(url);
    let output = closed.args(arguments).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[apply(both_databases_multi_thread)]
async fn commands_exit_without_an_error_if_their_output_is_closed(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = ServerProcess::start(&database.url);
    running.create_token(&http_client()).await.unwrap();
    running.send_signal("TERM");
    assert_eq!(running.wait_for_exit().0, Some(0));
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["config", "default"],
        &["config", "print"],
        &["openapi"],
        &["completions", "bash"],
        &["scanner-rules", "gitleaks"],
        &["scanner-rules", "trufflehog"],
        &["scanner-rules", "detect-secrets"],
        &["person", "list"],
        &["workspace", "list"],
        &["workspace", "add", "--help"],
        &["audit", "export"],
        &["audit", "verify"],
    ] {
        let (code, stderr) = run_with_closed_stdout(&database.url, arguments);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
    // A failed verification is still reported by the exit code.
    let end = format!("1:1:{}", "0".repeat(64));
    let (code, stderr) = run_with_closed_stdout(&database.url, &["audit", "verify", "--end", &end]);
    assert!(code == Some(1) && stderr.contains("1 findings"), "{code:?} {stderr}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_output_is_complete() {
    let database = Database::empty(Engine::Sqlite).await;
    for arguments in [&["openapi"][..], &["config", "default"], &["completions", "bash"]] {
        let mut print = tokenward_command(&database.url);
        print.args(arguments);
        let output = run_with_stdin(print, "");
        assert!(output.status.success() && output.stderr.is_empty() && output.stdout.ends_with(b"\n"), "{arguments:?}");
    }
}

/// As in `tokenward 2>&1 | head -1`: the service continues, and its log lines are lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_log_stops_no_request() {
    let database = Database::empty(Engine::Sqlite).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut serve = tokenward_command(&database.url);
    serve.args(["serve", "--listen", &format!("127.0.0.1:{port}")]).stdin(Stdio::null());
    let mut child = serve.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(child.try_wait().unwrap().is_none(), "the service exited");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let http = http_client();
    for (path, status) in [("/v4/auth", 401), ("/v4/people", 401), ("/health/ready", 200)] {
        assert_eq!(http.get(format!("http://127.0.0.1:{port}{path}")).send().await.unwrap().status(), status);
    }
    std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
