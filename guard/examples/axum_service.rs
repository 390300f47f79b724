//! An axum service that requires a token.
//!
//! ```sh
//! TOKENWARD_URL=http://127.0.0.1:3005 TOKENWARD_TOKEN=twd_... cargo run -p tokenward-guard --example axum_service --features axum,remote
//! curl -H "Authorization: Bearer $TOKENWARD_TOKEN" http://127.0.0.1:9000/
//! ```

use axum::{Router, routing::get};
use tokenward_guard::{Caller, GuardLayer, RemoteVerifier};

async fn hello(caller: Caller) -> String {
    format!("hello {}, person {} of workspace {}\n", caller.email, caller.person_id, caller.workspace_id)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (url, token) = (std::env::var("TOKENWARD_URL")?, std::env::var("TOKENWARD_TOKEN")?);
    let address = std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:9000".to_owned());
    let verifier = RemoteVerifier::builder(&url, &token).build()?;
    let service = Router::new().route("/", get(hello)).layer(GuardLayer::new(verifier));
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, service).await?;
    Ok(())
}
