//! Sign-in through directories, OpenID and SAML providers, with the program as a process: its commands, beside a running service
//! and without one, several nodes, attacks and the configuration.

mod attack;
mod configuration;
mod link;
mod migrate;
mod nodes;
mod openid;
mod operator;
mod print;
mod saml;
mod sync;
mod test;

use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    sso::setup,
    support::{
        Database, Engine,
        binary::{ServerProcess, run_with_stdin, tokenward_command},
        directory::{Flavor, TestDirectory, password_of},
        http_client,
    },
};

/// A directory, a database, and the configuration file of the service.
struct Company {
    directory: TestDirectory,
    database: Database,
    folder: TempDir,
}

/// The output of a command.
struct Printed {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Company {
    async fn new(engine: Engine) -> Self {
        let directory = TestDirectory::start(Flavor::Slapd);
        let folder = tempfile::tempdir().unwrap();
        let company = Self { database: Database::empty(engine).await, folder, directory };
        company.write(&setup(&company.directory).to_toml());
        company
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("tokenward.toml")
    }

    /// Writes the configuration file.
    fn write(&self, text: &str) {
        std::fs::write(self.file(), text).unwrap();
    }

    fn command(&self) -> std::process::Command {
        let mut command = tokenward_command(&self.database.url);
        // The commands of clusters wait for nodes that have ended.
        command.env("TOKENWARD_CACHE__LEASE_DURATION", "2s");
        command
    }

    /// Runs `tokenward ARGUMENTS` with the configuration file. No command prints the password of the
    /// service's account, whatever the log filter.
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Printed {
        let mut command = self.command();
        command.args(arguments).arg("--config").arg(self.file()).env("RUST_LOG", "trace");
        let output = run_with_stdin(command, "");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let printed = Printed { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
        for secret in ["search", "grace"].map(password_of) {
            assert!(!printed.stdout.contains(&secret) && !printed.stderr.contains(&secret), "{arguments:?}");
        }
        printed
    }

    /// Runs a command that must succeed. Returns standard output and standard error.
    #[track_caller]
    fn run_ok(&self, arguments: &[&str]) -> (String, String) {
        let Printed { code, stdout, stderr } = self.run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {stderr}");
        (stdout, stderr)
    }

    /// Runs a command that must fail with code 1, and returns the error: one line in the style of all
    /// commands, without names of types.
    #[track_caller]
    fn run_failing(&self, arguments: &[&str]) -> String {
        let Printed { code, stderr, .. } = self.run(arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {stderr}");
        let error = stderr.strip_prefix("tokenward: ").and_then(|line| line.strip_suffix('\n'));
        let error = error.unwrap_or_else(|| panic!("{arguments:?}: {stderr:?}"));
        for sign in ["\n", "{", "::", "Error", "Some(", "Custom", "Os "] {
            assert!(!error.contains(sign), "{sign:?} in {error}");
        }
        let causes: Vec<&str> = error.split(": ").collect();
        for (n, cause) in causes.iter().enumerate() {
            assert!(!causes[..n].contains(cause), "{cause:?} twice in {error}");
        }
        error.to_owned()
    }

    /// Starts a node, and waits until it has synced for the first time or another node has.
    fn serve(&self) -> ServerProcess {
        let mut command = self.command();
        command.arg("--config").arg(self.file());
        let running = ServerProcess::start_with(command);
        self.wait_for_sync();
        running
    }

    /// Waits until a sync has ended. A command that syncs while a node syncs is an error.
    fn wait_for_sync(&self) {
        while self.status()["outcome"].is_null() {}
    }

    /// Returns the state of the provider as `tokenward sso status --json` prints it. The exit status
    /// tells failed and held syncs from others.
    fn status(&self) -> Value {
        let Printed { code, stdout, stderr } = self.run(&["sso", "status", "--json"]);
        let status = serde_json::from_str::<Value>(&stdout).unwrap()[0].clone();
        let (outcome, message) = (status["outcome"].as_str(), status["message"].as_str().unwrap());
        let expected = outcome.filter(|outcome| *outcome != "success").map_or(String::new(), |outcome| {
            format!("tokenward: the last sync changed nothing: company ({outcome}): {message}\n")
        });
        assert_eq!((code, stderr.as_str()), (Some(i32::from(!expected.is_empty())), expected.as_str()));
        status
    }
}

/// Signs a person in and returns the value of a token of the person.
async fn create_token(running: &ServerProcess, login: &str) -> String {
    let response = http_client()
        .post(format!("{}/v4/apiAccessTokens", running.url))
        .basic_auth(login, Some(password_of(login)))
        .json(&serde_json::json!({"lifetimeSeconds": 3600}))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 201, "{login}");
    let created: Value = response.json().await.unwrap();
    created["tokenValue"].as_str().unwrap().to_owned()
}

/// Returns the status of an auth check of a token.
async fn check_token(running: &ServerProcess, value: &str) -> u16 {
    let request = http_client().get(format!("{}/v4/auth", running.url)).bearer_auth(value);
    request.send().await.unwrap().status().as_u16()
}

/// Returns the status of a request with this name and password.
async fn check_password(running: &ServerProcess, name: &str, password: &str) -> u16 {
    let request = http_client().get(format!("{}/v4/people/current", running.url));
    request.basic_auth(name, Some(password)).send().await.unwrap().status().as_u16()
}

/// Signs a person in on the sign-in page and returns the session cookie.
async fn open_session(running: &ServerProcess, login: &str) -> String {
    let form = [("email", login), ("password", &password_of(login))];
    let request =
        browser().post(format!("{}/sign-in", running.url)).form(&form).header("sec-fetch-site", "same-origin");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 303, "{login}");
    let cookies = response.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let cookies: Vec<&str> = cookies.map(|cookie| cookie.split(';').next().unwrap()).collect();
    cookies.join("; ")
}

/// Returns the status of a page with a session cookie: 200, or 303 without a session.
async fn check_session(running: &ServerProcess, cookie: &str) -> u16 {
    let request = browser().get(format!("{}/preferences/profile", running.url)).header("cookie", cookie);
    request.send().await.unwrap().status().as_u16()
}

/// Returns an HTTP client that does not follow redirects.
fn browser() -> reqwest::Client {
    // It installs the rustls provider.
    drop(http_client());
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}
