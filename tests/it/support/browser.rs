//! Somebody with a browser: what it sends, and the cookie it keeps.

use std::{net::IpAddr, sync::Mutex};

use axum::{body::Body, http::Request};
use http::{HeaderValue, header::COOKIE};
use tokenward::http::{client_ip::Peer, root::Service};
use tower::ServiceExt as _;

use super::Reply;

/// Where the browser thinks it is.
pub const ORIGIN: &str = "http://127.0.0.1:3005";

/// A browser, as far as the service can tell.
pub struct Visitor {
    service: Service,
    cookie: Mutex<Option<String>>,
    device: Mutex<Option<String>>,
    keeps_device: bool,
    peer: Option<IpAddr>,
}

impl Visitor {
    pub fn new(service: Service) -> Self {
        Self { service, cookie: Mutex::default(), device: Mutex::default(), keeps_device: false, peer: None }
    }

    /// The cookie that it keeps: name and value.
    pub fn cookie(&self) -> Option<String> {
        self.cookie.lock().unwrap().clone()
    }

    /// Another browser into which somebody has put this cookie.
    pub fn with_cookie(&self, cookie: Option<String>) -> Self {
        Self { cookie: Mutex::new(cookie), ..Self::new(self.service.clone()) }
    }

    /// The same browser at this address.
    pub fn from(mut self, address: &str) -> Self {
        self.peer = Some(address.parse().unwrap());
        self
    }

    /// The same browser, which keeps the long-lived cookie beside the session's. Others delete it, as privacy tools do.
    pub fn keeping_device(mut self) -> Self {
        self.keeps_device = true;
        self
    }

    /// The long-lived cookie: name and value.
    pub fn device(&self) -> Option<String> {
        self.device.lock().unwrap().clone()
    }

    /// Another browser into which the long-lived cookie of this one was copied.
    pub fn with_device(&self, device: Option<String>) -> Self {
        let copy = Self::new(self.service.clone()).keeping_device();
        *copy.device.lock().unwrap() = device;
        copy
    }

    pub async fn sign_in(&self, email: &str, password: &str) -> Reply {
        self.post("/sign-in", &[("email", email), ("password", password)]).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(self.request("GET", path, Body::empty())).await
    }

    /// Sends a form of ours.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let mut request = self.form(path, fields);
        request.headers_mut().insert("origin", HeaderValue::from_static(ORIGIN));
        request.headers_mut().insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        self.send(request).await
    }

    /// A form that says nothing of where it comes from.
    pub fn form(&self, path: &str, fields: &[(&str, &str)]) -> Request<Body> {
        let body = urlencoded(fields);
        let mut request = self.request("POST", path, Body::from(body));
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert("content-type", kind);
        request
    }

    pub fn request(&self, method: &str, path: &str, body: Body) -> Request<Body> {
        let mut request = Request::builder().method(method).uri(path).body(body).unwrap();
        request.headers_mut().insert("host", HeaderValue::from_static("127.0.0.1:3005"));
        request.headers_mut().insert("accept", HeaderValue::from_static("text/html,application/xhtml+xml,*/*;q=0.8"));
        let cookies: Vec<String> = self.cookie().into_iter().chain(self.device()).collect();
        if !cookies.is_empty() {
            request.headers_mut().insert(COOKIE, HeaderValue::from_str(&cookies.join("; ")).unwrap());
        }
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(Peer(peer));
        }
        request
    }

    pub async fn send(&self, request: Request<Body>) -> Reply {
        let reply = Reply::read(self.service.clone().oneshot(request).await.unwrap()).await;
        for field in reply.header_values("set-cookie") {
            let pair = field.split(';').next().unwrap();
            if pair.contains("-device=") {
                if self.keeps_device {
                    *self.device.lock().unwrap() = Some(pair.to_owned());
                }
                continue;
            }
            let is_gone = field.contains("Max-Age=0");
            let mut kept = self.cookie.lock().unwrap();
            let name = |pair: &str| pair.split('=').next().unwrap().to_owned();
            if !is_gone {
                *kept = Some(pair.to_owned());
            } else if kept.as_deref().is_some_and(|kept| name(kept) == name(pair)) {
                *kept = None;
            }
        }
        reply
    }

    /// The hidden name of the form that generates a token.
    pub async fn new_form(&self) -> String {
        let page = self.get("/preferences/access-tokens/generate").await.expect(200);
        page.text.split(r#"name="form" value=""#).nth(1).unwrap()[..36].to_owned()
    }
}

/// Fields as a browser writes them.
fn urlencoded(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
            .collect()
    };
    fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}
