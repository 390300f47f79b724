//! An LDAP server that misbehaves on purpose.

use std::{
    io::{Read as _, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tempfile::TempDir;

use super::{
    ServerCertificate,
    ber::{Request, result, tag},
    write_certificates,
};

/// The response to a request. Without one, the server stays silent and keeps the connection.
pub type Response = Option<Vec<u8>>;

type Script = Box<dyn Fn(&Request) -> Response + Send + Sync>;

/// A server on a free port of 127.0.0.1. It speaks TLS from the beginning, or after `StartTLS`.
pub struct FakeServer {
    pub address: SocketAddr,
    folder: TempDir,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    connections: AtomicUsize,
    binds: AtomicUsize,
}

/// The beginning of a connection.
enum Beginning {
    Tls,
    /// The bytes that respond to `StartTLS`, and whether TLS follows.
    StartTls(fn(&Request) -> Response, bool),
}

impl FakeServer {
    /// Starts a server for `ldaps://` whose responses come from the script.
    pub fn with_tls(script: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        Self::start(Beginning::Tls, Box::new(script))
    }

    /// Starts a server for `ldap://` that grants `StartTLS`.
    pub fn granting_start_tls(script: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        Self::start(Beginning::StartTls(|request| Some(grant_start_tls(request)), true), Box::new(script))
    }

    /// Starts a server for `ldap://` that responds to `StartTLS` with these bytes.
    pub fn with_start_tls_response(response: fn(&Request) -> Response) -> Self {
        Self::start(Beginning::StartTls(response, false), Box::new(|_| None))
    }

    /// Returns the file with the authority that clients trust.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Returns the number of accepted connections.
    pub fn connections(&self) -> usize {
        self.counters.connections.load(Ordering::SeqCst)
    }

    /// Returns the number of received bind requests.
    pub fn binds(&self) -> usize {
        self.counters.binds.load(Ordering::SeqCst)
    }

    fn start(beginning: Beginning, script: Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_certificates(folder.path(), ServerCertificate::Good, "IP:127.0.0.1");
        let file = |name| folder.path().join(name);
        let certificate = CertificateDer::from_pem_file(file("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(builder.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let counters = Arc::new(Counters::default());
        let server = Arc::new(Server { config, beginning, script, counters: Arc::clone(&counters) });
        // The threads end with the test's process.
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                server.counters.connections.fetch_add(1, Ordering::SeqCst);
                let server = Arc::clone(&server);
                std::thread::spawn(move || server.serve(connection));
            }
        });
        Self { address, folder, counters }
    }
}

struct Server {
    config: Arc<ServerConfig>,
    beginning: Beginning,
    script: Script,
    counters: Arc<Counters>,
}

impl Server {
    /// Serves a connection until the client closes it. Errors are those of a client that left.
    fn serve(&self, mut connection: TcpStream) -> Option<()> {
        if let Beginning::StartTls(response, continues) = &self.beginning {
            let request = Request::read(&mut connection).ok()?;
            assert_eq!(request.operation, tag::EXTENDED_REQUEST);
            connection.write_all(&response(&request).unwrap_or_default()).ok()?;
            if !continues {
                // Wait for the client to leave. An early end could spare it the response.
                return connection.read_to_end(&mut Vec::new()).ok().map(drop);
            }
        }
        let tls = ServerConnection::new(Arc::clone(&self.config)).unwrap();
        let mut stream = StreamOwned::new(tls, connection);
        loop {
            let request = Request::read(&mut stream).ok()?;
            if request.operation == tag::BIND_REQUEST {
                self.counters.binds.fetch_add(1, Ordering::SeqCst);
            }
            stream.write_all(&(self.script)(&request).unwrap_or_default()).ok()?;
            stream.flush().ok()?;
        }
    }
}

/// Encodes a successful response to `StartTLS`.
pub fn grant_start_tls(request: &Request) -> Vec<u8> {
    request.response(tag::EXTENDED_RESPONSE, &result(0, "", &[]))
}

/// Encodes a response like one of an empty directory that accepts every password.
pub fn accept(request: &Request) -> Response {
    match request.operation {
        tag::BIND_REQUEST => Some(request.response(tag::BIND_RESPONSE, &result(0, "", &[]))),
        tag::SEARCH_REQUEST => Some(request.response(tag::SEARCH_DONE, &result(0, "", &[]))),
        _ => None,
    }
}
