//! A PostgreSQL of the tests' own: found on this machine, started once, gone when the tests are.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::LazyLock,
};

/// Starts a server in `$1` with the programs of `$2`, says `ready`, and stops it when standard input closes: that happens
/// however the tests end.
const SUPERVISE: &str = r#"
set -eu
dir=$1 bin=$2
trap '' INT TERM
"$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$dir/initdb.log" 2>&1
"$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c max_connections=400 -c fsync=off \
  -c full_page_writes=off -c synchronous_commit=off >"$dir/postgres.log" 2>&1 </dev/null &
pid=$!
until "$bin/pg_isready" -q -h "$dir"; do kill -0 $pid; done
echo ready
cat >/dev/null
kill -INT $pid
wait $pid || true
rm -rf "$dir"
"#;

struct Server {
    directory: PathBuf,
    /// Its standard input is what keeps the server running.
    _supervisor: Child,
}

static SERVER: LazyLock<Server> = LazyLock::new(start);

/// The URL of a database on the tests' server. `TEST_DATABASE_URL` names another server, without the database.
pub fn url(database: &str) -> String {
    match std::env::var("TEST_DATABASE_URL") {
        Ok(server) => format!("{}/{database}", server.trim_end_matches('/')),
        Err(_) => format!("postgres://postgres@localhost/{database}?host={}", SERVER.directory.display()),
    }
}

fn start() -> Server {
    let programs = find_programs();
    let directory = tempfile::Builder::new().prefix("tokenward-pg").tempdir().unwrap().keep();
    let mut command = Command::new("sh");
    command.args(["-c", SUPERVISE, "sh"]).arg(&directory).arg(&programs);
    // PostgreSQL refuses to run as root.
    if let Some((uid, gid)) = unprivileged(&directory) {
        chown(&directory, Some(uid), Some(gid)).unwrap();
        command.uid(uid).gid(gid);
    }
    command.current_dir(&directory).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut supervisor = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(supervisor.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let log = |name| std::fs::read_to_string(directory.join(name)).unwrap_or_default();
    assert_eq!(line, "ready\n", "PostgreSQL did not start: {}{}", log("initdb.log"), log("postgres.log"));
    Server { directory, _supervisor: supervisor }
}

fn find_programs() -> PathBuf {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.filter_map(|version| Some(version.ok()?.path().join("bin"))).collect())
        .unwrap_or_default();
    debian.sort();
    std::env::split_paths(&on_path)
        .chain(debian.into_iter().rev())
        .find(|folder| ["initdb", "postgres", "pg_isready"].iter().all(|program| folder.join(program).exists()))
        .expect("these tests need PostgreSQL: scripts/test installs it, or set TEST_DATABASE_URL")
}

/// The user and group to run as where the tests run as root: those of `postgres`.
fn unprivileged(directory: &Path) -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    if std::fs::metadata(directory).unwrap().uid() != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let entry =
        users.lines().find(|line| line.starts_with("postgres:")).expect("a user postgres, as the package makes it");
    let fields: Vec<&str> = entry.split(':').collect();
    Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}
