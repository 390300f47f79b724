//! A PostgreSQL of the tests' own: found on this machine, started once, gone when the tests are. A test that wants to stop or
//! kill its server starts one for itself.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            fs::chown,
            net::{SocketAddr, UnixListener},
            process::CommandExt as _,
        },
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{LazyLock, Mutex},
};

/// Starts a server in `$1` with the programs of `$2`, a copy of the one at port `$3` if that is given, and the other arguments, says
/// `ready`, and takes orders: `start`, or a signal for the server. It stops the server when standard input closes: that happens however the tests end.
const SUPERVISE: &str = r#"
set -u
dir=$1 bin=$2 source=$3
shift 3
trap '' INT TERM
run() {
  "$bin/postgres" -D "$dir/data" -k "$dir" -c max_connections=400 "$@" >>"$dir/postgres.log" 2>&1 </dev/null &
  pid=$!
  until "$bin/pg_isready" -q -h "$dir"; do kill -0 "$pid" 2>/dev/null || return; done
}
end() {
  kill -"$1" "$pid" && wait "$pid" 2>/dev/null
  pid=
}
if [ -z "$source" ]; then
  "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync
else
  "$bin/pg_basebackup" -D "$dir/data" -R -X stream -c fast -d "host=127.0.0.1 port=$source user=postgres application_name=standby"
fi >"$dir/initdb.log" 2>&1 || exit
run "$@" || exit
echo ready
while read -r order; do
  tries=0
  case $order in
    # What a killed server left behind may hold its locks for a moment.
    start) until run "$@"; do tries=$((tries + 1)); [ $tries -lt 300 ] || exit; sleep 0.1; done; echo ready ;;
    *) end "$order"; echo gone ;;
  esac
done
[ -z "$pid" ] || end INT
rm -rf "$dir"
"#;

/// A server, running until this is dropped.
pub struct Server {
    directory: PathBuf,
    supervisor: Child,
    /// While this is open the server may run.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pub port: u16,
}

/// How to end a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Connections are ended, what is committed is written down.
    Fast,
    /// As at a loss of power, but asked for.
    Immediate,
    /// `kill -9`: nobody is told.
    Killed,
}

const DURABLE: [&str; 3] = ["listen_addresses=127.0.0.1", "fsync=on", "synchronous_commit=on"];

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let hurry = ["listen_addresses=", "fsync=off", "full_page_writes=off", "synchronous_commit=off"];
    Server::start(5432, &hurry, None)
});

/// The URL of a database on the tests' server. `TEST_DATABASE_URL` names another server, without the database: `scripts/with-postgres`
/// starts one for all test processes of a run.
pub fn url(database: &str) -> String {
    let server = std::env::var("TEST_DATABASE_URL")
        .unwrap_or_else(|_| format!("postgres://postgres@localhost:5432?host={}", SERVER.directory.display()));
    match server.split_once('?') {
        Some((server, parameters)) => format!("{}/{database}?{parameters}", server.trim_end_matches('/')),
        None => format!("{}/{database}", server.trim_end_matches('/')),
    }
}

impl Server {
    /// A server for one test, on a port of its own, that forgets nothing it has acknowledged.
    pub fn durable() -> Self {
        Self::durable_with(&[], None)
    }

    /// The same with settings of its own, and its data in this folder.
    pub fn durable_with(settings: &[&str], folder: Option<&Path>) -> Self {
        Self::start(free_port(), &[&DURABLE, settings].concat(), folder)
    }

    /// A server that follows another, by the name `standby`.
    pub fn standby_of(primary: &Self) -> Self {
        Self::copy_of(Some(primary.port), free_port(), &DURABLE, None)
    }

    fn start(port: u16, settings: &[&str], folder: Option<&Path>) -> Self {
        Self::copy_of(None, port, settings, folder)
    }

    fn copy_of(source: Option<u16>, port: u16, settings: &[&str], folder: Option<&Path>) -> Self {
        let programs = programs();
        let folder = folder.map_or_else(std::env::temp_dir, Path::to_owned);
        let directory = tempfile::Builder::new().prefix("tokenward-pg").tempdir_in(folder).unwrap().keep();
        let mut command = Command::new("sh");
        command.args(["-c", SUPERVISE, "sh"]).arg(&directory).arg(&programs);
        command.arg(source.map(|port| port.to_string()).unwrap_or_default()).env("PGPORT", port.to_string());
        command.args(settings.iter().flat_map(|setting| ["-c", setting]));
        // PostgreSQL refuses to run as root.
        if let Some((uid, gid)) = unprivileged(&directory) {
            chown(&directory, Some(uid), Some(gid)).unwrap();
            command.uid(uid).gid(gid);
        }
        command.current_dir(&directory).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut supervisor = command.spawn().unwrap();
        let orders = supervisor.stdin.take();
        let answers = BufReader::new(supervisor.stdout.take().unwrap());
        let mut server = Self { directory, supervisor, orders, answers, port };
        server.hear("ready");
        server
    }

    /// The folder with the server's own files.
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// The URL of a database on this server by way of `port`: its own, or that of something in between.
    pub fn url_by(port: u16, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/{database}")
    }

    /// The folder of the server's socket.
    pub fn folder(&self) -> &Path {
        &self.directory
    }

    /// Ends the server and waits until it is gone. Its data stay.
    pub fn end(&mut self, how: End) {
        self.order(match how {
            End::Fast => "INT",
            End::Immediate => "QUIT",
            End::Killed => "KILL",
        });
        self.hear("gone");
    }

    /// Starts the server again and waits until it answers.
    pub fn start_again(&mut self) {
        self.order("start");
        self.hear("ready");
    }

    fn order(&mut self, word: &str) {
        writeln!(self.orders.as_ref().unwrap(), "{word}").unwrap();
    }

    fn hear(&mut self, expected: &str) {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let log = |name| std::fs::read_to_string(self.directory.join(name)).unwrap_or_default();
        assert_eq!(line.trim_end(), expected, "PostgreSQL: {}{}", log("initdb.log"), log("postgres.log"));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.orders.take());
        self.supervisor.wait().ok();
    }
}

/// A port of this machine on which nothing listens. No other test process is given the same one while this process runs, and the kernel
/// does not use it for an outgoing connection: it lies below the range of `ip_local_port_range`.
pub fn free_port() -> u16 {
    static RESERVED: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let first_ephemeral: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
    let end = if first_ephemeral > 12_000 { first_ephemeral } else { 30_000 };
    for _ in 0..10_000 {
        let port = rand::random_range(10_000..end);
        // The name is taken until this process ends, however it ends.
        let name = SocketAddr::from_abstract_name(format!("tokenward-test-port-{port}")).unwrap();
        let Ok(reservation) = UnixListener::bind_addr(&name) else { continue };
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            RESERVED.lock().unwrap().push(reservation);
            return port;
        }
    }
    panic!("no port is free");
}

/// One of PostgreSQL's programs.
pub fn program(name: &str) -> PathBuf {
    programs().join(name)
}

/// The folder with the programs of PostgreSQL.
pub fn programs() -> PathBuf {
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
pub fn unprivileged(directory: &Path) -> Option<(u32, u32)> {
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
