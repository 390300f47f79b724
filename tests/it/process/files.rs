//! A limit on open files, and clients that hold as many connections as they get: the others are served, and so is the database.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    process::Command,
    time::Duration,
};

use tokio::net::TcpSocket;

use crate::support::{
    Database, Engine, PASSWORD,
    binary::{Running, command, run},
    http_client,
};

on_both_databases!(
    addresses_that_hold_all_they_get_shut_out_nobody_else,
    silent_connections_of_grpc_and_metrics_stop_neither_http_nor_the_database,
);

const PROXY: &str = "127.0.0.9";
const LIVE: &[u8] = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n";

/// The program under a limit on open files, as `ulimit` takes it.
fn limited(url: &str, ulimit: &str) -> Command {
    let plain = command(url);
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit {ulimit} && exec \"$@\""), "sh"]).arg(plain.get_program());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}

/// A connection that comes from this address of the machine itself.
async fn connect_from(address: &str, to: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
    let stream = socket.connect(to.parse().unwrap()).await.unwrap().into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Whether a connection is answered; one for which there is no room is closed.
fn is_answered(stream: &mut TcpStream) -> bool {
    match ask(stream) {
        Ok(()) => true,
        Err(error) => {
            let closed = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
            assert!(closed.contains(&error.kind()), "neither answered nor closed: {error}");
            false
        }
    }
}

fn ask(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(LIVE)?;
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

/// As many idle keep-alive connections as this address gets.
async fn as_many_as_possible(address: &str, to: &str) -> Vec<TcpStream> {
    let mut held = Vec::new();
    loop {
        let mut stream = connect_from(address, to).await;
        if !is_answered(&mut stream) {
            return held;
        }
        held.push(stream);
        assert!(held.len() < 1_000, "{address} gets any number");
    }
}

/// Ends every connection of the service to its database, and has a password judged and a token made over new ones.
async fn the_database_is_reached_anew(database: &Database, running: &Running) {
    if database.engine == Engine::Postgres {
        let end = "select pg_terminate_backend(pid)::text from pg_stat_activity \
                   where datname = current_database() and pid <> pg_backend_pid()";
        database.run(end).await;
    }
    // By the trusted proxy's address: there is room for it whatever others hold.
    let local = PROXY.parse::<std::net::IpAddr>().unwrap();
    drop(http_client());
    let http = reqwest::Client::builder().local_address(local).build().unwrap();
    let is_made = async || running.make_token(&http).await.is_some();
    let tries = tokio::time::timeout(Duration::from_secs(60), async { while !is_made().await {} });
    tries.await.expect("a write after the connections were lost");
}

async fn addresses_that_hold_all_they_get_shut_out_nobody_else(engine: Engine) {
    let database = Database::empty(engine).await;
    let mut serve = limited(&database.url, "-n 256");
    serve.env("TOKENWARD_LISTEN__TRUSTED_PROXIES", format!("[\"{PROXY}\"]"));
    let running = Running::start_with(serve);
    let log = running.log();
    assert!(log.contains("lowered http.connections") && log.contains("256"), "{log}");
    let to = running.url.trim_start_matches("http://");
    let mut held = as_many_as_possible("127.0.0.2", to).await;
    let of_one = held.len();
    held.extend(as_many_as_possible("127.0.0.3", to).await);
    assert!(of_one >= 8 && held.len() == 2 * of_one, "{of_one} {}", held.len());
    assert!(is_answered(&mut connect_from("127.0.0.4", to).await), "a third address, beside {}", held.len());
    assert!(is_answered(&mut connect_from(PROXY, to).await), "the proxy");
    the_database_is_reached_anew(&database, &running).await;
    // And when all that strangers can hold is held.
    for n in 5..9 {
        held.extend(as_many_as_possible(&format!("127.0.0.{n}"), to).await);
    }
    assert!(!is_answered(&mut connect_from("127.0.0.20", to).await), "{} are all", held.len());
    assert!(is_answered(&mut connect_from(PROXY, to).await), "the proxy has places of its own");
    the_database_is_reached_anew(&database, &running).await;
    // Those who hold connections are served, too.
    assert!(held.iter_mut().all(is_answered));
}

async fn silent_connections_of_grpc_and_metrics_stop_neither_http_nor_the_database(engine: Engine) {
    let database = Database::empty(engine).await;
    let mut serve = limited(&database.url, "-n 256");
    serve.env("TOKENWARD_LISTEN__TRUSTED_PROXIES", format!("[\"{PROXY}\"]"));
    serve.env("TOKENWARD_LISTEN__EXT_AUTHZ", "127.0.0.1:0").env("TOKENWARD_LISTEN__METRICS", "127.0.0.1:0");
    // Nobody is closed for being silent here: the caps alone have to do.
    serve.env("TOKENWARD_HTTP__HEADER_TIMEOUT_MS", "600000").env("TOKENWARD_HTTP__IDLE_TIMEOUT_MS", "600000");
    let running = Running::start_with(serve);
    let log = running.log();
    let of = |scheme: &str, end: &str| {
        let line = log.lines().find_map(|line| line.split(scheme).nth(1)).expect("an address");
        line.trim_end_matches(end).to_owned()
    };
    let ports = [of("checks on grpc://", ""), of("figures on http://", "/metrics")];
    let mut silent = Vec::new();
    for port in &ports {
        for n in 0..300 {
            silent.push(connect_from(&format!("127.0.0.{}", 2 + n % 6), port).await);
        }
    }
    let to = running.url.trim_start_matches("http://");
    assert!(is_answered(&mut connect_from("127.0.0.4", to).await), "HTTP");
    the_database_is_reached_anew(&database, &running).await;
    let held = as_many_as_possible("127.0.0.5", to).await;
    assert!(held.len() >= 8, "{}", held.len());
    the_database_is_reached_anew(&database, &running).await;
    // The proxy is not counted by its address on the gRPC port either.
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", ports[0])).unwrap();
    let channel = channel.local_address(Some(PROXY.parse().unwrap())).connect().await.unwrap();
    let mut checks = envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient::new(channel);
    checks.check(envoy_types::pb::envoy::service::auth::v3::CheckRequest::default()).await.expect("a check");
}

/// The soft limit is what shells and service managers set by habit; the hard one is what the machine allows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_soft_limit_is_raised_to_the_hard_one() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = Running::start_with(limited(&database.url, "-S -n 150 && ulimit -H -n 700"));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", running.id())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["700", "700"], "{files}");
    assert!(limits.lines().any(|line| line.split_whitespace().take(6).eq(["Max", "core", "file", "size", "0", "0"])));
    running.make_token(&http_client()).await.expect("a token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_without_room_for_connections_stops_the_start() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut serve = limited(&database.url, "-n 100");
    serve.args(["serve", "--listen", "127.0.0.1:0"]);
    let output = run(serve, "");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("limit on open files is 100"), "{said}");
    assert!(!said.contains(PASSWORD));
    assert!(!std::path::Path::new(database.url.trim_start_matches("sqlite:")).exists());
}

/// A debugger of the same user reads a process only where it is dumpable; then its files in /proc are its user's, else root's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_of_the_process_is_kept_from_debuggers() {
    use std::os::unix::{fs::MetadataExt as _, process::CommandExt as _};
    let database = Database::empty(Engine::Postgres).await;
    let folder = tempfile::tempdir().unwrap();
    for (core_dumps, is_roots) in [("false", true), ("true", false)] {
        let mut serve = command(&database.url);
        serve.env("TOKENWARD_PROCESS__CORE_DUMPS", core_dumps).current_dir("/");
        if let Some((uid, gid)) = crate::support::postgres::unprivileged(folder.path()) {
            serve.uid(uid).gid(gid);
        }
        let running = Running::start_with(serve);
        let owner = std::fs::metadata(format!("/proc/{}/environ", running.id())).unwrap().uid();
        assert_eq!(owner == 0, is_roots, "core_dumps = {core_dumps}: {owner}");
        running.make_token(&http_client()).await.expect("a token");
    }
}
