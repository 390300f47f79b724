//! The limit on open files, and clients that hold all connections they can get: other clients and
//! the database remain reachable.

use rstest::rstest;
use rstest_reuse::apply;
use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    process::Command,
    time::Duration,
};

use tokio::net::TcpSocket;

use crate::support::{
    Database, Engine, PASSWORD,
    binary::{ServerProcess, run_with_stdin, tokenward_command},
    both_databases_multi_thread, http_client,
};

const PROXY: &str = "127.0.0.9";
const LIVENESS_REQUEST: &[u8] = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n";

/// Returns a command that runs the program with a limit on open files. The argument is that of
/// `ulimit`.
fn with_ulimit(url: &str, ulimit: &str) -> Command {
    let program = tokenward_command(url);
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit {ulimit} && exec \"$@\""), "sh"]).arg(program.get_program());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}

/// Connects from this loopback address.
async fn connect_from(address: &str, to: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
    let stream = socket.connect(to.parse().unwrap()).await.unwrap().into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Returns whether a connection gets a response. A connection beyond a limit is closed.
fn gets_response(stream: &mut TcpStream) -> bool {
    match request_liveness(stream) {
        Ok(()) => true,
        Err(error) => {
            let closed = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
            assert!(closed.contains(&error.kind()), "no response, and not closed: {error}");
            false
        }
    }
}

fn request_liveness(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(LIVENESS_REQUEST)?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    stream.read_exact(&mut vec![0; length])
}

/// Opens idle keep-alive connections from this address until one is rejected.
async fn hold_connections(address: &str, to: &str) -> Vec<TcpStream> {
    let mut held = Vec::new();
    loop {
        let mut stream = connect_from(address, to).await;
        if !gets_response(&mut stream) {
            return held;
        }
        held.push(stream);
        assert!(held.len() < 1_000, "the connections of {address} are not limited");
    }
}

/// Terminates all database sessions of the service, and creates a token by password, which requires
/// new ones.
async fn assert_database_reachable(database: &Database, running: &ServerProcess) {
    if database.engine == Engine::Postgres {
        let terminate = "select pg_terminate_backend(pid)::text from pg_stat_activity \
                   where datname = current_database() and pid <> pg_backend_pid()";
        database.execute_sql(terminate).await;
    }
    // From the address of the trusted proxy, which has reserved connections.
    let local = PROXY.parse::<std::net::IpAddr>().unwrap();
    drop(http_client());
    let http = reqwest::Client::builder().local_address(local).build().unwrap();
    let is_created = async || running.create_token(&http).await.is_some();
    let retry = tokio::time::timeout(Duration::from_secs(60), async { while !is_created().await {} });
    retry.await.expect("no write succeeded after the sessions were terminated");
}

#[apply(both_databases_multi_thread)]
async fn clients_holding_many_connections_do_not_block_other_addresses(engine: Engine) {
    let database = Database::empty(engine).await;
    let mut serve = with_ulimit(&database.url, "-n 256");
    serve.env("TOKENWARD_LISTEN__TRUSTED_PROXIES", format!("[\"{PROXY}\"]"));
    let running = ServerProcess::start_with(serve);
    let log = running.log();
    assert!(log.contains("lowered http.max_connections") && log.contains("256"), "{log}");
    let to = running.url.trim_start_matches("http://");
    let mut held = hold_connections("127.0.0.2", to).await;
    let per_ip = held.len();
    held.extend(hold_connections("127.0.0.3", to).await);
    assert!(per_ip >= 8 && held.len() == 2 * per_ip, "{per_ip} {}", held.len());
    assert!(
        gets_response(&mut connect_from("127.0.0.4", to).await),
        "a third address, with {} connections held",
        held.len()
    );
    assert!(gets_response(&mut connect_from(PROXY, to).await), "the proxy");
    assert_database_reachable(&database, &running).await;
    // The same with all unreserved connections held.
    for n in 5..9 {
        held.extend(hold_connections(&format!("127.0.0.{n}"), to).await);
    }
    assert!(!gets_response(&mut connect_from("127.0.0.20", to).await), "accepted beyond {} connections", held.len());
    assert!(gets_response(&mut connect_from(PROXY, to).await), "the proxy has reserved connections");
    assert_database_reachable(&database, &running).await;
    // The held connections are served too.
    assert!(held.iter_mut().all(gets_response));
}

#[apply(both_databases_multi_thread)]
async fn silent_grpc_and_metrics_connections_block_neither_http_nor_the_database(engine: Engine) {
    let database = Database::empty(engine).await;
    let mut serve = with_ulimit(&database.url, "-n 256");
    serve.env("TOKENWARD_LISTEN__TRUSTED_PROXIES", format!("[\"{PROXY}\"]"));
    serve.env("TOKENWARD_LISTEN__EXT_AUTHZ", "127.0.0.1:0").env("TOKENWARD_LISTEN__METRICS", "127.0.0.1:0");
    // Without timeouts, only the connection limits apply.
    serve.env("TOKENWARD_HTTP__HEADER_TIMEOUT", "600s").env("TOKENWARD_HTTP__IDLE_TIMEOUT", "600s");
    let running = ServerProcess::start_with(serve);
    let addresses = [running.grpc_address(), running.metrics_address()];
    let mut silent = Vec::new();
    for address in &addresses {
        for n in 0..300 {
            silent.push(connect_from(&format!("127.0.0.{}", 2 + n % 6), address).await);
        }
    }
    let to = running.url.trim_start_matches("http://");
    assert!(gets_response(&mut connect_from("127.0.0.4", to).await), "HTTP");
    assert_database_reachable(&database, &running).await;
    let held = hold_connections("127.0.0.5", to).await;
    assert!(held.len() >= 8, "{}", held.len());
    assert_database_reachable(&database, &running).await;
    // The per-address limit does not apply to the proxy on the gRPC port either.
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", addresses[0])).unwrap();
    let channel = channel.local_address(Some(PROXY.parse().unwrap())).connect().await.unwrap();
    let mut checks = envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient::new(channel);
    checks.check(envoy_types::pb::envoy::service::auth::v3::CheckRequest::default()).await.expect("a check response");
}

/// Shells and service managers often set a low soft limit. The hard limit is what the machine
/// allows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_soft_limit_on_open_files_is_raised_to_the_hard_limit() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = ServerProcess::start_with(with_ulimit(&database.url, "-S -n 150 && ulimit -H -n 700"));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", running.pid())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["700", "700"], "{files}");
    assert!(limits.lines().any(|line| line.split_whitespace().take(6).eq(["Max", "core", "file", "size", "0", "0"])));
    running.create_token(&http_client()).await.expect("a token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn startup_fails_if_the_open_files_limit_is_too_low() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut serve = with_ulimit(&database.url, "-n 100");
    serve.args(["serve", "--listen", "127.0.0.1:0"]);
    let output = run_with_stdin(serve, "");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && stderr.contains("limit on open files is 100"), "{stderr}");
    assert!(!stderr.contains(PASSWORD));
    assert!(!std::path::Path::new(database.url.trim_start_matches("sqlite:")).exists());
}

/// A process that is not dumpable cannot be traced by its user, and its files in /proc belong to
/// root.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn process_memory_is_protected_from_debuggers() {
    use std::os::unix::{fs::MetadataExt as _, process::CommandExt as _};
    let database = Database::empty(Engine::Postgres).await;
    let folder = tempfile::tempdir().unwrap();
    for (core_dumps, root_owned) in [("false", true), ("true", false)] {
        let mut serve = tokenward_command(&database.url);
        serve.env("TOKENWARD_PROCESS__CORE_DUMPS", core_dumps).current_dir("/");
        if let Some((uid, gid)) = crate::support::postgres::unprivileged_user(folder.path()) {
            serve.uid(uid).gid(gid);
        }
        let running = ServerProcess::start_with(serve);
        let owner = std::fs::metadata(format!("/proc/{}/environ", running.pid())).unwrap().uid();
        assert_eq!(owner == 0, root_owned, "core_dumps = {core_dumps}: {owner}");
        running.create_token(&http_client()).await.expect("a token");
    }
}
