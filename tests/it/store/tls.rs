//! A PostgreSQL server with password authentication and TLS, as in production.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use sqlx::{Connection as _, Executor as _, PgConnection};
use tokenward::store::{DatabaseUrl, PoolLimits, SchemaStatus, Store};

use crate::support::postgres::{PostgresServer, unprivileged_user};

const POOL_LIMITS: PoolLimits = PoolLimits {
    max_connections: 2,
    acquire_timeout: Duration::from_secs(5),
    statement_timeout: Duration::from_secs(5),
};

fn run_openssl(folder: &Path, arguments: &str) {
    let done = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Creates two CAs, a certificate of the first for `localhost`, and a self-signed one.
fn create_certificates(folder: &Path) {
    const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    for ca in ["ca", "other"] {
        run_openssl(folder, &format!("req -x509 {KEY} -keyout {ca}.key -out {ca}.crt -days 2 -subj /CN={ca}"));
    }
    run_openssl(folder, &format!("req {KEY} -keyout server.key -out server.csr -subj /CN=localhost"));
    fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    run_openssl(
        folder,
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt",
    );
    run_openssl(
        folder,
        &format!(
            "req -x509 {KEY} -keyout own.key -out own.crt -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
        ),
    );
}

/// Starts a server that accepts only TLS connections with a password over TCP, with this
/// certificate.
fn start_tls_server(folder: &Path, certificate: &str) -> PostgresServer {
    let path = |name: &str| folder.join(name).display().to_string();
    fs::write(folder.join("hba"), "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n").unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let key: PathBuf = folder.join(format!("{certificate}.key"));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    if let Some((uid, gid)) = unprivileged_user(folder) {
        chown(&key, Some(uid), Some(gid)).unwrap();
    }
    let settings = [
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", path(&format!("{certificate}.crt"))),
        format!("ssl_key_file={}", key.display()),
        format!("hba_file={}", path("hba")),
    ];
    PostgresServer::durable_with(&settings.each_ref().map(String::as_str), None)
}

async fn execute_as_superuser(server: &PostgresServer, statement: &'static str) {
    let url = format!("postgres:///postgres?user=postgres&port={}&host={}", server.port, server.socket_dir().display());
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection.execute(statement).await.unwrap();
    connection.close().await.unwrap();
}

/// Returns the text of an error and its causes.
fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Opens the store; the error is a text that includes the causes.
async fn open_store(url: &str) -> Result<Store, String> {
    let address: DatabaseUrl = url.parse().map_err(|error| format!("{error}"))?;
    Store::open(&address, POOL_LIMITS).await.map_err(|error| error_chain(&error))
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_verified_as_sslmode_demands() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let folder = tempfile::tempdir().unwrap();
    create_certificates(folder.path());
    let server = start_tls_server(folder.path(), "server");
    execute_as_superuser(&server, "create role tokenward login password 'p@ss w/rd'").await;
    execute_as_superuser(&server, "create database tokens owner tokenward").await;
    let url = |host: &str, query: &str| {
        let folder = folder.path().display();
        let query = query.replace("CA", &format!("{folder}/ca.crt")).replace("OTHER", &format!("{folder}/other.crt"));
        format!("postgres://tokenward:p%40ss%20w%2Frd@{host}:{}/tokens?{query}", server.port)
    };
    for (host, query) in [
        ("localhost", "sslmode=require"),
        ("localhost", ""),
        ("localhost", "sslmode=allow"),
        ("localhost", "sslmode=verify-full&sslrootcert=CA"),
        ("127.0.0.1", "sslmode=verify-ca&sslrootcert=CA"),
        ("127.0.0.1", "sslmode=require&sslrootcert=CA"),
    ] {
        let store = open_store(&url(host, query)).await.unwrap_or_else(|error| panic!("{query}: {error}"));
        store.close().await;
    }
    for (host, query) in [
        ("localhost", "sslmode=require&sslrootcert=OTHER"),
        ("localhost", "sslmode=verify-ca&sslrootcert=OTHER"),
        ("localhost", "sslmode=verify-full&sslrootcert=OTHER"),
        ("127.0.0.1", "sslmode=verify-full&sslrootcert=CA"),
        ("localhost", "sslmode=verify-full"),
        ("localhost", "sslmode=disable"),
    ] {
        let error = open_store(&url(host, query)).await.expect_err(query);
        assert!(!error.contains("p@ss") && !error.contains("w/rd"), "{error}");
    }
    let wrong = url("localhost", "sslmode=require").replace("p%40ss", "wrong");
    assert!(open_store(&wrong).await.unwrap_err().contains("password authentication failed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_for_a_self_signed_root_certificate_names_the_cause() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let folder = tempfile::tempdir().unwrap();
    create_certificates(folder.path());
    let server = start_tls_server(folder.path(), "own");
    let root = folder.path().join("own.crt");
    let url = format!(
        "postgres://postgres:x@localhost:{}/postgres?sslmode=verify-full&sslrootcert={}",
        server.port,
        root.display()
    );
    let error = open_store(&url).await.unwrap_err();
    assert!(error.contains("must be the certificate of its CA"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_search_path_of_the_url_is_used_and_other_encodings_are_rejected() {
    let server = PostgresServer::durable();
    execute_as_superuser(&server, "create database tokens").await;
    execute_as_superuser(&server, "create database latin encoding 'LATIN1' locale 'C' template template0").await;
    let error = open_store(&PostgresServer::url_via_port(server.port, "latin")).await.unwrap_err();
    assert!(error.contains("LATIN1") && error.contains("UTF8"), "{error}");
    let url = PostgresServer::url_via_port(server.port, "tokens");
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection.execute("create schema own").await.unwrap();
    let store = open_store(&format!("{url}?options=-c%20search_path%3Down")).await.unwrap();
    store.migrate().await.unwrap();
    assert_eq!(store.schema_status().await.unwrap(), SchemaStatus::Current);
    let count = "select count(*) from pg_tables where schemaname = $1 and tablename = 'token'";
    for (schema, expected) in [("own", 1), ("public", 0)] {
        let tables: i64 = sqlx::query_scalar(count).bind(schema).fetch_one(&mut connection).await.unwrap();
        assert_eq!(tables, expected, "{schema}");
    }
    store.close().await;
}
