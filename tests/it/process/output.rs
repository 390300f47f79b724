//! Standard output and standard error that nothing reads any more: `tokenward openapi | head -1`.

use std::{net::TcpStream, process::Stdio};

use crate::support::{
    Database, Engine,
    binary::{Running, command, run},
    http_client,
};

on_both_databases!(commands_end_quietly_when_their_output_is_closed);

/// Runs a command whose standard output is closed before it begins.
fn unread(url: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut unread = command(url);
    let output = unread.args(arguments).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

async fn commands_end_quietly_when_their_output_is_closed(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = Running::start(&database.url);
    running.make_token(&http_client()).await.unwrap();
    running.signal("TERM");
    assert_eq!(running.wait().0, Some(0));
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
        let (code, said) = unread(&database.url, arguments);
        assert_eq!((code, said.as_str()), (Some(0), ""), "{arguments:?}");
    }
    // A verdict is not lost with the lines that explain it.
    let end = format!("1:1:{}", "0".repeat(64));
    let (code, said) = unread(&database.url, &["audit", "verify", "--end", &end]);
    assert!(code == Some(1) && said.contains("1 findings"), "{code:?} {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_that_is_read_is_whole() {
    let database = Database::empty(Engine::Sqlite).await;
    for arguments in [&["openapi"][..], &["config", "default"], &["completions", "bash"]] {
        let mut read = command(&database.url);
        read.args(arguments);
        let output = run(read, "");
        assert!(output.status.success() && output.stderr.is_empty() && output.stdout.ends_with(b"\n"), "{arguments:?}");
    }
}

/// `tokenward 2>&1 | head -1`: the service answers as before, what it would have logged is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nothing_reads_stops_no_request() {
    let database = Database::empty(Engine::Sqlite).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut serve = command(&database.url);
    serve.args(["serve", "--listen", &format!("127.0.0.1:{port}")]).stdin(Stdio::null());
    let mut child = serve.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let http = http_client();
    for (path, status) in [("/v4/auth", 401), ("/v4/people", 401), ("/health/ready", 200)] {
        assert_eq!(http.get(format!("http://127.0.0.1:{port}{path}")).send().await.unwrap().status(), status);
    }
    std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
