//! The `tokenward` binary: one-off commands and running servers.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread::JoinHandle,
};

use serde_json::Value;

use super::PASSWORD;

/// A running `tokenward serve`. It is killed when dropped.
pub struct ServerProcess {
    child: Child,
    pub url: String,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

/// Returns the `tokenward` command with a clean environment and the given database.
pub fn tokenward_command(url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenward"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TOKENWARD_") || name == "RUST_LOG") {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL").env("TOKENWARD_DATABASE__URL", url);
    command.env("TOKENWARD_PASSWORDS__ARGON2__MEMORY_KIB", "64").env("TOKENWARD_PASSWORDS__ARGON2__ITERATIONS", "1");
    // The tests of the rate limits set them.
    command.env("TOKENWARD_RATE_LIMITS__TOKEN_CREATION_PER_MINUTE", "0");
    command.env("TOKENWARD_RATE_LIMITS__REJECTED_TOKENS_PER_IP_PER_MINUTE", "0");
    command.env("TOKENWARD_ADMIN_EMAIL", "admin@example.com").env("TOKENWARD_ADMIN_PASSWORD", PASSWORD);
    command
}

/// Runs a command with `input` on its standard input, and returns its output.
pub fn run_with_stdin(mut command: Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Returns the URL in a log line, if it has this message.
fn logged_url(line: &str, message: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    if line["message"] == message { Some(line["url"].as_str()?.to_owned()) } else { None }
}

impl ServerProcess {
    pub fn start(url: &str) -> Self {
        Self::start_with(tokenward_command(url))
    }

    /// Starts the server on a free port and waits until it logs its address.
    pub fn start_with(command: Command) -> Self {
        Self::start_on("127.0.0.1:0", command)
    }

    /// Starts the server on an address and waits until it logs it.
    pub fn start_on(address: &str, mut command: Command) -> Self {
        command.args(["serve", "--listen", address]).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let shared_log = Arc::clone(&log);
        let (sender, receiver) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            let mut line = Vec::new();
            while stderr.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line);
                if let Some(url) = logged_url(&text, "listening") {
                    sender.send(url).ok();
                }
                shared_log.lock().unwrap().push_str(&text);
                line.clear();
            }
        });
        match receiver.recv() {
            Ok(url) => Self { child, url, log, reader: Some(reader) },
            Err(_) => panic!("the server did not start: {}", log.lock().unwrap()),
        }
    }

    /// Returns host and port of the URL in the log line with this message.
    fn logged_address(&self, message: &str) -> String {
        let url = self.log().lines().find_map(|line| logged_url(line, message)).expect("a line with a URL");
        url.split("://").nth(1).unwrap().split('/').next().unwrap().to_owned()
    }

    /// Returns host and port of the gRPC listener.
    pub fn grpc_address(&self) -> String {
        self.logged_address("listening for ext_authz")
    }

    /// Returns host and port of the metrics listener.
    pub fn metrics_address(&self) -> String {
        self.logged_address("serving metrics")
    }

    /// Returns everything written to standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends the named signal.
    pub fn send_signal(&self, name: &str) {
        send_signal(self.pid(), name);
        // The threads stop one after another; a running one may still respond.
        while name == "STOP" && !is_suspended(self.pid()) {
            std::thread::yield_now();
        }
    }

    /// Waits for the process to exit; returns its exit code and everything it wrote to standard
    /// error.
    pub fn wait_for_exit(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        (status.code(), self.log.lock().unwrap().clone())
    }

    /// Creates a token as the first administrator. Returns the response, or `None` if the request
    /// failed.
    pub async fn create_token(&self, client: &reqwest::Client) -> Option<Value> {
        let result = client
            .post(format!("{}/v4/apiAccessTokens", self.url))
            .basic_auth("admin@example.com", Some(PASSWORD))
            .json(&serde_json::json!({"lifetimeSeconds": -1}))
            .send()
            .await;
        let response = result.ok()?;
        if response.status() == 201 { response.json().await.ok() } else { None }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Sends the named signal to a process.
pub fn send_signal(pid: u32, name: &str) {
    let result = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap();
    assert!(result.success());
}

/// Returns whether all threads of a process are stopped: state `T` after the name in their `stat`
/// (proc(5)).
pub fn is_suspended(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads.flatten().all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
    })
}
