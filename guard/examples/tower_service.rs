//! A tower service on hyper that requires an administrator.
//!
//! ```sh
//! TOKENWARD_URL=http://127.0.0.1:3005 TOKENWARD_TOKEN=twd_... cargo run -p tokenward-guard --example tower_service --features remote
//! curl -H "Authorization: Bearer $TOKENWARD_TOKEN" http://127.0.0.1:9000/
//! ```

use std::convert::Infallible;

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokenward_guard::{GuardLayer, Principal, RemoteVerifier};
use tower::{ServiceBuilder, service_fn};

async fn hello(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let name = request.extensions().get::<Principal>().map_or("unknown", |caller| caller.email.as_str());
    Ok(Response::new(format!("hello administrator {name}\n")))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (url, token) = (std::env::var("TOKENWARD_URL")?, std::env::var("TOKENWARD_TOKEN")?);
    let address = std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:9000".to_owned());
    let verifier = RemoteVerifier::builder(&url, &token).build()?;
    let service = ServiceBuilder::new().layer(GuardLayer::new(verifier).require_admin()).service(service_fn(hello));
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let connection =
            http1::Builder::new().serve_connection(TokioIo::new(stream), TowerToHyperService::new(service.clone()));
        tokio::spawn(connection);
    }
}
