//! Connections and the layers at real sockets, with routes that misbehave.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    routing::get,
};
use futures_util::stream;
use hyper::body::Incoming;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Notify, oneshot},
    task::JoinHandle,
};
use tower::ServiceExt as _;

use super::{connection_limit::Crowd, listener, middleware};
use crate::{config::Config, http::client_ip::Proxies};

/// A server of some routes, within the layers.
struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<()>,
}

impl Served {
    async fn new(routes: Router, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        let router = middleware::around(routes, &config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let answer = move |request: Request<Incoming>, _| Box::pin(router.clone().oneshot(request.map(Body::new)));
        let done = tokio::spawn(async move {
            let crowd = Crowd::new(0, 0, Proxies::default());
            let stop = async { stopped.await.unwrap_or(()) };
            listener::serve(listener, answer, &config.http, &crowd, stop).await;
        });
        Self { address, stop, done }
    }

    async fn ask(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

/// Everything that comes, and whether the connection was reset.
async fn rest(stream: &mut TcpStream) -> (String, bool) {
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

/// Reads until this has come.
async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        text.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(text).unwrap()
}

/// What is logged on this thread meanwhile.
fn log() -> (Arc<Mutex<Vec<u8>>>, tracing::subscriber::DefaultGuard) {
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

/// A list that is whole by its looks when the next part fails.
fn breaks_off() -> Router {
    let parts = || stream::iter([Ok(Bytes::from_static(b"[1,2]")), Err(io::Error::other("the store is gone"))]);
    Router::new().route("/list", get(move || std::future::ready(Body::from_stream(parts()))))
}

#[tokio::test]
async fn a_response_that_breaks_off_is_never_taken_for_a_whole_one() {
    let (log, _guard) = log();
    let served = Served::new(breaks_off(), |_| ()).await;
    for version in ["1.1", "1.0"] {
        let mut stream = served.ask(&format!("GET /list HTTP/{version}\r\nhost: x\r\n\r\n")).await;
        let (text, is_reset) = rest(&mut stream).await;
        // An HTTP/1.0 client takes the end of the connection for the end of the list.
        assert!(is_reset && !text.contains("\r\n0\r\n"), "HTTP/{version}: {text}");
    }
    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    assert_eq!(log.matches("broke off a response").count(), 2, "one line each: {log}");
    assert!(log.contains("ERROR") && log.contains("the store is gone") && log.contains("/list"), "{log}");
}

#[tokio::test]
async fn a_whole_response_of_unknown_length_ends_with_its_last_chunk() {
    let parts = || stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"[1,2]"))]);
    let routes = Router::new().route("/list", get(move || std::future::ready(Body::from_stream(parts()))));
    let (log, _guard) = log();
    let served = Served::new(routes, |_| ()).await;
    let mut stream = served.ask("GET /list HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let (text, is_reset) = rest(&mut stream).await;
    assert!(!is_reset && text.ends_with("5\r\n[1,2]\r\n0\r\n\r\n"), "{text}");
    assert!(!String::from_utf8_lossy(&log.lock().unwrap()).contains("broke off"));
}

/// The request time-out ends with the first byte: a long list goes on.
#[tokio::test]
async fn a_response_may_take_longer_than_a_request() {
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
        config.http.request_timeout_ms = u64::try_from(TIMEOUT.as_millis()).unwrap();
        config.http.idle_timeout_ms = 60_000;
    };
    let served = Served::new(routes, change).await;
    let mut stream = served.ask("GET /long HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let (text, is_reset) = rest(&mut stream).await;
    assert!(!is_reset && text.matches("1\r\nx\r\n").count() == 4 && text.ends_with("0\r\n\r\n"), "{text}");
    let mut stream = served.ask("GET /never HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(rest(&mut stream).await.0.starts_with("HTTP/1.1 503"), "before the first byte the limit holds");
}

/// Tells when it is gone.
struct Gone(Arc<Notify>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// A response without an end, and what tells that it was given up.
fn endless() -> (Router, Arc<Notify>) {
    let gone = Arc::new(Notify::new());
    let told = Arc::clone(&gone);
    let parts = move || {
        stream::unfold(Gone(Arc::clone(&told)), |gone| async {
            Some((Ok::<_, io::Error>(Bytes::from_static(&[b'x'; 64 * 1024])), gone))
        })
    };
    (Router::new().route("/endless", get(move || std::future::ready(Body::from_stream(parts())))), gone)
}

#[tokio::test]
async fn a_client_that_reads_nothing_of_a_long_response_is_cut_off() {
    let (routes, gone) = endless();
    let served = Served::new(routes, |config| config.http.idle_timeout_ms = 200).await;
    for version in ["1.1", "1.0"] {
        let mut stream = served.ask(&format!("GET /endless HTTP/{version}\r\nhost: x\r\n\r\n")).await;
        gone.notified().await;
        let (text, is_reset) = rest(&mut stream).await;
        assert!(is_reset && !text.contains("\r\n0\r\n"), "HTTP/{version}: {} bytes", text.len());
    }
}

/// As does every client: a response that was announced without an end may be followed by another request.
#[tokio::test]
async fn a_stop_lets_a_long_response_end_and_answers_the_next_request() {
    let go_on = Arc::new(Notify::new());
    let waits = Arc::clone(&go_on);
    let parts = move || {
        let waits = Arc::clone(&waits);
        stream::unfold(0, move |n| {
            let waits = Arc::clone(&waits);
            async move {
                if n == 1 {
                    waits.notified().await;
                }
                (n < 2).then(|| (Ok::<_, io::Error>(Bytes::from_static(b"x")), n + 1))
            }
        })
    };
    let routes = Router::new()
        .route("/long", get(move || std::future::ready(Body::from_stream(parts()))))
        .route("/short", get(|| std::future::ready("short")));
    let served = Served::new(routes, |_| ()).await;
    let mut idle = served.ask("GET /short HTTP/1.1\r\nhost: x\r\n\r\n").await;
    until(&mut idle, "short").await;
    let mut stream = served.ask("GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let head = until(&mut stream, "1\r\nx\r\n").await;
    assert!(!head.contains("connection: close"), "{head}");
    served.stop.send(()).unwrap();
    // Idle connections are ended after a while: then the stop has begun.
    assert_eq!(rest(&mut idle).await, (String::new(), false));
    go_on.notify_one();
    until(&mut stream, "0\r\n\r\n").await;
    stream.write_all(b"GET /short HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let (text, is_reset) = rest(&mut stream).await;
    assert!(!is_reset && text.contains("connection: close") && text.ends_with("short"), "{text}");
    served.done.await.unwrap();
}
