//! `tokenward login` as a process: with a running service, and with a server that sends scripted
//! responses.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse as _, routing::post};
use reqwest::redirect;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use super::{commands::run_failing, how_to::code_blocks};
use crate::support::{
    Database, Engine, PASSWORD,
    binary::{ServerProcess, send_signal, tokenward_command},
    both_databases_multi_thread, http_client,
};

/// A running `tokenward login`, or a shell that runs it.
struct Login {
    child: Child,
    /// The lines of standard error.
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Login {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                sender.send(line).ok();
            }
        });
        Self { child, lines, seen: Vec::new() }
    }

    fn with_arguments(arguments: &[&str]) -> Self {
        let mut command = tokenward_command("sqlite:unused");
        command.arg("login").args(arguments);
        Self::start(command)
    }

    /// Waits for the next line that begins with a text.
    fn wait_for(&mut self, start: &str) -> String {
        loop {
            let line = self.lines.recv().unwrap_or_else(|_| panic!("no {start:?} in {:#?}", self.seen));
            self.seen.push(line.clone());
            if line.starts_with(start) {
                return line;
            }
        }
    }

    /// Waits for the user code.
    fn user_code(&mut self) -> String {
        self.wait_for("    ").trim().to_owned()
    }

    /// Waits for the end. Returns the exit code, standard output and standard error.
    fn finish(mut self) -> (Option<i32>, String, String) {
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        let code = self.child.wait().unwrap().code();
        self.seen.extend(self.lines.iter());
        (code, stdout, self.seen.join("\n"))
    }
}

/// A person in a browser.
pub struct Person {
    url: String,
    http: reqwest::Client,
    cookie: String,
}

