//! The gRPC listener of ext_authz: health checks, TLS, timeouts, limits, and shutdown with the
//! service.

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
    binary::{ServerProcess, tokenward_command},
    http_client,
};

/// Starts the service with a gRPC listener. Returns the address of the listener.
fn start(database: &Database, tls: Option<&Path>) -> (ServerProcess, String) {
    start_with(tokenward_command(&database.url), tls)
}

fn start_with(mut serve: Command, tls: Option<&Path>) -> (ServerProcess, String) {
    serve.env("TOKENWARD_LISTEN__EXT_AUTHZ", "127.0.0.1:0");
    if let Some(folder) = tls {
        serve.env("TOKENWARD_LISTEN__EXT_AUTHZ_CERTIFICATE", folder.join("cert.pem"));
        serve.env("TOKENWARD_LISTEN__EXT_AUTHZ_KEY", folder.join("key.pem"));
    }
    let running = ServerProcess::start_with(serve);
    let address = running.grpc_address();
    (running, address)
}

async fn assert_healthy_and_authenticating(channel: Channel) {
    let service = "envoy.service.auth.v3.Authorization".to_owned();
    let health = HealthClient::new(channel.clone()).check(HealthCheckRequest { service }).await.unwrap();
    assert_eq!(health.into_inner().status(), ServingStatus::Serving);
    // A request without attributes has no credential.
    let response = AuthorizationClient::new(channel).check(CheckRequest::default()).await.unwrap();
    assert_eq!(response.into_inner().status.unwrap().code, tonic::Code::Unauthenticated as i32);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plaintext_checks_stop_with_the_service() {
    let database = Database::empty(Engine::Sqlite).await;
    let (running, address) = start(&database, None);
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    assert_healthy_and_authenticating(channel).await;
    running.send_signal("TERM");
    let (code, log) = running.wait_for_exit();
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_use_tls_when_a_certificate_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "5"])
        .args(["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let database = Database::empty(Engine::Sqlite).await;
    let mut serve = tokenward_command(&database.url);
    serve.env("TOKENWARD_HTTP__HEADER_TIMEOUT", "1s");
    let (_running, address) = start_with(serve, Some(folder.path()));
    // The TLS handshake has a timeout too.
    for bytes in [&b""[..], b"\x16\x03\x01", HTTP2_PREFACE] {
        let mut silent = TcpStream::connect(&address).unwrap();
        silent.write_all(bytes).unwrap();
        wait_until_closed(&mut silent);
    }
    let certificate = Certificate::from_pem(std::fs::read(folder.path().join("cert.pem")).unwrap());
    let tls = ClientTlsConfig::new().ca_certificate(certificate).domain_name("localhost");
    let endpoint = Channel::from_shared(format!("https://{address}")).unwrap().tls_config(tls).unwrap();
    assert_healthy_and_authenticating(endpoint.connect().await.unwrap()).await;
    let plaintext = Channel::from_shared(format!("http://{address}")).unwrap().connect().await;
    let is_rejected = match plaintext {
        Ok(channel) => AuthorizationClient::new(channel).check(CheckRequest::default()).await.is_err(),
        Err(_) => true,
    };
    assert!(is_rejected, "a plaintext request got a response");
}

/// The connection preface of an HTTP/2 client with an empty SETTINGS frame (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Waits until the server closes the connection.
fn wait_until_closed(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("still open: {error}"),
    }
}

/// Silent connections stop before, within, or after the preface. A client without requests keeps
/// its connection, because it acknowledges pings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_are_closed_and_idle_clients_are_kept() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut serve = tokenward_command(&database.url);
    serve.env("TOKENWARD_HTTP__HEADER_TIMEOUT", "1s").env("TOKENWARD_HTTP__IDLE_TIMEOUT", "6s");
    serve.env("TOKENWARD_HTTP__MAX_CONNECTIONS_PER_IP", "0").env("TOKENWARD_LISTEN__METRICS", "127.0.0.1:0");
    let (running, address) = start_with(serve, None);
    let idle_client = CountingClient::connect(&address).await;
    let count = if crate::resilience::is_long() { 250 } else { 10 };
    let mut silent = Vec::new();
    for bytes in [&HTTP2_PREFACE[..0], &HTTP2_PREFACE[..1], &HTTP2_PREFACE[..24], &HTTP2_PREFACE[..32], HTTP2_PREFACE] {
        for _ in 0..count {
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.write_all(bytes).unwrap();
            silent.push(stream);
        }
    }
    idle_client.check().await;
    silent.iter_mut().for_each(wait_until_closed);
    idle_client.check().await;
    assert_eq!(idle_client.connections(), 1, "the idle connection was replaced");
    let metrics = running.metrics_address();
    for bytes in [&b""[..], b"GET /met"] {
        let mut stream = TcpStream::connect(&metrics).unwrap();
        stream.write_all(bytes).unwrap();
        wait_until_closed(&mut stream);
    }
    let response = http_client().get(format!("http://{metrics}/metrics")).send().await.unwrap();
    assert_eq!(response.status(), 200);
}

/// A gRPC client that counts its connections.
struct CountingClient {
    channel: Channel,
    connections: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl CountingClient {
    async fn connect(address: &str) -> Self {
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

    async fn check(&self) {
        AuthorizationClient::new(self.channel.clone()).check(CheckRequest::default()).await.unwrap();
    }

    fn connections(&self) -> usize {
        self.connections.load(std::sync::atomic::Ordering::SeqCst)
    }
}

/// Returns a check request in the form that Envoy sends with `encode_raw_headers`.
fn check_request_with_raw_headers(values: &[&str]) -> CheckRequest {
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
async fn requests_with_two_credentials_are_rejected() {
    let database = Database::empty(Engine::Sqlite).await;
    let (running, address) = start(&database, None);
    let created = running.create_token(&http_client()).await.unwrap();
    let bearer = format!("Bearer {}", created["tokenValue"].as_str().unwrap());
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut checks = AuthorizationClient::new(channel);
    for (values, code) in [
        (&[bearer.as_str()][..], tonic::Code::Ok),
        (&[&bearer, "Bearer foreign"], tonic::Code::Unauthenticated),
        (&["Bearer foreign", &bearer], tonic::Code::Unauthenticated),
        (&[&bearer, &bearer], tonic::Code::Unauthenticated),
        (&[&bearer, ""], tonic::Code::Unauthenticated),
    ] {
        let response = checks.check(check_request_with_raw_headers(values)).await.unwrap().into_inner();
        assert_eq!(response.status.unwrap().code, code as i32, "{} values", values.len());
    }
}
