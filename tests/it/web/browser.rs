//! Browser tests in a real Chromium, driven by the stories of `tests/browser`. They use
//! playwright-core because it disables JavaScript, navigates the history, runs axe, reports console
//! messages and waits for elements instead of sleeping.

use std::{path::Path, process::Stdio};

use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokenward::{config::MailTls, http::pipeline::HttpService};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    process::Command,
};

use crate::support::{Database, Engine, TestApp};

macro_rules! stories {
    ($($engine:ident: $name:ident => $file:literal),* $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            run_story(TestApp::start(Engine::$engine).await, $file).await;
        })*
    };
}

stories!(
    Sqlite: every_page_is_accessible_and_fits => "every-page",
    Sqlite: every_page_of_the_api_reference_is_accessible => "reference",
    Postgres: the_manuals_steps_work => "manual",
    Sqlite: the_manuals_steps_work_without_scripts => "manual-without-scripts",
    Postgres: a_value_is_shown_once => "shown-once",
    Sqlite: administrator_changes_take_effect_at_once => "administrator",
    Postgres: administration_works_without_scripts => "administrator-without-scripts",
    Sqlite: an_invited_person_sets_a_password => "invite",
    Postgres: an_invited_person_sets_a_password_without_scripts => "invite-without-scripts",
    Sqlite: a_token_is_limited_and_replaced => "limits",
    Postgres: a_token_is_limited_and_replaced_without_scripts => "limits-without-scripts",
    Sqlite: a_login_of_a_program_is_approved => "device",
    Postgres: a_login_of_a_program_is_approved_without_scripts => "device-without-scripts",
    Postgres: people_manage_their_own_account => "own-account",
    Sqlite: cross_origin_forms_change_nothing => "forged",
    Postgres: hostile_text_is_shown_as_text => "hostile-text",
    Sqlite: everything_is_reachable_by_keyboard => "keyboard",
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_password_is_requested() {
    let database = Database::migrated(Engine::Sqlite).await;
    let app = TestApp::start_with(database, |config| {
        config.set_public_url("http://127.0.0.1:3005");
        config.mail.host = Some("localhost".to_owned());
        config.mail.tls = MailTls::None;
        config.mail.from = Some("tokenward@example.com".to_owned());
    });
    run_story(app.await, "forgot-password").await;
}

/// Runs one story against the service on a free port. The story controls the service by commands on
/// its standard output.
async fn run_story(app: TestApp, story: &str) {
    let url = serve(app.service.clone()).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut node = Command::new("node")
        .arg(root.join("tests/browser/run.js"))
        .args([story, &url])
        .env("NODE_PATH", root.join("target/tools/browser/node_modules"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("these tests need node, Chromium and target/tools/browser: scripts/test installs them");
    let mut stdin = node.stdin.take().unwrap();
    let mut commands = BufReader::new(node.stdout.take().unwrap()).lines();
    let mut stderr = node.stderr.take().unwrap();
    let error_output = tokio::spawn(async move {
        let mut text = String::new();
        stderr.read_to_string(&mut text).await.map(|_| text)
    });
    while let Some(command) = commands.next_line().await.unwrap() {
        match command.split_once(' ') {
            Some(("advance", seconds)) => app.advance_seconds(seconds.parse().unwrap()),
            _ if command == "close-store" => app.store.close().await,
            _ => panic!("{story} sent an unknown command: {command}"),
        }
        stdin.write_all(b"ok\n").await.unwrap();
    }
    let status = node.wait().await.unwrap();
    assert!(status.success(), "{story}: {}", error_output.await.unwrap().unwrap());
}

/// Serves until the test ends; returns the URL.
async fn serve(service: HttpService) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
            });
        }
    });
    url
}
