//! The baseline of the HTTP benchmarks: an axum router that responds `ok` on any path. A POST reads
//! the body first.

use axum::{Router, body::Bytes, routing::get, serve::ListenerExt as _};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

async fn ok() -> &'static str {
    "ok"
}

async fn read(_body: Bytes) -> &'static str {
    "ok"
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "0".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    // As in the service. A connection without TCP_NODELAY still works.
    let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
    let router = Router::new().route("/", get(ok).post(read)).route("/{*path}", get(ok).post(read));
    axum::serve(listener, router).await
}
