//! What is written down anywhere, and what never is: no secret leaves the request that brought it or the answer that shows it.

mod flow;
mod needles;

use std::{path::Path, process::Command};

use sha2::Digest as _;

use crate::{
    cluster::administer,
    support::{
        Database, Engine,
        binary::{Running, command},
        postgres::{Server, program},
    },
};
use flow::{FIRST, Service, Told};
use needles::{Needle, found, hex};

on_both_databases!(no_secret_is_logged_even_at_trace);

/// Logs, figures, answers and what is stored: one flow, searched for every form of every secret of it.
async fn no_secret_is_logged_even_at_trace(engine: Engine) {
    let place = Place::of(engine).await;
    let mut serve = command(place.url());
    serve.env("RUST_LOG", "trace").env("TOKENWARD_ADMIN_PASSWORD", FIRST);
    serve.env("TOKENWARD_LISTEN__METRICS", "127.0.0.1:0").env("TOKENWARD_LISTEN__EXT_AUTHZ", "127.0.0.1:0");
    let running = Running::start_with(serve);
    let told = Told::everything(&Service::of(&running.url, &running.log())).await;
    let mut kept = Vec::new();
    if engine == Engine::Sqlite {
        kept.extend(place.files("while it runs"));
        assert!(kept.iter().any(|(name, _)| name.contains("-wal")), "nothing is ahead of the file");
        // The backup that operators ask for; it is among the files then.
        running.signal("USR1");
        while !running.log().contains("backed up") {
            std::thread::yield_now();
        }
    }
    running.signal("TERM");
    let (code, log) = running.wait();
    assert_eq!(code, Some(0));
    kept.extend(place.at_rest());
    assert!(kept.iter().any(|(name, _)| name.contains(if engine == Engine::Sqlite { ".backup" } else { "pg_wal" })));

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
    let live = sha2::Sha256::digest(live);
    let digits = hex(&live);
    let holds = |bytes: &[u8]| {
        bytes.windows(32).any(|bytes| bytes == live.as_slice())
            || bytes.windows(64).any(|bytes| bytes == digits.as_bytes())
    };
    for kind in place.kinds() {
        let is_kept = kept.iter().any(|(name, bytes)| name.contains(kind) && holds(bytes));
        assert!(is_kept, "the hash of a live token is not in {kind}, where it is stored");
    }
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

/// Where the service keeps what it stores: a file, or a server with files of its own.
enum Place {
    Sqlite(Database),
    Postgres { server: Server, url: String },
}

impl Place {
    async fn of(engine: Engine) -> Self {
        if engine == Engine::Sqlite {
            return Self::Sqlite(Database::empty(engine).await);
        }
        let server = tokio::task::spawn_blocking(Server::durable).await.unwrap();
        administer(server.port, "postgres", "create database tokenward").await;
        let url = Server::url_by(server.port, "tokenward");
        Self::Postgres { server, url }
    }

    fn url(&self) -> &str {
        match self {
            Self::Sqlite(database) => &database.url,
            Self::Postgres { url, .. } => url,
        }
    }

    /// Where the hash of a live token must be found: parts of the names of what was searched.
    fn kinds(&self) -> &[&'static str] {
        match self {
            Self::Sqlite(_) => &["-wal while it runs", ".db at rest", ".backup at rest"],
            Self::Postgres { .. } => &["the dump", "pg_wal"],
        }
    }

    /// What is left when nobody runs: the files, a backup among them, or what a dump says and the write-ahead log.
    fn at_rest(&self) -> Vec<(String, Vec<u8>)> {
        let Self::Postgres { server, url } = self else { return self.files("at rest") };
        let dump = Command::new(program("pg_dump")).arg(url).output().unwrap();
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        let mut kept = vec![("the dump".to_owned(), dump.stdout)];
        for entry in std::fs::read_dir(server.data().join("pg_wal")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let mut bytes = std::fs::read(&path).unwrap();
                // A segment is made whole, and the rest of it is zeros.
                bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
                kept.push((path.display().to_string(), bytes));
            }
        }
        kept
    }

    /// The files of a SQLite database.
    fn files(&self, when: &str) -> Vec<(String, Vec<u8>)> {
        let folder = Path::new(self.url().strip_prefix("sqlite:").unwrap()).parent().unwrap();
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| (format!("{} {when}", path.display()), std::fs::read(path).unwrap())).collect()
    }
}
