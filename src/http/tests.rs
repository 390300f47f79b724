//! Tests of connections and middleware on real sockets, with misbehaving routes.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    extract::Request,
    routing::{get, post},
};
use futures_util::stream;
use hyper::body::Incoming;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Notify, oneshot},
    task::JoinHandle,
};

use super::{
    connection_limit::ConnectionLimiter, listener, middleware, request_id::RequestId, request_metrics::RequestMetrics,
    routes::Routes,
};
use crate::{
    config::{Config, ConfigDuration},
    domain::event::RequestContext,
    http::client_ip::{PeerAddr, TrustedProxies},
};

/// A server of test routes with the middleware.
struct TestServer {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<()>,
}

impl TestServer {
    async fn new(routes: Router, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        let router = middleware::apply_layers(routes, &config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let routes = Arc::new(Routes {
            router,
            trusted_proxies: TrustedProxies::default(),
            error_pages: Default::default(),
            metrics: RequestMetrics::default(),
        });
        let handler = move |request: Request<Incoming>, peer| {
            let (routes, id) = (Arc::clone(&routes), RequestId::from_headers(request.headers()));
            Box::pin(async move { Ok(routes.respond(request.map(Body::new), Some(PeerAddr(peer)), id).await) })
        };
        let done = tokio::spawn(async move {
            let limiter = ConnectionLimiter::new(0, 0, TrustedProxies::default());
            let stop = async { stopped.await.unwrap_or(()) };
            listener::serve(listener, handler, &config.http, &limiter, stop).await;
        });
        Self { address, stop, done }
    }

    async fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

/// Reads to the end. Returns the text and whether the connection was reset.
async fn read_to_end(stream: &mut TcpStream) -> (String, bool) {
    let (mut text, mut part) = (Vec::new(), [0; 64 * 1024]);
    loop {
        match stream.read(&mut part).await {
            Ok(0) => return (String::from_utf8_lossy(&text).into_owned(), false),
            Ok(read) => text.extend_from_slice(&part[..read]),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
                return (String::from_utf8_lossy(&text).into_owned(), true);
            }
        }
    }
}

/// Reads until the text ends with `end`.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        text.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(text).unwrap()
}

/// Captures the log of this thread until the guard is dropped.
fn capture_log() -> (Arc<Mutex<Vec<u8>>>, tracing::subscriber::DefaultGuard) {
    struct Writer(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Writer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let written = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&written);
    let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(move || Writer(Arc::clone(&writer)));
    (written, tracing::subscriber::set_default(lines.finish()))
}

/// A list that looks complete when its next part fails.
fn failing_list_routes() -> Router {
    let parts = || stream::iter([Ok(Bytes::from_static(b"[1,2]")), Err(io::Error::other("the store is gone"))]);
    Router::new().route("/list", get(move || std::future::ready(Body::from_stream(parts()))))
}

#[tokio::test]
async fn an_aborted_response_is_never_mistaken_for_a_complete_one() {
    let (log, _guard) = capture_log();
    let server = TestServer::new(failing_list_routes(), |_| ()).await;
    for version in ["1.1", "1.0"] {
        let mut stream = server.send(&format!("GET /list HTTP/{version}\r\nhost: x\r\n\r\n")).await;
        let (text, is_reset) = read_to_end(&mut stream).await;
        // For an HTTP/1.0 client, the end of the connection is the end of the list.
        assert!(is_reset && !text.contains("\r\n0\r\n"), "HTTP/{version}: {text}");
    }
    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    assert_eq!(log.matches("aborted a response").count(), 2, "one line each: {log}");
    assert!(log.contains("ERROR") && log.contains("the store is gone") && log.contains("/list"), "{log}");
}

#[tokio::test]
async fn a_complete_response_of_unknown_length_ends_with_the_last_chunk() {
    let parts = || stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"[1,2]"))]);
    let routes = Router::new().route("/list", get(move || std::future::ready(Body::from_stream(parts()))));
    let (log, _guard) = capture_log();
    let server = TestServer::new(routes, |_| ()).await;
    let mut stream = server.send("GET /list HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let (text, is_reset) = read_to_end(&mut stream).await;
    assert!(!is_reset && text.ends_with("5\r\n[1,2]\r\n0\r\n\r\n"), "{text}");
    assert!(!String::from_utf8_lossy(&log.lock().unwrap()).contains("aborted a response"));
}

