//! A backup that is taken while the service works, and brought back (P29): what was good before is good, what was deleted is dead.

use std::{os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command, time::Duration};

use tokio::task::block_in_place;

use super::{
    Token,
    acknowledged_writes::{Ledger, Writers},
    check, client,
    crash::integrity,
    delete, make, times, within,
};
use crate::{
    cluster::administer,
    support::{
        Database, Engine,
        binary::{Running, command},
        postgres::{Server, programs},
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sqlite_backup_taken_under_load_is_whole() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = Running::start(&database.url);
    let backup = PathBuf::from(format!("{}.backup", database.url.trim_start_matches("sqlite:")));
    let (admin, ledger) = history(&running).await;
    let writers = Writers::start(&running.url, &admin, 4);
    writers.have_done(40).await;
    let before = Before::of(&writers);
    running.signal("USR1");
    let is_there = || async { backup.exists() };
    let took = within(Duration::from_secs(30), "the backup", is_there).await;
    writers.have_done(40).await;
    let later = writers.stop().await;
    assert_eq!(std::fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(integrity(&backup).await, "ok");
    let restored = Running::start(&format!("sqlite:{}", backup.display()));
    ledger.verify(&restored.url).await;
    before.verify(&later, &restored.url).await;
    report("Sqlite", &ledger, &later, took);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_of_postgres_taken_under_load_is_whole() {
    let server = block_in_place(Server::durable);
    for name in ["tokenward", "restored"] {
        administer(server.port, "postgres", &format!("create database {name}")).await;
    }
    let running = Running::start_with(command(&Server::url_by(server.port, "tokenward")));
    let (admin, ledger) = history(&running).await;
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("dump");
    let writers = Writers::start(&running.url, &admin, 4);
    writers.have_done(40).await;
    let before = Before::of(&writers);
    let begun = std::time::Instant::now();
    run("pg_dump", &["-Fc", "-f"], &[dump.as_os_str(), Server::url_by(server.port, "tokenward").as_ref()]);
    let took = begun.elapsed();
    writers.have_done(40).await;
    let later = writers.stop().await;
    drop(running);
    run("pg_restore", &["-d"], &[Server::url_by(server.port, "restored").as_ref(), dump.as_os_str()]);
    let restored = Running::start_with(command(&Server::url_by(server.port, "restored")));
    ledger.verify(&restored.url).await;
    before.verify(&later, &restored.url).await;
    report("Postgres", &ledger, &later, took);
}

/// What the writers had been told when the backup was asked for: until that moment.
struct Before {
    made: Vec<Token>,
    deleted: Vec<Token>,
}

impl Before {
    fn of(writers: &Writers) -> Self {
        // In this order: a token is made before it is deleted.
        let deleted = writers.deleted();
        Self { made: writers.made(), deleted }
    }

    /// Insists that all of it is in what was brought back. Of tokens that were deleted later, the backup may know either.
    async fn verify(&self, later: &Ledger, url: &str) {
        let http = client();
        assert!(self.made.len() + self.deleted.len() >= 40, "{} and {}", self.made.len(), self.deleted.len());
        for token in self.made.iter().filter(|token| later.is_good(token)) {
            assert_eq!(check(&http, url, &token.value).await, Some(200), "{} was made before the backup", token.id);
        }
        for token in &self.deleted {
            assert_eq!(check(&http, url, &token.value).await, Some(401), "{} was deleted before the backup", token.id);
        }
    }
}

fn run(program: &str, options: &[&str], arguments: &[&std::ffi::OsStr]) {
    let mut command = Command::new(programs().join(program));
    let output = block_in_place(|| command.args(options).args(arguments).output().unwrap());
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

fn report(engine: &str, before: &Ledger, meanwhile: &Ledger, took: Duration) {
    println!(
        "P29 {engine}: backup in {took:.1?} with {} writes beside it, restored: {} tokens good, {} deleted ones dead",
        meanwhile.acknowledged(),
        before.good().count(),
        before.deleted.len()
    );
}

/// An administrator's token, and what was acknowledged before.
async fn history(running: &Running) -> (Token, Ledger) {
    let (http, admin, mut ledger) = (client(), Token::made_by(running).await, Ledger::default());
    for n in 0..times(60, 2_000) {
        let token = make(&http, &running.url, &admin).await.unwrap().1.unwrap();
        if n % 2 == 0 {
            assert_eq!(delete(&http, &running.url, &token).await, Some(204));
            ledger.deleted.insert(token.clone());
        }
        ledger.made.insert(token);
    }
    (admin, ledger)
}
