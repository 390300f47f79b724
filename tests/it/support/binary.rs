//! The program itself, running.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread::JoinHandle,
};

use serde_json::Value;

use super::PASSWORD;

/// A `tokenward serve` that answers. It is killed when dropped.
pub struct Running {
    child: Child,
    pub url: String,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

/// The program with an environment of its own.
pub fn command(url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenward"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TOKENWARD_") || name == "RUST_LOG") {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL").env("TOKENWARD_DATABASE__URL", url);
    command.env("TOKENWARD_PASSWORDS__MEMORY_KIB", "64").env("TOKENWARD_PASSWORDS__ITERATIONS", "1");
    // What is limited is tested where it is limited.
    command.env("TOKENWARD_LIMITS__CREATED_TOKENS_PER_MINUTE", "0");
    command.env("TOKENWARD_LIMITS__REFUSED_BEARERS_PER_MINUTE", "0");
    command.env("TOKENWARD_ADMIN_EMAIL", "admin@example.com").env("TOKENWARD_ADMIN_PASSWORD", PASSWORD);
    command
}

/// Runs a command to its end, with this on its standard input.
pub fn run(mut command: Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

impl Running {
    pub fn start(url: &str) -> Self {
        Self::start_with(command(url))
    }

    /// Starts the service on a free port and waits for the line that says it answers.
    pub fn start_with(mut command: Command) -> Self {
        command.args(["serve", "--listen", "127.0.0.1:0"]).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&log);
        let (say, heard) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            let mut line = Vec::new();
            while stderr.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line);
                if let Some(url) = text.trim_end().strip_prefix("listening on ") {
                    say.send(url.to_owned()).ok();
                }
                written.lock().unwrap().push_str(&text);
                line.clear();
            }
        });
        match heard.recv() {
            Ok(url) => Self { child, url, log, reader: Some(reader) },
            Err(_) => panic!("the service did not start: {}", log.lock().unwrap()),
        }
    }

    /// What it has written to standard error until now.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status().unwrap();
        assert!(sent.success());
        // The threads stop one after another, and one that has not yet may still answer.
        while name == "STOP" && !self.is_stopped() {
            std::thread::yield_now();
        }
    }

    /// Whether every thread stands still (`T` behind the name in its `stat`, proc(5)).
    fn is_stopped(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.id())).unwrap();
        threads.flatten().all(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
        })
    }

    /// Waits until it is gone; gives its exit code and everything it wrote to standard error.
    pub fn wait(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        (status.code(), self.log.lock().unwrap().clone())
    }

    /// Makes a token as the first administrator; gives the answer.
    pub async fn make_token(&self, client: &reqwest::Client) -> Option<Value> {
        let sent = client
            .post(format!("{}/v4/apiAccessTokens", self.url))
            .basic_auth("admin@example.com", Some(PASSWORD))
            .json(&serde_json::json!({"lifetimeSeconds": -1}))
            .send()
            .await;
        let reply = sent.ok()?;
        if reply.status() == 201 { reply.json().await.ok() } else { None }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
