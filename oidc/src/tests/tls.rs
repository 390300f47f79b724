//! TLS to a provider.

use std::{path::Path, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::{Client, SettingsError};

use super::*;

const CA_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/keys/test-ca.pem");
const OTHER_CA_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/keys/test-other-ca.pem");

/// Serves a discovery document by TLS, with a certificate for `localhost` and 127.0.0.1. Returns the
/// port.
async fn serve(issuer_host: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(include_bytes!("keys/test-server.pk8").as_slice()));
    let certificate = CertificateDer::from(include_bytes!("keys/test-server.der").as_slice());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            // The client ends a handshake whose certificate it does not accept.
            let Ok(mut stream) = acceptor.accept(connection).await else { continue };
            let mut request = vec![0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            let base = format!("https://{issuer_host}:{port}");
            let endpoint = |name: &str| format!("{base}/{name}");
            let body = json!({
                "issuer": base,
                "jwks_uri": endpoint("keys"),
                "authorization_endpoint": endpoint("authorize"),
                // An issuer with TLS has no endpoint without it, also not on this host.
                "token_endpoint": if issuer_host == "localhost" { endpoint("token") } else { "http://127.0.0.1:1/token".to_owned() },
            })
            .to_string();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    port
}

fn client(issuer: &str, ca_file: Option<&Path>) -> Client {
    Client::new(ClientSettings { ca_file: ca_file.map(Into::into), ..settings(issuer) }).unwrap()
}

#[tokio::test]
async fn the_authorities_of_the_file_are_accepted_and_no_others() {
    let port = serve("localhost").await;
    let issuer = format!("https://localhost:{port}");
    let url = client(&issuer, Some(Path::new(CA_FILE))).authorization_url(&flow()).await.unwrap();
    assert_eq!(url.scheme(), "https");
    for ca_file in [None, Some(Path::new(OTHER_CA_FILE))] {
        // Without a file the authorities of the system are accepted, if it has any.
        let Ok(client) = Client::new(ClientSettings { ca_file: ca_file.map(Into::into), ..settings(&issuer) }) else {
            assert_eq!(ca_file, None);
            continue;
        };
        let cause = expect_unavailable(client.authorization_url(&flow()).await);
        assert!(matches!(cause, UnavailableCause::Certificate(_)), "{cause:?}");
        assert!(cause.to_string().contains("set ca_file"), "{cause}");
    }
}

#[test]
fn a_file_without_an_authority_is_an_error() {
    for file in ["/dev/null", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")] {
        let error = Client::new(ClientSettings { ca_file: Some(file.into()), ..settings("https://a.example") });
        assert!(matches!(error, Err(SettingsError::NoRoots)), "{error:?}");
    }
}

#[tokio::test]
async fn an_issuer_with_tls_has_no_endpoint_without_it() {
    let port = serve("127.0.0.1").await;
    let client = client(&format!("https://127.0.0.1:{port}"), Some(Path::new(CA_FILE)));
    let cause = expect_unavailable(client.authorization_url(&flow()).await);
    assert!(matches!(cause, UnavailableCause::EndpointUrl { name: "token_endpoint" }), "{cause}");
}