/// The request timeout ends with the first byte of the response.
#[tokio::test]
async fn the_request_timeout_does_not_apply_to_the_response_body() {
    const TIMEOUT: Duration = Duration::from_millis(50);
    let parts = || {
        stream::unfold(0, |n| async move {
            tokio::time::sleep(if n == 0 { Duration::ZERO } else { TIMEOUT }).await;
            (n < 4).then(|| (Ok::<_, io::Error>(Bytes::from_static(b"x")), n + 1))
        })
    };
    let routes = Router::new()
        .route("/long", get(move || std::future::ready(Body::from_stream(parts()))))
        .route("/never", get(std::future::pending::<()>));
    let change = |config: &mut Config| {
        config.http.request_timeout = ConfigDuration::from_millis(u64::try_from(TIMEOUT.as_millis()).unwrap());
        config.http.idle_timeout = ConfigDuration::from_millis(60_000);
    };
    let server = TestServer::new(routes, change).await;
    let mut stream = server.send("GET /long HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let (text, is_reset) = read_to_end(&mut stream).await;
    assert!(!is_reset && text.matches("1\r\nx\r\n").count() == 4 && text.ends_with("0\r\n\r\n"), "{text}");
    let mut stream = server.send("GET /never HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(read_to_end(&mut stream).await.0.starts_with("HTTP/1.1 503"), "the limit applies before the first byte");
}

/// A revocation that waits for another node is not aborted by the limit of other requests.
#[tokio::test]
async fn the_revocation_barrier_extends_the_request_timeout() {
    const TIMEOUT: Duration = Duration::from_millis(50);
    let barrier = |length: Duration| {
        move |Extension(context): Extension<RequestContext>| async move {
            context.barrier_wait.begin();
            tokio::time::sleep(length).await;
            "effective"
        }
    };
    let routes = Router::new()
        .route("/slow", post(barrier(TIMEOUT * 4)))
        .route("/never", post(barrier(Duration::MAX)))
        .route("/other", post(std::future::pending::<()>));
    let change = |config: &mut Config| {
        config.http.request_timeout = ConfigDuration::from_millis(u64::try_from(TIMEOUT.as_millis()).unwrap());
        config.cache.lease_duration = ConfigDuration::from_millis(500);
    };
    let server = TestServer::new(routes, change).await;
    for (path, status) in [("/slow", "200"), ("/other", "503"), ("/never", "503")] {
        let request = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let (text, _) = read_to_end(&mut server.send(&request).await).await;
        assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {text}");
    }
}

/// Notifies when it is dropped.
struct DropNotifier(Arc<Notify>);

impl Drop for DropNotifier {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// A response without an end, and a notification when it is dropped.
fn endless_routes() -> (Router, Arc<Notify>) {
    let dropped = Arc::new(Notify::new());
    let notifier = Arc::clone(&dropped);
    let parts = move || {
        stream::unfold(DropNotifier(Arc::clone(&notifier)), |dropped| async {
            Some((Ok::<_, io::Error>(Bytes::from_static(&[b'x'; 64 * 1024])), dropped))
        })
    };
    (Router::new().route("/endless", get(move || std::future::ready(Body::from_stream(parts())))), dropped)
}

#[tokio::test]
async fn a_client_that_does_not_read_a_long_response_is_disconnected() {
    let (routes, dropped) = endless_routes();
    let server = TestServer::new(routes, |config| config.http.idle_timeout = ConfigDuration::from_millis(200)).await;
    for version in ["1.1", "1.0"] {
        let mut stream = server.send(&format!("GET /endless HTTP/{version}\r\nhost: x\r\n\r\n")).await;
        dropped.notified().await;
        let (text, is_reset) = read_to_end(&mut stream).await;
        assert!(is_reset && !text.contains("\r\n0\r\n"), "HTTP/{version}: {} bytes", text.len());
    }
}

/// A client may send another request on a connection whose last response did not announce the
/// close.
#[tokio::test]
async fn shutdown_finishes_a_long_response_and_serves_the_next_request() {
    let release = Arc::new(Notify::new());
    let released = Arc::clone(&release);
    let parts = move || {
        let released = Arc::clone(&released);
        stream::unfold(0, move |n| {
            let released = Arc::clone(&released);
            async move {
                if n == 1 {
                    released.notified().await;
                }
                (n < 2).then(|| (Ok::<_, io::Error>(Bytes::from_static(b"x")), n + 1))
            }
        })
    };
    let routes = Router::new()
        .route("/long", get(move || std::future::ready(Body::from_stream(parts()))))
        .route("/short", get(|| std::future::ready("short")));
    let server = TestServer::new(routes, |_| ()).await;
    let mut idle = server.send("GET /short HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_until(&mut idle, "short").await;
    let mut stream = server.send("GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let head = read_until(&mut stream, "1\r\nx\r\n").await;
    assert!(!head.contains("connection: close"), "{head}");
    server.stop.send(()).unwrap();
    // Idle connections are closed during shutdown, so the shutdown has started.
    assert_eq!(read_to_end(&mut idle).await, (String::new(), false));
    release.notify_one();
    read_until(&mut stream, "0\r\n\r\n").await;
    stream.write_all(b"GET /short HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let (text, is_reset) = read_to_end(&mut stream).await;
    assert!(!is_reset && text.contains("connection: close") && text.ends_with("short"), "{text}");
    server.done.await.unwrap();
}
