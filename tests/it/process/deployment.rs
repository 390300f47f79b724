//! The files in `deploy` with which the service is run: the systemd unit, and the compose file with its Caddyfile.

use std::{
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use crate::support::{
    Database, Engine,
    binary::{ServerProcess, tokenward_command},
};

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)
}

fn run(mut command: Command) -> Output {
    let program = command.get_program().to_owned();
    command.output().unwrap_or_else(|error| panic!("this test needs {program:?}: scripts/test installs it ({error})"))
}

#[track_caller]
fn assert_success(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}

#[test]
fn the_systemd_unit_is_valid_and_confined() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("tokenward.service");
    let text = std::fs::read_to_string(deploy("tokenward.service")).unwrap();
    // The verification requires that the program exists.
    std::fs::write(
        &unit,
        text.replace("/usr/local/bin/tokenward serve", concat!(env!("CARGO_BIN_EXE_tokenward"), " serve")),
    )
    .unwrap();
    let systemd_analyze = |arguments: &[&str]| {
        let mut command = Command::new("systemd-analyze");
        command.args(arguments).arg("--no-pager").arg(&unit);
        run(command)
    };
    let verified = systemd_analyze(&["verify"]);
    assert_success(&verified);
    assert!(verified.stderr.is_empty(), "{}", String::from_utf8_lossy(&verified.stderr));
    // An exposure of at most 1.5 of 10; without the settings it is 9.
    assert_success(&systemd_analyze(&["security", "--offline=true", "--threshold=15"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_manager_is_notified() {
    let database = Database::empty(Engine::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let receive = || {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    };
    let mut serve = tokenward_command(&database.url);
    serve.env("NOTIFY_SOCKET", &path);
    let running = ServerProcess::start_with(serve);
    assert_eq!(receive(), "READY=1");
    running.send_signal("TERM");
    assert_eq!(receive(), "STOPPING=1");
    assert_eq!(running.wait_for_exit().0, Some(0));
}

#[test]
fn the_compose_file_matches_its_schema() {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/check-jsonschema");
    let mut command = Command::new(program);
    command.args(["--builtin-schema", "vendor.compose-spec"]).arg(deploy("compose.yaml"));
    assert_success(&run(command));
}

/// The variables of the compose file are known, and their values are valid.
#[test]
fn the_compose_file_configures_tokenward() {
    let text = std::fs::read_to_string(deploy("compose.yaml")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenward"));
    command.args(["config", "print"]).env_clear();
    let mut variables = 0;
    for (name, value) in text.lines().filter_map(|line| line.trim().split_once(": ")) {
        if name.starts_with("TOKENWARD_") || name == "DATABASE_URL" {
            let mut value = value.trim_matches(['"', '\'']).to_owned();
            for (variable, set_to) in [("DOMAIN", "tokens.example.com"), ("POSTGRES_PASSWORD", "secret")] {
                value = value.replace(&format!("${{{variable}:?set it in .env}}"), set_to);
            }
            command.env(name, value);
            variables += 1;
        }
    }
    assert_eq!(variables, 6);
    let output = run(command);
    assert_success(&output);
    let printed = String::from_utf8_lossy(&output.stdout);
    for expected in ["https://tokens.example.com", "172.30.5.0/24", "0.0.0.0:9465"] {
        assert!(printed.contains(expected), "{expected} is not in {printed}");
    }
}

#[test]
fn caddy_accepts_the_caddyfile_of_the_compose_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut caddy = Command::new("caddy");
    caddy.args(["validate", "--adapter", "caddyfile", "--config"]).arg(deploy("Caddyfile"));
    caddy.env("HOME", folder.path()).env("DOMAIN", "tokens.example.com");
    assert_success(&run(caddy));
}
