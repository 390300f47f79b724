//! The first start, with and without a terminal, and the terminal itself.

use rstest::rstest;
use rstest_reuse::apply;
use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::support::{
    Database, Engine,
    binary::{ServerProcess, run_with_stdin, tokenward_command},
    both_databases_multi_thread, http_client,
};

/// Starts the server without configured credentials, in a folder of its own.
pub fn first_start(database: &Database, folder: &Path) -> ServerProcess {
    let mut fresh = tokenward_command(&database.url);
    fresh.env_remove("TOKENWARD_ADMIN_EMAIL").env_remove("TOKENWARD_ADMIN_PASSWORD").current_dir(folder);
    ServerProcess::start_with(fresh)
}

/// Returns the log line that reports the first administrator.
pub fn created_administrator(log: &str) -> Option<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let is_report = |line: &Value| {
        line["message"].as_str().is_some_and(|message| message.contains("created the first administrator"))
    };
    lines.into_iter().find(is_report)
}

/// A log that is not a terminal is stored and read by other programs.
#[apply(both_databases_multi_thread)]
async fn a_generated_password_is_in_a_private_file_and_not_in_the_log(engine: Engine) {
    let database = Database::empty(engine).await;
    let folder = tempfile::tempdir().unwrap();
    let running = first_start(&database, folder.path());
    let log = running.log();
    let line = created_administrator(&log).unwrap_or_else(|| panic!("{log}"));
    assert_eq!(line["email"], "admin@localhost");
    let file = PathBuf::from(line["password_file"].as_str().unwrap());
    let expected = match engine {
        Engine::Sqlite => Path::new(database.url.trim_start_matches("sqlite:")).parent().unwrap().to_owned(),
        Engine::Postgres => folder.path().canonicalize().unwrap(),
    };
    assert_eq!(file.parent().unwrap().canonicalize().unwrap(), expected.canonicalize().unwrap());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let password = std::fs::read_to_string(&file).unwrap();
    assert!(!log.contains(password.trim()), "the log contains the password");
    // Every line is JSON.
    for line in log.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    let http = http_client();
    let tokens = format!("{}/v4/apiAccessTokens", running.url);
    let body = json!({"lifetimeSeconds": 60});
    let created =
        http.post(&tokens).basic_auth("admin@localhost", Some(password.trim())).json(&body).send().await.unwrap();
    assert_eq!(created.status(), 201);
    // A later start creates no administrator.
    drop(running);
    std::fs::remove_file(&file).unwrap();
    let second_run = first_start(&database, folder.path());
    assert!(created_administrator(&second_run.log()).is_none() && !file.exists());
}

/// No account is created if the password cannot be delivered.
#[tokio::test]
async fn a_start_that_cannot_write_the_password_creates_no_account() {
    let database = Database::empty(Engine::Postgres).await;
    let folder = tempfile::tempdir().unwrap();
    let gone = folder.path().join("gone");
    std::fs::create_dir(&gone).unwrap();
    let mut script = Command::new("sh");
    script
        .args(["-c", "cd gone && rmdir ../gone && exec \"$0\" serve --listen 127.0.0.1:0"])
        .current_dir(folder.path());
    let program = tokenward_command(&database.url);
    script.arg(program.get_program());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    script.env_remove("TOKENWARD_ADMIN_PASSWORD");
    let output = run_with_stdin(script, "");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && stderr.contains("TOKENWARD_ADMIN_PASSWORD_FILE"), "{stderr}");
    assert_eq!(database.query_text("select count(*)::text from person").await.as_deref(), Some("0"));
}

#[tokio::test]
async fn a_terminal_shows_the_password_and_the_first_command() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut python = run_on_terminal(&database, TERMINAL_SCRIPT);
    python.env_remove("TOKENWARD_ADMIN_EMAIL").env_remove("TOKENWARD_ADMIN_PASSWORD").env("TERM", "dumb");
    python.arg("curl");
    let output = run_with_stdin(python, "");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    for shown in ["First start.", "admin@localhost", "database  sqlite:/", "person set-password", "\"tokenValue\""] {
        assert!(stdout.contains(shown), "{shown} in {stdout}");
    }
    assert!(stdout.contains("INFO POST /v4/apiAccessTokens 201 "), "{stdout}");
    assert!(!stdout.contains('\u{1b}'), "TERM=dumb has no colors: {stdout}");
    let folder = Path::new(database.url.trim_start_matches("sqlite:")).parent().unwrap();
    assert!(!folder.join("tokenward-admin-password").exists());
}

/// Runs the program on a terminal until it listens. With the argument `curl`, runs the command that
/// it prints. Then closes the terminal. Prints all output, and exits as the program does.
const TERMINAL_SCRIPT: &str = "\
import os, pty, re, signal, subprocess, sys
process, terminal = pty.fork()
if process == 0:
    os.execv(sys.argv[1], sys.argv[1:4] + ['127.0.0.1:0'])
output = b''
while not re.search(rb'listening on \\S+\\r?\\n', output):
    output += os.read(terminal, 65536)
if 'curl' in sys.argv:
    command = re.search(r'curl -u .*', output.decode().replace('\\r', ''))[0]
    output += subprocess.run(['sh', '-c', command + ' -sS'], stdout=subprocess.PIPE, check=True).stdout
os.kill(process, signal.SIGHUP)
try:
    while part := os.read(terminal, 65536):
        output += part
except OSError:
    pass
sys.stdout.buffer.write(output)
status = os.waitpid(process, 0)[1]
sys.exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 99)
";

/// Returns the command that runs the server on a terminal.
fn run_on_terminal(database: &Database, script: &str) -> Command {
    let program = tokenward_command(&database.url);
    let mut python = Command::new("python3");
    python.args(["-c", script]).arg(program.get_program()).args(["serve", "--listen"]);
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => python.env(name, value),
            None => python.env_remove(name),
        };
    }
    python
}

/// Closing the terminal stops the service gracefully.
#[tokio::test]
async fn sighup_stops_gracefully_on_a_terminal() {
    let database = Database::empty(Engine::Sqlite).await;
    let output = run_with_stdin(run_on_terminal(&database, TERMINAL_SCRIPT), "");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(0) && stdout.contains("stopped"), "{:?} {stdout}", output.status);
}
