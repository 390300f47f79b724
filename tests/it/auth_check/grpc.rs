//! The gRPC listener: health checking, TLS, and that it ends with the service.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::Command,
    time::Duration,
};

use envoy_types::pb::envoy::{
    config::core::v3::{HeaderMap, HeaderValue},
    service::auth::v3::{AttributeContext, CheckRequest, attribute_context, authorization_client::AuthorizationClient},
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::support::{
    Database, Engine,
    binary::{Running, command},
    http_client,
};

/// Starts the service with Envoy's checks; gives their address.
fn start(database: &Database, tls: Option<&Path>) -> (Running, String) {
    start_with(command(&database.url), tls)
}

fn start_with(mut serve: Command, tls: Option<&Path>) -> (Running, String) {
    serve.env("TOKENWARD_LISTEN__EXT_AUTHZ", "127.0.0.1:0");
    if let Some(folder) = tls {
        serve.env("TOKENWARD_LISTEN__EXT_AUTHZ_CERTIFICATE", folder.join("cert.pem"));
        serve.env("TOKENWARD_LISTEN__EXT_AUTHZ_KEY", folder.join("key.pem"));
    }
    let running = Running::start_with(serve);
    let log = running.log();
    let address = log.lines().find_map(|line| line.split("grpc://").nth(1)).expect("the address of the checks");
    let address = address.to_owned();
    (running, address)
}

async fn is_healthy_and_refuses_strangers(channel: Channel) {
    let service = "envoy.service.auth.v3.Authorization".to_owned();
    let health = HealthClient::new(channel.clone()).check(HealthCheckRequest { service }).await.unwrap();
    assert_eq!(health.into_inner().status(), ServingStatus::Serving);
    // A request that says nothing of its client is one without a credential.
    let answer = AuthorizationClient::new(channel).check(CheckRequest::default()).await.unwrap();
    assert_eq!(answer.into_inner().status.unwrap().code, tonic::Code::Unauthenticated as i32);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_are_answered_in_plain_text_and_end_with_the_service() {
    let database = Database::empty(Engine::Sqlite).await;
    let (running, address) = start(&database, None);
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    is_healthy_and_refuses_strangers(channel).await;
    running.signal("TERM");
    let (code, log) = running.wait();
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_are_answered_by_tls_where_certificates_are_given() {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "5"])
        .args(["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let database = Database::empty(Engine::Sqlite).await;
    let mut quick = command(&database.url);
    quick.env("TOKENWARD_HTTP__HEADER_TIMEOUT_MS", "1000");
    let (_running, address) = start_with(quick, Some(folder.path()));
    // A handshake has its time, too.
    for sent in [&b""[..], b"\x16\x03\x01", OPENING] {
        let mut silent = TcpStream::connect(&address).unwrap();
        silent.write_all(sent).unwrap();
        ends(&mut silent);
    }
    let certificate = Certificate::from_pem(std::fs::read(folder.path().join("cert.pem")).unwrap());
    let tls = ClientTlsConfig::new().ca_certificate(certificate).domain_name("localhost");
    let endpoint = Channel::from_shared(format!("https://{address}")).unwrap().tls_config(tls).unwrap();
    is_healthy_and_refuses_strangers(endpoint.connect().await.unwrap()).await;
    let plain = Channel::from_shared(format!("http://{address}")).unwrap().connect().await;
    let refused = match plain {
        Ok(channel) => AuthorizationClient::new(channel).check(CheckRequest::default()).await.is_err(),
        Err(_) => true,
    };
    assert!(refused, "plain text is not answered");
}

/// What a client of HTTP/2 begins with: the preface, and settings that change nothing.
const OPENING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Waits until the other end has closed the connection.
fn ends(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("still open: {error}"),
    }
}

/// Connections that say nothing, that stop in the middle of the opening, and that say nothing after it; meanwhile a client that has
/// nothing to ask keeps its connection, since it acknowledges pings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_are_closed_and_quiet_clients_are_not() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut quick = command(&database.url);
    quick.env("TOKENWARD_HTTP__HEADER_TIMEOUT_MS", "1000").env("TOKENWARD_HTTP__IDLE_TIMEOUT_MS", "6000");
    quick.env("TOKENWARD_HTTP__CONNECTIONS_PER_ADDRESS", "0").env("TOKENWARD_LISTEN__METRICS", "127.0.0.1:0");
    let (running, address) = start_with(quick, None);
    let quiet = Lasting::open(&address).await;
    let many = if std::env::var("TOKENWARD_TORTURE").is_ok_and(|form| form == "long") { 250 } else { 10 };
    let mut silent = Vec::new();
    for sent in [&OPENING[..0], &OPENING[..1], &OPENING[..24], &OPENING[..32], OPENING] {
        for _ in 0..many {
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.write_all(sent).unwrap();
            silent.push(stream);
        }
    }
    quiet.is_answered().await;
    silent.iter_mut().for_each(ends);
    quiet.is_answered().await;
    assert_eq!(quiet.connections(), 1, "it was not closed meanwhile");
    let log = running.log();
    let metrics = log.lines().find_map(|line| line.split("figures on http://").nth(1)).unwrap();
    let metrics = metrics.trim_end_matches("/metrics");
    for sent in [&b""[..], b"GET /met"] {
        let mut stream = TcpStream::connect(metrics).unwrap();
        stream.write_all(sent).unwrap();
        ends(&mut stream);
    }
    let told = http_client().get(format!("http://{metrics}/metrics")).send().await.unwrap();
    assert_eq!(told.status(), 200);
}

/// A client whose connections are counted.
struct Lasting {
    channel: Channel,
    connections: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl Lasting {
    async fn open(address: &str) -> Self {
        let connections = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (counted, address) = (std::sync::Arc::clone(&connections), address.to_owned());
        let connect = tower::service_fn(move |_: http::Uri| {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let address = address.clone();
            async move {
                Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(tokio::net::TcpStream::connect(address).await?))
            }
        });
        let channel = Channel::from_static("http://tokenward").connect_with_connector(connect).await.unwrap();
        Self { channel, connections }
    }

    async fn is_answered(&self) {
        AuthorizationClient::new(self.channel.clone()).check(CheckRequest::default()).await.unwrap();
    }

    fn connections(&self) -> usize {
        self.connections.load(std::sync::atomic::Ordering::SeqCst)
    }
}

/// A check as Envoy makes it with `encode_raw_headers`.
fn raw(values: &[&str]) -> CheckRequest {
    let headers = values.iter().map(|value| HeaderValue {
        key: "authorization".to_owned(),
        raw_value: value.as_bytes().to_vec(),
        ..HeaderValue::default()
    });
    let http = attribute_context::HttpRequest {
        header_map: Some(HeaderMap { headers: headers.collect() }),
        ..attribute_context::HttpRequest::default()
    };
    let request = attribute_context::Request { http: Some(http), ..attribute_context::Request::default() };
    CheckRequest { attributes: Some(AttributeContext { request: Some(request), ..AttributeContext::default() }) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_credentials_none_counts() {
    let database = Database::empty(Engine::Sqlite).await;
    let (running, address) = start(&database, None);
    let made = running.make_token(&http_client()).await.unwrap();
    let good = format!("Bearer {}", made["tokenValue"].as_str().unwrap());
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut checks = AuthorizationClient::new(channel);
    for (values, code) in [
        (&[good.as_str()][..], tonic::Code::Ok),
        (&[&good, "Bearer foreign"], tonic::Code::Unauthenticated),
        (&["Bearer foreign", &good], tonic::Code::Unauthenticated),
        (&[&good, &good], tonic::Code::Unauthenticated),
        (&[&good, ""], tonic::Code::Unauthenticated),
    ] {
        let answer = checks.check(raw(values)).await.unwrap().into_inner();
        assert_eq!(answer.status.unwrap().code, code as i32, "{} values", values.len());
    }
}
