//! Backups that are taken under load and restored: tokens from before the backup are valid, deleted
//! ones are rejected.

use std::{os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command, time::Duration};

use tokio::task::block_in_place;

use super::{
    Token,
    acknowledged_writes::{WriteLog, Writers},
    check_token, client,
    crash::integrity_check,
    create_token, delete_token, iterations, wait_until,
};
use crate::{
    cluster::execute_sql,
    support::{
        Database, Engine,
        binary::{ServerProcess, tokenward_command},
        postgres::{PostgresServer, programs_dir},
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sqlite_backup_taken_under_load_is_complete() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = ServerProcess::start(&database.url);
    let backup = PathBuf::from(format!("{}.backup", database.url.trim_start_matches("sqlite:")));
    let (admin, log) = create_history(&running).await;
    let writers = Writers::start(&running.url, &admin, 4);
    writers.wait_for_writes(40).await;
    let before = WritesBeforeBackup::snapshot(&writers);
    running.send_signal("USR1");
    let backup_exists = || async { backup.exists() };
    let elapsed = wait_until(Duration::from_secs(30), "the backup", backup_exists).await;
    writers.wait_for_writes(40).await;
    let later_writes = writers.stop().await;
    assert_eq!(std::fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(integrity_check(&backup).await, "ok");
    let restored = ServerProcess::start(&format!("sqlite:{}", backup.display()));
    log.verify(&restored.url).await;
    before.verify(&later_writes, &restored.url).await;
    print_result("Sqlite", &log, &later_writes, elapsed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_dump_taken_under_load_is_complete() {
    let server = block_in_place(PostgresServer::durable);
    for name in ["tokenward", "restored"] {
        execute_sql(server.port, "postgres", &format!("create database {name}")).await;
    }
    let running = ServerProcess::start_with(tokenward_command(&PostgresServer::url_via_port(server.port, "tokenward")));
    let (admin, log) = create_history(&running).await;
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("dump");
    let writers = Writers::start(&running.url, &admin, 4);
    writers.wait_for_writes(40).await;
    let before = WritesBeforeBackup::snapshot(&writers);
    let start = std::time::Instant::now();
    run_program(
        "pg_dump",
        &["-Fc", "-f"],
        &[dump.as_os_str(), PostgresServer::url_via_port(server.port, "tokenward").as_ref()],
    );
    let elapsed = start.elapsed();
    writers.wait_for_writes(40).await;
    let later_writes = writers.stop().await;
    drop(running);
    run_program(
        "pg_restore",
        &["-d"],
        &[PostgresServer::url_via_port(server.port, "restored").as_ref(), dump.as_os_str()],
    );
    let restored = ServerProcess::start_with(tokenward_command(&PostgresServer::url_via_port(server.port, "restored")));
    log.verify(&restored.url).await;
    before.verify(&later_writes, &restored.url).await;
    print_result("Postgres", &log, &later_writes, elapsed);
}

/// The writes that were acknowledged before the backup started.
struct WritesBeforeBackup {
    created: Vec<Token>,
    deleted: Vec<Token>,
}

impl WritesBeforeBackup {
    fn snapshot(writers: &Writers) -> Self {
        // Deletions are read first, so that every deleted token is among the created ones.
        let deleted = writers.deleted();
        Self { created: writers.created(), deleted }
    }

    /// Asserts that the restored service has these writes. Tokens that were deleted later may be in
    /// either state.
    async fn verify(&self, later_writes: &WriteLog, url: &str) {
        let http = client();
        assert!(self.created.len() + self.deleted.len() >= 40, "{} and {}", self.created.len(), self.deleted.len());
        for token in self.created.iter().filter(|token| later_writes.is_valid(token)) {
            assert_eq!(
                check_token(&http, url, &token.value).await,
                Some(200),
                "{} was created before the backup",
                token.id
            );
        }
        for token in &self.deleted {
            assert_eq!(
                check_token(&http, url, &token.value).await,
                Some(401),
                "{} was deleted before the backup",
                token.id
            );
        }
    }
}

fn run_program(program: &str, options: &[&str], arguments: &[&std::ffi::OsStr]) {
    let mut command = Command::new(programs_dir().join(program));
    let output = block_in_place(|| command.args(options).args(arguments).output().unwrap());
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

fn print_result(engine: &str, before: &WriteLog, during: &WriteLog, elapsed: Duration) {
    println!(
        "[measured] backup, {engine}: taken in {elapsed:.1?} during {} writes; restored: {} tokens valid, {} deleted ones rejected",
        during.acknowledged(),
        before.valid().count(),
        before.deleted.len()
    );
}

/// Creates tokens and deletes every second one. Returns an administrator token and the acknowledged
/// writes.
async fn create_history(running: &ServerProcess) -> (Token, WriteLog) {
    let (http, admin, mut log) = (client(), Token::create(running).await, WriteLog::default());
    for n in 0..iterations(60, 2_000) {
        let token = create_token(&http, &running.url, &admin).await.unwrap().1.unwrap();
        if n % 2 == 0 {
            assert_eq!(delete_token(&http, &running.url, &token).await, Some(204));
            log.deleted.insert(token.clone());
        }
        log.created.insert(token);
    }
    (admin, log)
}
