//! The gRPC listener: health checking, TLS, and that it ends with the service.

use std::{path::Path, process::Command};

use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, authorization_client::AuthorizationClient};
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::support::{
    Database, Engine,
    binary::{Running, command},
};

/// Starts the service with Envoy's checks; gives their address.
fn start(database: &Database, tls: Option<&Path>) -> (Running, String) {
    let mut serve = command(&database.url);
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
    let (_running, address) = start(&database, Some(folder.path()));
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