impl Person {
    /// Signs in as the first administrator.
    pub async fn sign_in(url: &str) -> Self {
        drop(http_client());
        let http = reqwest::Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        let mut person = Self { url: url.to_owned(), http, cookie: String::new() };
        let signed_in = person.post("/sign-in", &[("email", "admin@example.com"), ("password", PASSWORD)]).await;
        let cookies = signed_in.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
        let session = cookies.filter(|cookie| cookie.starts_with("tokenward=") && !cookie.contains("Max-Age=0"));
        person.cookie = session.map(|cookie| cookie.split(';').next().unwrap()).collect::<Vec<_>>().join("; ");
        person
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.http.get(format!("{}{path}", self.url)).header("cookie", &self.cookie).send().await.unwrap()
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> reqwest::Response {
        let request = self.http.post(format!("{}{path}", self.url)).header("origin", &self.url).form(form);
        request.header("sec-fetch-site", "same-origin").header("cookie", &self.cookie).send().await.unwrap()
    }

    /// Enters a user code, and approves or denies.
    pub async fn decide(&self, user_code: &str, decision: &str) {
        let entered = self.post("/device", &[("user_code", user_code)]).await;
        assert_eq!(entered.status(), 303, "{entered:?}");
        let path = entered.headers()["location"].to_str().unwrap().to_owned();
        assert!(path.starts_with("/device/"), "{path}");
        let page = self.get(&path).await.text().await.unwrap();
        let lifetime = page.split_once(r#"name="lifetime" value=""#).map(|(_, rest)| rest.split('"').next().unwrap());
        let fields = [("lifetime", lifetime.unwrap_or_else(|| panic!("{page}")))];
        assert_eq!(self.post(&format!("{path}/{decision}"), &fields).await.status(), 303);
    }
}

#[apply(both_databases_multi_thread)]
async fn a_login_prints_the_token_that_a_person_approved(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = ServerProcess::start(&database.url);
    let person = Person::sign_in(&running.url).await;
    let arguments =
        [running.url.as_str(), "--show", "--description", "nightly report", "--lifetime", "2d", "--scope", "a:read"];
    let mut approved = Login::with_arguments(&[&arguments[..], &["--scope", "b:read"]].concat());
    let mut denied = Login::with_arguments(&[&running.url, "--show"]);
    let page = approved.wait_for("Open ");
    assert!(page.contains("/device in a browser"), "{page}");
    person.decide(&approved.user_code(), "approve").await;
    person.decide(&denied.user_code(), "deny").await;
    let (code, value, stderr) = approved.finish();
    assert_eq!((code, value.lines().count()), (Some(0), 1), "{stderr}");
    assert!(stderr.contains("it expires in 2 days") && !stderr.contains(value.trim()), "{stderr}");
    let http = http_client();
    let check = http.get(format!("{}/v4/auth/scope=a:read,scope=b:read", running.url)).bearer_auth(value.trim());
    assert_eq!(check.send().await.unwrap().status(), 200);
    let list = http.get(format!("{}/v4/apiAccessTokens", running.url)).basic_auth("admin@example.com", Some(PASSWORD));
    let list: Value = list.send().await.unwrap().json().await.unwrap();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    assert_eq!(list["data"][0]["description"], "nightly report");
    let (code, value, stderr) = denied.finish();
    assert_eq!((code, value.as_str()), (Some(1), ""), "{stderr}");
    assert!(stderr.contains("the login was denied"), "{stderr}");
    // The log of the service has neither code nor token.
    assert!(!running.log().contains("twd_"), "{}", running.log());
}

/// Returns a server that responds to the beginning of a login, and then to each poll with the next of
/// these responses. Returns its URL and the times of the polls.
async fn scripted_server(begun: Value, responses: Vec<(u16, String)>) -> (String, Arc<Mutex<Vec<std::time::Instant>>>) {
    type Script = Arc<(Value, Mutex<VecDeque<(u16, String)>>, Arc<Mutex<Vec<std::time::Instant>>>)>;
    async fn next(State(script): State<Script>) -> axum::response::Response {
        script.2.lock().unwrap().push(std::time::Instant::now());
        let (status, body) = script.1.lock().unwrap().pop_front().expect("a response");
        (StatusCode::from_u16(status).unwrap(), body).into_response()
    }
    let polls = Arc::default();
    let script: Script = Arc::new((begun, Mutex::new(responses.into()), Arc::clone(&polls)));
    let router = Router::new()
        .route("/oauth2/device_authorization", post(async |State(script): State<Script>| axum::Json(script.0.clone())))
        .route("/oauth2/token", post(next))
        .with_state(script);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, polls)
}

fn begun() -> Value {
    json!({
        "device_code": "d", "user_code": "BCDF-\u{1b}[31mGHJK", "verification_uri": "https://tokens.example.com/device",
        "expires_in": 60, "interval": 1
    })
}

fn error(code: &str) -> (u16, String) {
    (400, json!({"error": code, "error_description": "a \u{1b}[2J text"}).to_string())
}

async fn run_against(begun: Value, responses: Vec<(u16, String)>) -> (Option<i32>, String, String) {
    let (url, _) = scripted_server(begun, responses).await;
    let login = Login::with_arguments(&[&url, "--show"]);
    tokio::task::spawn_blocking(|| login.finish()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_waits_as_the_service_demands_and_survives_failures() {
    let issued = json!({"access_token": "twd_x", "token_type": "Bearer"}).to_string();
    let script = vec![(503, String::new()), error("authorization_pending"), error("slow_down"), (200, issued)];
    let (url, polls) = scripted_server(begun(), script).await;
    let login = Login::with_arguments(&[&url, "--show"]);
    let (code, value, stderr) = tokio::task::spawn_blocking(|| login.finish()).await.unwrap();
    assert_eq!((code, value.as_str()), (Some(0), "twd_x\n"), "{stderr}");
    assert!(stderr.contains("no response, trying again: the service responded with 503"), "{stderr}");
    assert!(stderr.contains("it never expires") && !stderr.contains('\u{1b}'), "{stderr:?}");
    let polls = polls.lock().unwrap().clone();
    let gaps: Vec<u64> = polls.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
    assert!(gaps[0] >= 2 && gaps[1] >= 1 && gaps[2] >= 6, "{gaps:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_ends_with_the_reason() {
    for (responses, expected) in [
        (vec![error("access_denied")], "the login was denied: a "),
        (vec![error("expired_token")], "the code has expired"),
        (vec![error("invalid_grant")], "rejected the login (invalid_grant)"),
        (vec![(503, String::new()), error("invalid_grant")], "the response with the token was lost"),
        (vec![(404, "<html>".to_owned())], "the service responded with 404"),
        (vec![(200, "{}".to_owned())], "the response has no token"),
        (vec![(200, json!({"access_token": "a\nb"}).to_string())], "the response has no token"),
        (vec![(302, String::new())], "the service responded with 302"),
    ] {
        let (code, value, stderr) = run_against(begun(), responses).await;
        assert_eq!((code, value.as_str()), (Some(1), ""), "{expected}: {stderr}");
        assert!(stderr.contains(expected) && !stderr.contains('\u{1b}'), "{expected}: {stderr:?}");
    }
    for wrong in [json!({}), json!([]), json!({"device_code": "d", "user_code": "u", "expires_in": -1})] {
        let (code, _, stderr) = run_against(wrong, Vec::new()).await;
        assert_eq!(code, Some(1));
        assert!(stderr.contains("something else than RFC 8628 describes"), "{stderr}");
    }
    let mut short = begun();
    short["expires_in"] = json!(0);
    let (code, _, stderr) = run_against(short, Vec::new()).await;
    assert_eq!(code, Some(1));
    assert!(stderr.contains("the code has expired"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malicious_service_is_recognized() {
    for (field, value, expected) in [
        ("verification_uri", json!("javascript:alert(1)"), "the scheme is javascript"),
        ("verification_uri", json!("http://tokens.example.com/device"), "plain text"),
        ("verification_uri", json!("https://tokens.example.com/?code=BCDF"), "a query"),
        ("user_code", json!("B".repeat(65)), "a user code that is too long"),
    ] {
        let mut begun = begun();
        begun[field] = value;
        let (code, value, stderr) = run_against(begun, Vec::new()).await;
        assert_eq!((code, value.as_str()), (Some(1), ""), "{stderr}");
        assert!(stderr.contains(expected), "{expected}: {stderr}");
    }
    // An interval without end, and a page on another host.
    let mut endless = begun();
    endless["interval"] = json!(u64::MAX);
    endless["expires_in"] = json!(1);
    let (code, _, stderr) = run_against(endless, vec![error("authorization_pending")]).await;
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("The page is on another host than the service") && !stderr.contains("panicked"),
        "{stderr}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_login_ends_at_once() {
    let (url, _) = scripted_server(
        json!({"device_code": "d", "user_code": "BCDF-GHJK",
        "verification_uri": "https://tokens.example.com/device", "expires_in": 60, "interval": 30}),
        Vec::new(),
    )
    .await;
    let mut login = Login::with_arguments(&[&url, "--show"]);
    login.wait_for("Waiting for the approval");
    send_signal(login.child.id(), "INT");
    let (code, value, stderr) = login.finish();
    assert_eq!((code, value.as_str()), (Some(1), ""), "{stderr}");
    assert!(stderr.ends_with("tokenward: interrupted; the code expires by itself"), "{stderr}");
}

#[test]
fn wrong_arguments_are_rejected_before_any_request() {
    let run = |arguments: &[&str], code: i32| run_failing("sqlite:unused", &[&["login"], arguments].concat(), "", code);
    let stderr = run(&["https://tokens.example.com"], 1);
    assert!(stderr.contains("pass --show") && stderr.contains("TOKEN=$(tokenward login"), "{stderr}");
    assert!(run(&["http://tokens.example.com", "--show"], 2).contains("plain text"));
    assert!(run(&["tokens.example.com", "--show"], 2).contains("expected a URL"));
    assert!(run(&["https://x.example", "--show", "--lifetime", "90"], 2).contains("duration with a unit"));
    let stderr = run(&["https://127.0.0.1:1", "--show", "--ca-file", "/nonexistent"], 1);
    assert!(stderr.contains("cannot read certificates from /nonexistent"), "{stderr}");
    let stderr = run(&["http://127.0.0.1:1", "--show"], 1);
    assert!(stderr.contains("no response from http://127.0.0.1:1/oauth2/device_authorization"), "{stderr}");
}

/// Runs the commands of the guide. A person approves each login.
#[apply(both_databases_multi_thread)]
async fn the_commands_of_the_login_guide_work(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = ServerProcess::start(&database.url);
    let person = Person::sign_in(&running.url).await;
    let folder = tempfile::tempdir().unwrap();
    let commands = code_blocks("login.md", "sh").concat() + "printf '%s' \"$TOKEN\" > first\n";
    let mut shell = Command::new("bash");
    let program = Path::new(env!("CARGO_BIN_EXE_tokenward")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    shell.args(["-euo", "pipefail", "-c", &commands]).env("URL", &running.url).env("PATH", path);
    shell.current_dir(folder.path());
    let mut guide = Login::start(shell);
    for _ in 0..2 {
        person.decide(&guide.user_code(), "approve").await;
    }
    let (code, printed, stderr) = guide.finish();
    assert_eq!(code, Some(0), "{stderr}");
    let shown = code_blocks("login.md", "text");
    assert_eq!(printed, format!("admin@example.com\n{}", shown[1]), "{stderr}");
    // The guide shows the lines of standard error.
    for line in shown[0].lines().filter(|line| line.starts_with("Waiting") || line.starts_with("The login")) {
        assert!(stderr.contains(line), "{line} is not in {stderr}");
    }
    let check = http_client().get(format!("{}/v4/auth/scope=reports:read", running.url));
    let first = std::fs::read_to_string(folder.path().join("first")).unwrap();
    assert_eq!(check.bearer_auth(first).send().await.unwrap().status(), 200);
    let mode = std::os::unix::fs::PermissionsExt::mode(&folder.path().join("token").metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}
