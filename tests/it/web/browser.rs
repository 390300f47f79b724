//! Stories in a real Chromium, driven by `tests/browser`: playwright-core, because it runs pages with scripts off, moves through
//! the history, judges with axe and sees what the console says, and waits for what it looks for instead of sleeping.

use std::{path::Path, process::Stdio};

use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokenward::http::root::Service;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    process::Command,
};

use crate::support::TestApp;

macro_rules! stories {
    ($($engine:ident: $name:ident => $file:literal),* $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            tell(TestApp::start(crate::support::Engine::$engine).await, $file).await;
        })*
    };
}

stories!(
    Sqlite: every_page_is_accessible_and_fits => "every-page",
    Postgres: the_manuals_steps_work => "manual",
    Sqlite: the_manuals_steps_work_without_scripts => "manual-without-scripts",
    Postgres: a_value_is_shown_once => "shown-once",
    Sqlite: an_administrators_decisions_are_seen_at_once => "administrator",
    Postgres: administration_works_without_scripts => "administrator-without-scripts",
    Postgres: people_look_after_their_own_account => "own-account",
    Sqlite: forms_of_other_origins_do_nothing => "forged",
    Postgres: text_stays_text => "hostile-text",
    Sqlite: everything_is_reached_by_keyboard => "keyboard",
);

/// Tells one story against the service on a port of its own; the story moves the service's clock.
async fn tell(app: TestApp, story: &str) {
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
    let mut answers = node.stdin.take().unwrap();
    let mut wishes = BufReader::new(node.stdout.take().unwrap()).lines();
    let mut stderr = node.stderr.take().unwrap();
    let said = tokio::spawn(async move {
        let mut text = String::new();
        stderr.read_to_string(&mut text).await.map(|_| text)
    });
    while let Some(wish) = wishes.next_line().await.unwrap() {
        match wish.split_once(' ') {
            Some(("advance", seconds)) => app.advance_seconds(seconds.parse().unwrap()),
            _ if wish == "close the store" => app.store.close().await,
            _ => panic!("{story} wishes for {wish}"),
        }
        answers.write_all(b"ok\n").await.unwrap();
    }
    let status = node.wait().await.unwrap();
    assert!(status.success(), "{story}: {}", said.await.unwrap().unwrap());
}

/// Serves until the test is over; gives the address.
async fn serve(service: Service) -> String {
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
