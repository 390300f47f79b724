//! An HTTP server that receives webhook requests.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header::LOCATION},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

/// The reaction of a receiver to each request.
#[derive(Clone, Debug)]
pub enum Reaction {
    Status(u16),
    /// A redirect with status 307 to this URL.
    Redirect(String),
    /// No response.
    Hang,
    /// Status 200 with a body that never ends.
    EndlessBody,
}

/// A received request.
#[derive(Clone, Debug, Serialize)]
pub struct ReceivedRequest {
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// A running receiver on loopback. It stops when it is dropped.
pub struct Receiver {
    pub address: SocketAddr,
    reaction: Arc<Mutex<Reaction>>,
    requests: UnboundedReceiver<ReceivedRequest>,
    server: tokio::task::JoinHandle<()>,
}

type Shared = (Arc<Mutex<Reaction>>, UnboundedSender<ReceivedRequest>);

impl Receiver {
    /// Starts a receiver that responds with 204.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = unbounded_channel();
        let reaction = Arc::new(Mutex::new(Reaction::Status(204)));
        let app = axum::Router::new().fallback(receive).with_state((Arc::clone(&reaction), sender));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, reaction, requests, server }
    }

    pub fn react(&self, reaction: Reaction) {
        *self.reaction.lock().unwrap() = reaction;
    }

    /// Returns the URL of the receiver by its address.
    pub fn url(&self) -> String {
        format!("http://{}/hook?key=secret-of-the-url", self.address)
    }

    /// Waits for the next request.
    pub async fn next(&mut self) -> ReceivedRequest {
        self.requests.recv().await.unwrap()
    }

    /// Returns the requests that have arrived.
    pub fn received(&mut self) -> Vec<ReceivedRequest> {
        std::iter::from_fn(|| self.requests.try_recv().ok()).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(State((reaction, sender)): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let received = ReceivedRequest {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: headers.collect(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let reaction = reaction.lock().unwrap().clone();
    sender.send(received).ok();
    match reaction {
        Reaction::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Reaction::Redirect(location) => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, location)]).into_response(),
        Reaction::Hang => std::future::pending().await,
        Reaction::EndlessBody => {
            let chunk =
                || Some((Ok::<_, std::convert::Infallible>(axum::body::Bytes::from_static(&[b'x'; 65_536])), ()));
            Body::from_stream(futures_util::stream::unfold((), move |()| std::future::ready(chunk()))).into_response()
        }
    }
}
