//! The guard crate: the remote verifier against a running service, and the two example programs.

use rstest::rstest;
use rstest_reuse::apply;
use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokenward_guard::{AuthError, DenialReason, RemoteVerifier, VerifierEvent, Verify as _, token_format::BearerToken};

use crate::support::{Database, Engine, PASSWORD, binary::ServerProcess, both_databases_multi_thread, http_client};

struct VerifierSetup {
    running: ServerProcess,
    service_token_json: Value,
    events: Arc<Mutex<Vec<VerifierEvent>>>,
    _database: Database,
}

impl VerifierSetup {
    async fn start(engine: Engine) -> Self {
        let database = Database::empty(engine).await;
        let running = ServerProcess::start(&database.url);
        let service_token_json = running.create_token(&http_client()).await.unwrap();
        Self { running, service_token_json, events: Arc::default(), _database: database }
    }

    fn service_token(&self) -> &str {
        self.service_token_json["tokenValue"].as_str().unwrap()
    }

    fn verifier(&self, cache_for: Duration) -> RemoteVerifier {
        let events = Arc::clone(&self.events);
        RemoteVerifier::builder(&self.running.url, self.service_token())
            .cache_ttl(cache_for)
            .on_event(move |event| events.lock().unwrap().push(event))
            .build()
            .unwrap()
    }

    /// Returns the number of requests to Tokenward that got a response.
    fn request_count(&self) -> usize {
        self.events.lock().unwrap().iter().filter(|event| matches!(event, VerifierEvent::Requested(_))).count()
    }

    async fn delete(&self, token: &Value) {
        let path =
            format!("{}/v4/apiAccessTokens/{}", self.running.url, token["tokenInfo"]["tokenId"].as_str().unwrap());
        let response = http_client().delete(path).basic_auth("admin@example.com", Some(PASSWORD)).send().await.unwrap();
        assert_eq!(response.status(), 204);
    }
}

fn bearer_token(token: &Value) -> BearerToken<'_> {
    BearerToken::parse(token["tokenValue"].as_str().unwrap()).unwrap()
}

#[apply(both_databases_multi_thread)]
async fn the_owner_of_a_token_is_returned_and_a_deleted_token_rejected(engine: Engine) {
    let setup = VerifierSetup::start(engine).await;
    let token = setup.running.create_token(&http_client()).await.unwrap();
    let verifier = setup.verifier(Duration::ZERO);
    let identity = verifier.verify(bearer_token(&token), None).await.unwrap();
    assert_eq!((identity.person_id, identity.workspace_id, identity.email.as_str()), (1, 1, "admin@example.com"));
    assert!(identity.is_admin && !identity.is_platform_admin);
    let info = identity.token().unwrap();
    assert_eq!(
        (info.id.to_string(), info.expires_at),
        (token["tokenInfo"]["tokenId"].as_str().unwrap().to_owned(), None)
    );
    setup.delete(&token).await;
    assert_eq!(verifier.verify(bearer_token(&token), None).await, Err(AuthError::Denied(DenialReason::Inactive)));
    let unknown = BearerToken::parse("nonsense").unwrap();
    assert_eq!(verifier.verify(unknown, None).await, Err(AuthError::Denied(DenialReason::Inactive)));
}

#[apply(both_databases_multi_thread)]
async fn a_hundred_concurrent_checks_send_one_request(engine: Engine) {
    let setup = VerifierSetup::start(engine).await;
    let token = setup.running.create_token(&http_client()).await.unwrap();
    let verifier = setup.verifier(Duration::from_secs(600));
    let checks = (0..100).map(|_| {
        let (verifier, token) = (verifier.clone(), token.clone());
        tokio::spawn(async move { verifier.verify(bearer_token(&token), None).await.is_ok() })
    });
    for check in checks.collect::<Vec<_>>() {
        assert!(check.await.unwrap());
    }
    assert_eq!(setup.request_count(), 1);
    // A deleted token stays valid until its cache entry expires.
    setup.delete(&token).await;
    assert!(verifier.verify(bearer_token(&token), None).await.is_ok());
    assert_eq!(setup.request_count(), 1);
}

