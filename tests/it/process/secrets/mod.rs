//! What is written down anywhere, and what never is: no secret leaves the request that brought it or the answer that shows it.

mod flow;
mod needles;

use std::{path::Path, process::Command};

use sha2::Digest as _;
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use crate::support::{
    Database, Engine,
    binary::{Running, command},
    postgres::program,
};
use flow::{FIRST, Service, Told};
use needles::{Needle, found, hex};

on_both_databases!(no_secret_is_logged_even_at_trace);

/// Logs, figures, answers and what is stored: one flow, searched for every form of every secret of it.
async fn no_secret_is_logged_even_at_trace(engine: Engine) {
    let database = Database::empty(engine).await;
    let mut serve = command(&database.url);
    serve.env("RUST_LOG", "trace").env("TOKENWARD_ADMIN_PASSWORD", FIRST);
    serve.env("TOKENWARD_LISTEN__METRICS", "127.0.0.1:0").env("TOKENWARD_LISTEN__EXT_AUTHZ", "127.0.0.1:0");
    let running = Running::start_with(serve);
    let told = Told::everything(&Service::of(&running.url, &running.log())).await;
    let mut kept = Vec::new();
    if engine == Engine::Sqlite {
        kept.extend(files(&database, "while it runs"));
        assert!(kept.iter().any(|(name, _)| name.contains("-wal")), "nothing is ahead of the file");
    }
    running.signal("TERM");
    let (code, log) = running.wait();
    assert_eq!(code, Some(0));
    kept.extend(at_rest(&database).await);

    let (plain, hashed) = forms(&told);
    let everywhere: Vec<Needle> = plain.iter().chain(&hashed).cloned().collect();
    assert!(log.contains("insert into token"), "statements are logged at this level, their values are not");
    assert!(told.errors > 30, "{} errors", told.errors);
    assert_none("the log", &everywhere, log.as_bytes());
    assert_none("an answer", &everywhere, told.answers.as_bytes());
    for (name, bytes) in &kept {
        assert_none(name, &plain, bytes);
    }
    for (name, text) in [("the log", &log), ("an answer", &told.answers)] {
        assert!(!text.contains("$argon2id"), "a password's hash is in {name}");
    }
    // The search sees what it looks through: a value planted there is found, and what the store does keep is there.
    let live = told.stored.last().unwrap();
    assert!(found(&plain, format!("{log}{live}").as_bytes()).is_some());
    let (dump, live) = (&kept.last().unwrap().1, sha2::Sha256::digest(live));
    let digits = hex(&live);
    let is_kept = match engine {
        Engine::Sqlite => dump.windows(32).any(|bytes| bytes == live.as_slice()),
        Engine::Postgres => dump.windows(64).any(|bytes| bytes == digits.as_bytes()),
    };
    assert!(is_kept, "the hash of a live token is not where it is stored");
}

/// The forms that stand nowhere, and those that stand nowhere but in the database.
fn forms(told: &Told) -> (Vec<Needle>, Vec<Needle>) {
    let mut plain = Vec::new();
    let mut hashed = Vec::new();
    for (name, secret) in &told.secrets {
        plain.extend(needles::plain(name, secret));
        hashed.extend(needles::hashed(name, secret));
    }
    for value in &told.stored {
        // Half a value is too much; what may be seen of it, the hint, is shorter than that.
        let (first, second) = value.split_at(value.len() / 2);
        plain.extend([first, second].map(|half| Needle { of: format!("half of {value}"), text: half.to_owned() }));
    }
    (plain, hashed)
}

#[track_caller]
fn assert_none(place: &str, needles: &[Needle], text: &[u8]) {
    if let Some(needle) = found(needles, text) {
        let text = String::from_utf8_lossy(text);
        let at = text.find(&needle.text).unwrap_or_default();
        let line = text[..at].rsplit('\n').next().unwrap_or_default();
        panic!("{} is in {place}, behind: {line}", needle.of);
    }
}

/// What is left of a database when nobody runs: the files of it and a backup, or what a dump says.
async fn at_rest(database: &Database) -> Vec<(String, Vec<u8>)> {
    if database.engine == Engine::Postgres {
        let dump = Command::new(program("pg_dump")).arg(&database.url).output().unwrap();
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        return vec![("the dump".to_owned(), dump.stdout)];
    }
    let mut kept = files(database, "at rest");
    let backup = tempfile::tempdir().unwrap();
    let copy = backup.path().join("copy.db");
    let mut connection = SqliteConnection::connect(&database.url).await.unwrap();
    let statement = format!("vacuum into '{}'", copy.display());
    connection.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
    connection.close().await.unwrap();
    kept.push(("the backup".to_owned(), std::fs::read(copy).unwrap()));
    kept
}

/// The files of a SQLite database.
fn files(database: &Database, when: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(database.url.strip_prefix("sqlite:").unwrap()).parent().unwrap();
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (format!("{} {when}", path.display()), std::fs::read(path).unwrap())).collect()
}
