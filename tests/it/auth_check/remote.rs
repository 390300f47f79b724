//! The layer for Rust services: a verifier that asks the running program, and the two examples.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::support::http_client;
use serde_json::Value;
use tokenward_guard::{AuthError, DenialReason, RemoteVerifier, VerifierEvent, Verify as _, token_format::BearerToken};

use crate::support::{Database, Engine, PASSWORD, binary::Running};

on_both_databases!(
    the_holder_of_a_token_is_told_and_a_deleted_one_refused,
    a_hundred_checks_of_a_new_token_ask_once,
    what_cannot_be_found_out_is_unavailable,
    the_examples_run,
);

struct Asking {
    running: Running,
    own: Value,
    events: Arc<Mutex<Vec<VerifierEvent>>>,
    _database: Database,
}

impl Asking {
    async fn start(engine: Engine) -> Self {
        let database = Database::empty(engine).await;
        let running = Running::start(&database.url);
        let own = running.make_token(&http_client()).await.unwrap();
        Self { running, own, events: Arc::default(), _database: database }
    }

    fn own_token(&self) -> &str {
        self.own["tokenValue"].as_str().unwrap()
    }

    fn verifier(&self, cache_for: Duration) -> RemoteVerifier {
        let events = Arc::clone(&self.events);
        RemoteVerifier::builder(&self.running.url, self.own_token())
            .cache_ttl(cache_for)
            .on_event(move |event| events.lock().unwrap().push(event))
            .build()
            .unwrap()
    }

    /// How often Tokenward was asked and answered.
    fn questions(&self) -> usize {
        self.events.lock().unwrap().iter().filter(|event| matches!(event, VerifierEvent::Requested(_))).count()
    }

    async fn delete(&self, token: &Value) {
        let path =
            format!("{}/v4/apiAccessTokens/{}", self.running.url, token["tokenInfo"]["tokenId"].as_str().unwrap());
        let gone = http_client().delete(path).basic_auth("admin@example.com", Some(PASSWORD)).send().await.unwrap();
        assert_eq!(gone.status(), 204);
    }
}

fn presented(token: &Value) -> BearerToken<'_> {
    BearerToken::parse(token["tokenValue"].as_str().unwrap()).unwrap()
}

async fn the_holder_of_a_token_is_told_and_a_deleted_one_refused(engine: Engine) {
    let asking = Asking::start(engine).await;
    let token = asking.running.make_token(&http_client()).await.unwrap();
    let verifier = asking.verifier(Duration::ZERO);
    let holder = verifier.verify(presented(&token)).await.unwrap();
    assert_eq!((holder.person_id, holder.workspace_id, holder.email.as_str()), (1, 1, "admin@example.com"));
    assert!(holder.is_admin && !holder.is_platform_admin);
    let told = holder.token().unwrap();
    assert_eq!(
        (told.id.to_string(), told.expires_at),
        (token["tokenInfo"]["tokenId"].as_str().unwrap().to_owned(), None)
    );
    asking.delete(&token).await;
    assert_eq!(verifier.verify(presented(&token)).await, Err(AuthError::Denied(DenialReason::Inactive)));
    let unknown = BearerToken::parse("nonsense").unwrap();
    assert_eq!(verifier.verify(unknown).await, Err(AuthError::Denied(DenialReason::Inactive)));
}

async fn a_hundred_checks_of_a_new_token_ask_once(engine: Engine) {
    let asking = Asking::start(engine).await;
    let token = asking.running.make_token(&http_client()).await.unwrap();
    let verifier = asking.verifier(Duration::from_secs(600));
    let checks = (0..100).map(|_| {
        let (verifier, token) = (verifier.clone(), token.clone());
        tokio::spawn(async move { verifier.verify(presented(&token)).await.is_ok() })
    });
    for check in checks.collect::<Vec<_>>() {
        assert!(check.await.unwrap());
    }
    assert_eq!(asking.questions(), 1);
    // This is what the length of the cache means.
    asking.delete(&token).await;
    assert!(verifier.verify(presented(&token)).await.is_ok());
    assert_eq!(asking.questions(), 1);
}

async fn what_cannot_be_found_out_is_unavailable(engine: Engine) {
    let asking = Asking::start(engine).await;
    let token = asking.running.make_token(&http_client()).await.unwrap();
    // A service whose own credential is refused learns nothing, and lets nobody in.
    let stranger = RemoteVerifier::builder(&asking.running.url, "twd_nonsense").build().unwrap();
    assert_eq!(stranger.verify(presented(&token)).await, Err(AuthError::Unavailable));
    let by_password = RemoteVerifier::builder(&asking.running.url, "").with_password("admin@example.com", PASSWORD);
    assert!(by_password.build().unwrap().verify(presented(&token)).await.is_ok());
    let lost =
        RemoteVerifier::builder(&format!("{}/elsewhere", asking.running.url), asking.own_token()).build().unwrap();
    assert_eq!(lost.verify(presented(&token)).await, Err(AuthError::Unavailable));
    let verifier = asking.verifier(Duration::ZERO);
    assert!(verifier.verify(presented(&token)).await.is_ok());
    asking.running.signal("STOP");
    let impatient = RemoteVerifier::builder(&asking.running.url, asking.own_token())
        .timeouts(Duration::from_millis(200), Duration::from_millis(200))
        .build()
        .unwrap();
    assert_eq!(impatient.verify(presented(&token)).await, Err(AuthError::Unavailable));
    asking.running.signal("KILL");
    assert_eq!(verifier.verify(presented(&token)).await, Err(AuthError::Unavailable));
    assert!(asking.events.lock().unwrap().contains(&VerifierEvent::Failed));
}

/// An example that runs until it is dropped.
struct Example(Child, String);

impl Example {
    fn start(name: &str, asking: &Asking) -> Self {
        // Tests and examples are built into neighbouring folders.
        let folder = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("examples");
        let program: PathBuf = folder.join(name);
        assert!(program.exists(), "{} is built by cargo test --all-features", program.display());
        let mut command = Command::new(program);
        command.env("TOKENWARD_URL", &asking.running.url).env("TOKENWARD_TOKEN", asking.own_token());
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

async fn the_examples_run(engine: Engine) {
    let asking = Asking::start(engine).await;
    let http = http_client();
    for (name, hello) in [
        ("axum_service", "hello admin@example.com, person 1 of workspace 1\n"),
        ("tower_service", "hello administrator admin@example.com\n"),
    ] {
        let example = Example::start(name, &asking);
        let let_in = http.get(&example.1).bearer_auth(asking.own_token()).send().await.unwrap();
        assert_eq!((let_in.status().as_u16(), let_in.text().await.unwrap().as_str()), (200, hello), "{name}");
        let refused = http.get(&example.1).bearer_auth("nonsense").send().await.unwrap();
        assert_eq!(refused.status(), 401, "{name}");
        assert_eq!(http.get(&example.1).send().await.unwrap().status(), 401, "{name}");
    }
    asking.running.signal("KILL");
    let example = Example::start("axum_service", &asking);
    assert_eq!(http.get(&example.1).bearer_auth(asking.own_token()).send().await.unwrap().status(), 503);
}

#[test]
fn the_layer_brings_no_database_and_no_password_hash() {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
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