#[apply(both_databases_multi_thread)]
async fn a_failed_check_is_unavailable(engine: Engine) {
    let setup = VerifierSetup::start(engine).await;
    let token = setup.running.create_token(&http_client()).await.unwrap();
    // The token of the service itself is rejected.
    let unauthenticated = RemoteVerifier::builder(&setup.running.url, "twd_nonsense").build().unwrap();
    assert_eq!(unauthenticated.verify(bearer_token(&token), None).await, Err(AuthError::Unavailable));
    let by_password = RemoteVerifier::builder(&setup.running.url, "").with_password("admin@example.com", PASSWORD);
    assert!(by_password.build().unwrap().verify(bearer_token(&token), None).await.is_ok());
    let wrong_url =
        RemoteVerifier::builder(&format!("{}/elsewhere", setup.running.url), setup.service_token()).build().unwrap();
    assert_eq!(wrong_url.verify(bearer_token(&token), None).await, Err(AuthError::Unavailable));
    let verifier = setup.verifier(Duration::ZERO);
    assert!(verifier.verify(bearer_token(&token), None).await.is_ok());
    setup.running.send_signal("STOP");
    let short_timeout = RemoteVerifier::builder(&setup.running.url, setup.service_token())
        .timeouts(Duration::from_millis(200), Duration::from_millis(200))
        .build()
        .unwrap();
    assert_eq!(short_timeout.verify(bearer_token(&token), None).await, Err(AuthError::Unavailable));
    setup.running.send_signal("KILL");
    assert_eq!(verifier.verify(bearer_token(&token), None).await, Err(AuthError::Unavailable));
    assert!(setup.events.lock().unwrap().contains(&VerifierEvent::Failed));
}

/// A running example program, killed when dropped.
struct Example(Child, String);

impl Example {
    fn start(name: &str, setup: &VerifierSetup) -> Self {
        // Cargo builds tests and examples into sibling folders.
        let folder = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("examples");
        let program: PathBuf = folder.join(name);
        assert!(program.exists(), "{} is built by cargo test --workspace --all-features", program.display());
        let mut command = Command::new(program);
        command.env("TOKENWARD_URL", &setup.running.url).env("TOKENWARD_TOKEN", setup.service_token());
        let mut child = command.env("LISTEN", "127.0.0.1:0").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self(child, line.trim().rsplit(' ').next().unwrap().to_owned())
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[apply(both_databases_multi_thread)]
async fn the_examples_authenticate_requests(engine: Engine) {
    let setup = VerifierSetup::start(engine).await;
    let http = http_client();
    for (name, hello) in [
        ("axum_service", "hello admin@example.com, person 1 of workspace 1\n"),
        ("tower_service", "hello administrator admin@example.com\n"),
    ] {
        let example = Example::start(name, &setup);
        let response = http.get(&example.1).bearer_auth(setup.service_token()).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.text().await.unwrap().as_str()), (200, hello), "{name}");
        let rejected = http.get(&example.1).bearer_auth("nonsense").send().await.unwrap();
        assert_eq!(rejected.status(), 401, "{name}");
        assert_eq!(http.get(&example.1).send().await.unwrap().status(), 401, "{name}");
    }
    setup.running.send_signal("KILL");
    let example = Example::start("axum_service", &setup);
    assert_eq!(http.get(&example.1).bearer_auth(setup.service_token()).send().await.unwrap().status(), 503);
}

#[test]
fn the_guard_crate_depends_on_no_database_and_no_password_hash() {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--package",
            "tokenward-guard",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--no-default-features",
            "--features",
            "remote,axum",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.contains("reqwest v") && tree.contains("axum-core v"), "{tree}");
    for absent in ["sqlx", "argon2", "askama", "axum v", "tonic", "clap", "openssl v"] {
        assert!(!tree.lines().any(|line| line.starts_with(absent)), "{absent} in {tree}");
    }
}
