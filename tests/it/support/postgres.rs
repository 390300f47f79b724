//! PostgreSQL servers for tests: one shared server, and servers of their own for tests that stop or
//! kill them.

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

/// Starts a server in `$1` with the programs of `$2`, as a copy of the server on port `$3` if
/// given, with the other arguments. It prints `ready` and reads commands from standard input:
/// `start`, or the name of a signal for the server. It stops the server when standard input closes,
/// which happens however the tests end.
const SUPERVISOR_SCRIPT: &str = r#"
set -u
dir=$1 bin=$2 source=$3
shift 3
trap '' INT TERM
run() {
  "$bin/postgres" -D "$dir/data" -k "$dir" -c max_connections=400 "$@" >>"$dir/postgres.log" 2>&1 </dev/null &
  pid=$!
  until "$bin/pg_isready" -q -h "$dir"; do kill -0 "$pid" 2>/dev/null || return; done
}
stop() {
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
while read -r command; do
  attempts=0
  case $command in
    # Processes of a killed server may hold its locks for a moment.
    start) until run "$@"; do attempts=$((attempts + 1)); [ $attempts -lt 300 ] || exit; sleep 0.1; done; echo ready ;;
    *) stop "$command"; echo stopped ;;
  esac
done
[ -z "$pid" ] || stop INT
rm -rf "$dir"
"#;

/// A PostgreSQL server that runs until this is dropped.
pub struct PostgresServer {
    directory: PathBuf,
    supervisor: Child,
    /// Standard input of the supervisor. The server stops when it closes.
    commands: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
    pub port: u16,
}

/// A way to stop a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownMode {
    /// Fast shutdown: connections are closed and a checkpoint is written.
    Fast,
    /// Immediate shutdown: without a checkpoint, as after a power failure.
    Immediate,
    /// SIGKILL to the postmaster alone.
    Killed,
}

const DURABLE_SETTINGS: [&str; 3] = ["listen_addresses=127.0.0.1", "fsync=on", "synchronous_commit=on"];

static SHARED_SERVER: LazyLock<PostgresServer> = LazyLock::new(|| {
    let fast = ["listen_addresses=", "fsync=off", "full_page_writes=off", "synchronous_commit=off"];
    PostgresServer::start_new(5432, &fast, None)
});

/// Returns the URL of a database on the shared server. `TEST_DATABASE_URL` names another server,
/// without the database: `scripts/with-postgres` starts one for all test processes of a run.
pub fn database_url(database: &str) -> String {
    let server = std::env::var("TEST_DATABASE_URL")
        .unwrap_or_else(|_| format!("postgres://postgres@localhost:5432?host={}", SHARED_SERVER.directory.display()));
    match server.split_once('?') {
        Some((server, parameters)) => format!("{}/{database}?{parameters}", server.trim_end_matches('/')),
        None => format!("{}/{database}", server.trim_end_matches('/')),
    }
}

impl PostgresServer {
    /// Starts a server for one test on a free port. It keeps everything that it acknowledged.
    pub fn durable() -> Self {
        Self::durable_with(&[], None)
    }

    /// Starts such a server with additional settings, and its data in this folder.
    pub fn durable_with(settings: &[&str], folder: Option<&Path>) -> Self {
        Self::start_new(free_port(), &[&DURABLE_SETTINGS, settings].concat(), folder)
    }

    /// Starts a standby of another server; its application name is `standby`.
    pub fn standby_of(primary: &Self) -> Self {
        Self::start_from(Some(primary.port), free_port(), &DURABLE_SETTINGS, None)
    }

    fn start_new(port: u16, settings: &[&str], folder: Option<&Path>) -> Self {
        Self::start_from(None, port, settings, folder)
    }

    fn start_from(source: Option<u16>, port: u16, settings: &[&str], folder: Option<&Path>) -> Self {
        let programs = programs_dir();
        let folder = folder.map_or_else(std::env::temp_dir, Path::to_owned);
        let directory = tempfile::Builder::new().prefix("tokenward-pg").tempdir_in(folder).unwrap().keep();
        let mut command = Command::new("sh");
        command.args(["-c", SUPERVISOR_SCRIPT, "sh"]).arg(&directory).arg(&programs);
        command.arg(source.map(|port| port.to_string()).unwrap_or_default()).env("PGPORT", port.to_string());
        command.args(settings.iter().flat_map(|setting| ["-c", setting]));
        // PostgreSQL does not run as root.
        if let Some((uid, gid)) = unprivileged_user(&directory) {
            chown(&directory, Some(uid), Some(gid)).unwrap();
            command.uid(uid).gid(gid);
        }
        command.current_dir(&directory).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut supervisor = command.spawn().unwrap();
        let commands = supervisor.stdin.take();
        let replies = BufReader::new(supervisor.stdout.take().unwrap());
        let mut server = Self { directory, supervisor, commands, replies, port };
        server.expect_reply("ready");
        server
    }

    /// Returns the data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Returns the URL of a database through `port`: that of the server, or of a proxy in front of
    /// it.
    pub fn url_via_port(port: u16, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/{database}")
    }

    /// Returns the directory of the Unix socket.
    pub fn socket_dir(&self) -> &Path {
        &self.directory
    }

    /// Stops the server and waits until it has exited. Its data stay.
    pub fn stop(&mut self, mode: ShutdownMode) {
        self.send_command(match mode {
            ShutdownMode::Fast => "INT",
            ShutdownMode::Immediate => "QUIT",
            ShutdownMode::Killed => "KILL",
        });
        self.expect_reply("stopped");
    }

    /// Starts the stopped server again and waits until it accepts connections.
    pub fn start_again(&mut self) {
        self.send_command("start");
        self.expect_reply("ready");
    }

    fn send_command(&mut self, command: &str) {
        writeln!(self.commands.as_ref().unwrap(), "{command}").unwrap();
    }

    fn expect_reply(&mut self, expected: &str) {
        let mut line = String::new();
        self.replies.read_line(&mut line).unwrap();
        let log = |name| std::fs::read_to_string(self.directory.join(name)).unwrap_or_default();
        assert_eq!(line.trim_end(), expected, "PostgreSQL: {}{}", log("initdb.log"), log("postgres.log"));
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        drop(self.commands.take());
        self.supervisor.wait().ok();
    }
}

/// Returns a free TCP port. No other test process gets the same one while this process runs, and
/// the kernel does not use it for outgoing connections: it is below `ip_local_port_range`.
pub fn free_port() -> u16 {
    static RESERVED: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let first_ephemeral: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
    let end = if first_ephemeral > 12_000 { first_ephemeral } else { 30_000 };
    for _ in 0..10_000 {
        let port = rand::random_range(10_000..end);
        // The abstract socket holds the name until this process exits.
        let name = SocketAddr::from_abstract_name(format!("tokenward-test-port-{port}")).unwrap();
        let Ok(reservation) = UnixListener::bind_addr(&name) else { continue };
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            RESERVED.lock().unwrap().push(reservation);
            return port;
        }
    }
    panic!("no port is free");
}

/// Returns the path of a PostgreSQL program.
pub fn program_path(name: &str) -> PathBuf {
    programs_dir().join(name)
}

/// Returns the directory of the PostgreSQL programs.
pub fn programs_dir() -> PathBuf {
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

/// Returns the user and group `postgres` if the tests run as root.
pub fn unprivileged_user(directory: &Path) -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    if std::fs::metadata(directory).unwrap().uid() != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let entry =
        users.lines().find(|line| line.starts_with("postgres:")).expect("a user postgres, which the package creates");
    let fields: Vec<&str> = entry.split(':').collect();
    Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}
