//! No secret appears in a log, a metric, an unrelated response, or the store.

use crate::support::both_databases_multi_thread;
use rstest::rstest;
use rstest_reuse::apply;
mod flow;
mod needles;

use std::{path::Path, process::Command};

use sha2::Digest as _;

use crate::{
    cluster::execute_sql,
    support::{
        Database, Engine,
        binary::{ServerProcess, tokenward_command},
        postgres::{PostgresServer, program_path},
    },
};
use flow::{FIRST_PASSWORD, ServiceClient, Traffic};
use needles::{Needle, find_needle};

/// Searches logs, metrics, responses and stored files for every form of every secret of one
/// sequence of requests.
#[apply(both_databases_multi_thread)]
async fn no_secret_is_logged_or_stored_in_plain_text(engine: Engine) {
    let storage = Storage::create(engine).await;
    let mut serve = tokenward_command(storage.url());
    serve.env("RUST_LOG", "trace").env("TOKENWARD_ADMIN_PASSWORD", FIRST_PASSWORD);
    serve.env("TOKENWARD_LISTEN__METRICS", "127.0.0.1:0").env("TOKENWARD_LISTEN__EXT_AUTHZ", "127.0.0.1:0");
    let running = ServerProcess::start_with(serve);
    let client = ServiceClient::new(&running);
    let mut traffic = Traffic::generate(&client).await;
    traffic.use_device_codes(&client).await;
    let created = tokenward_command(storage.url()).args(["scim", "credential"]).output().unwrap();
    traffic.use_scim_credential(&client, String::from_utf8(created.stdout).unwrap().trim_end()).await;
    let mut stored = Vec::new();
    if engine == Engine::Sqlite {
        stored.extend(storage.files("while it runs"));
        assert!(stored.iter().any(|(name, _)| name.contains("-wal")), "there is no write-ahead log");
        // The backup is among the files that are searched below.
        running.send_signal("USR1");
        while !running.log().contains("backed up") {
            std::thread::yield_now();
        }
    }
    running.send_signal("TERM");
    let (code, log) = running.wait_for_exit();
    assert_eq!(code, Some(0));
    stored.extend(storage.at_rest());
    assert!(stored.iter().any(|(name, _)| name.contains(if engine == Engine::Sqlite { ".backup" } else { "pg_wal" })));

    let (plain_forms, hashed_forms) = needles_for(&traffic);
    let everywhere: Vec<Needle> = plain_forms.iter().chain(&hashed_forms).cloned().collect();
    assert!(log.contains("insert into token"), "no statements in the log, although its level is trace");
    assert!(traffic.errors > 30, "{} errors", traffic.errors);
    assert_not_found("the log", &everywhere, log.as_bytes());
    assert_not_found("a response", &everywhere, traffic.responses.as_bytes());
    for (name, bytes) in &stored {
        assert_not_found(name, &plain_forms, bytes);
    }
    for (name, text) in [("the log", &log), ("a response", &traffic.responses)] {
        assert!(!text.contains("$argon2id"), "{name} contains a password hash");
    }
    // Verifies the search itself: it finds a planted value, and the hashes that the store has.
    let value = traffic.stored.last().unwrap();
    assert!(find_needle(&plain_forms, format!("{log}{value}").as_bytes()).is_some());
    let value = sha2::Sha256::digest(value);
    let digits = hex::encode(value);
    let has_digest = |bytes: &[u8]| {
        bytes.windows(32).any(|bytes| bytes == value.as_slice())
            || bytes.windows(64).any(|bytes| bytes == digits.as_bytes())
    };
    for location in storage.hash_locations() {
        let is_present = stored.iter().any(|(name, bytes)| name.contains(location) && has_digest(bytes));
        assert!(is_present, "the hash of a valid token is not in {location}");
    }
}

/// Returns the forms that must not appear anywhere, and those that may only appear in the database.
fn needles_for(traffic: &Traffic) -> (Vec<Needle>, Vec<Needle>) {
    let mut plain_forms = Vec::new();
    let mut hashed_forms = Vec::new();
    for (name, secret) in &traffic.secrets {
        plain_forms.extend(needles::plain_forms(name, secret));
        hashed_forms.extend(needles::hashed_forms(name, secret));
    }
    for value in &traffic.stored {
        // Half a value is too much. The display prefix is shorter.
        let (first, second) = value.split_at(value.len() / 2);
        plain_forms
            .extend([first, second].map(|half| Needle { label: format!("half of {value}"), text: half.to_owned() }));
    }
    (plain_forms, hashed_forms)
}

#[track_caller]
fn assert_not_found(storage: &str, needles: &[Needle], text: &[u8]) {
    if let Some(needle) = find_needle(needles, text) {
        let text = String::from_utf8_lossy(text);
        let at = text.find(&needle.text).unwrap_or_default();
        let line = text[..at].rsplit('\n').next().unwrap_or_default();
        panic!("{} is in {storage}, after: {line}", needle.label);
    }
}

/// The storage of the service: a SQLite file, or a PostgreSQL server.
enum Storage {
    Sqlite(Database),
    Postgres { server: PostgresServer, url: String },
}

impl Storage {
    async fn create(engine: Engine) -> Self {
        if engine == Engine::Sqlite {
            return Self::Sqlite(Database::empty(engine).await);
        }
        let server = tokio::task::spawn_blocking(PostgresServer::durable).await.unwrap();
        execute_sql(server.port, "postgres", "create database tokenward").await;
        let url = PostgresServer::url_via_port(server.port, "tokenward");
        Self::Postgres { server, url }
    }

    fn url(&self) -> &str {
        match self {
            Self::Sqlite(database) => &database.url,
            Self::Postgres { url, .. } => url,
        }
    }

    /// Returns parts of the names of the files that contain the hash of a valid token.
    fn hash_locations(&self) -> &[&'static str] {
        match self {
            Self::Sqlite(_) => &["-wal while it runs", ".db at rest", ".backup at rest"],
            Self::Postgres { .. } => &["the dump", "pg_wal"],
        }
    }

    /// Returns the stored data after the service was stopped: the SQLite files, or a dump and the
    /// write-ahead log.
    fn at_rest(&self) -> Vec<(String, Vec<u8>)> {
        let Self::Postgres { server, url } = self else { return self.files("at rest") };
        let dump = Command::new(program_path("pg_dump")).arg(url).output().unwrap();
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        let mut stored = vec![("the dump".to_owned(), dump.stdout)];
        for entry in std::fs::read_dir(server.data_dir().join("pg_wal")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let mut bytes = std::fs::read(&path).unwrap();
                // A segment is allocated as a whole and filled with zeros.
                bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
                stored.push((path.display().to_string(), bytes));
            }
        }
        stored
    }

    /// Returns the files of a SQLite database. The command socket beside it stores nothing.
    fn files(&self, when: &str) -> Vec<(String, Vec<u8>)> {
        let folder = Path::new(self.url().strip_prefix("sqlite:").unwrap()).parent().unwrap();
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let files = entries.filter(|path| path.is_file());
        files.map(|path| (format!("{} {when}", path.display()), std::fs::read(path).unwrap())).collect()
    }
}
