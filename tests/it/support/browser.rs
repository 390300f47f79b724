//! A browser without a user interface: it sends forms and keeps cookies.

use std::{net::IpAddr, sync::Mutex};

use axum::{body::Body, http::Request};
use http::{HeaderValue, header::COOKIE};
use tokenward::http::{client_ip::PeerAddr, pipeline::HttpService};
use tower::ServiceExt as _;

use super::TestResponse;

/// The origin of all pages.
pub const ORIGIN: &str = "http://127.0.0.1:3005";

/// A client that behaves like a browser.
pub struct Browser {
    service: HttpService,
    session_cookie: Mutex<Option<String>>,
    device_cookie: Mutex<Option<String>>,
    draft_cookie: Mutex<Option<String>>,
    flow_cookie: Mutex<Option<String>>,
    keeps_device_cookie: bool,
    peer: Option<IpAddr>,
}

impl Browser {
    pub fn new(service: HttpService) -> Self {
        Self {
            service,
            session_cookie: Mutex::default(),
            device_cookie: Mutex::default(),
            draft_cookie: Mutex::default(),
            flow_cookie: Mutex::default(),
            keeps_device_cookie: false,
            peer: None,
        }
    }

    /// Returns the session cookie as `name=value`.
    pub fn session_cookie(&self) -> Option<String> {
        self.session_cookie.lock().unwrap().clone()
    }

    /// Returns another browser with this session cookie.
    pub fn with_session_cookie(&self, cookie: Option<String>) -> Self {
        Self { session_cookie: Mutex::new(cookie), ..Self::new(self.service.clone()) }
    }

    /// Returns this browser with another client address.
    pub fn with_address(mut self, address: &str) -> Self {
        self.peer = Some(address.parse().unwrap());
        self
    }

    /// Returns this browser, which then also keeps the device cookie. By default it discards it, as
    /// privacy tools do.
    pub fn keeping_device_cookie(mut self) -> Self {
        self.keeps_device_cookie = true;
        self
    }

    /// Returns the device cookie as `name=value`.
    pub fn device_cookie(&self) -> Option<String> {
        self.device_cookie.lock().unwrap().clone()
    }

    /// Returns the cookie with the text of a form whose session had ended, as `name=value`.
    pub fn draft_cookie(&self) -> Option<String> {
        self.draft_cookie.lock().unwrap().clone()
    }

    /// Returns the cookie of a sign-in at an identity provider, as `name=value`.
    pub fn flow_cookie(&self) -> Option<String> {
        self.flow_cookie.lock().unwrap().clone()
    }

    /// Sets the cookie of a sign-in at an identity provider.
    pub fn set_flow_cookie(&self, cookie: Option<String>) {
        *self.flow_cookie.lock().unwrap() = cookie;
    }

    /// Returns this browser with a cookie in place of the text that it keeps.
    pub fn with_draft_cookie(mut self, cookie: Option<String>) -> Self {
        self.draft_cookie = Mutex::new(cookie);
        self
    }

    /// Returns another browser with this device cookie.
    pub fn with_device_cookie(&self, device: Option<String>) -> Self {
        let copy = Self::new(self.service.clone()).keeping_device_cookie();
        *copy.device_cookie.lock().unwrap() = device;
        copy
    }

    pub async fn sign_in(&self, email: &str, password: &str) -> TestResponse {
        self.post("/sign-in", &[("email", email), ("password", password)]).await
    }

    pub async fn get(&self, path: &str) -> TestResponse {
        self.send(self.request("GET", path, Body::empty())).await
    }

    /// Posts a form with the headers of a same-origin request.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> TestResponse {
        let mut request = self.form_request(path, fields);
        request.headers_mut().insert("origin", HeaderValue::from_static(ORIGIN));
        request.headers_mut().insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        self.send(request).await
    }

    /// Returns a form post without `Origin` and `Sec-Fetch-Site`.
    pub fn form_request(&self, path: &str, fields: &[(&str, &str)]) -> Request<Body> {
        let body = url_encode_fields(fields);
        let mut request = self.request("POST", path, Body::from(body));
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert("content-type", kind);
        request
    }

    pub fn request(&self, method: &str, path: &str, body: Body) -> Request<Body> {
        let mut request = Request::builder().method(method).uri(path).body(body).unwrap();
        request.headers_mut().insert("host", HeaderValue::from_static("127.0.0.1:3005"));
        request.headers_mut().insert("accept", HeaderValue::from_static("text/html,application/xhtml+xml,*/*;q=0.8"));
        let cookies = [self.session_cookie(), self.device_cookie(), self.draft_cookie(), self.flow_cookie()];
        let cookies: Vec<String> = cookies.into_iter().flatten().collect();
        if !cookies.is_empty() {
            request.headers_mut().insert(COOKIE, HeaderValue::from_str(&cookies.join("; ")).unwrap());
        }
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(PeerAddr(peer));
        }
        request
    }

    pub async fn send(&self, request: Request<Body>) -> TestResponse {
        let response = TestResponse::read(self.service.clone().oneshot(request).await.unwrap()).await;
        for field in response.header_values("set-cookie") {
            let pair = field.split(';').next().unwrap();
            if pair.contains("-device=") {
                if self.keeps_device_cookie {
                    *self.device_cookie.lock().unwrap() = Some(pair.to_owned());
                }
                continue;
            }
            let is_gone = field.contains("Max-Age=0");
            if pair.contains("-flow=") {
                *self.flow_cookie.lock().unwrap() = (!is_gone).then(|| pair.to_owned());
                continue;
            }
            if pair.contains("-draft=") {
                *self.draft_cookie.lock().unwrap() = (!is_gone).then(|| pair.to_owned());
                continue;
            }
            let mut kept = self.session_cookie.lock().unwrap();
            let name = |pair: &str| pair.split('=').next().unwrap().to_owned();
            if !is_gone {
                *kept = Some(pair.to_owned());
            } else if kept.as_deref().is_some_and(|kept| name(kept) == name(pair)) {
                *kept = None;
            }
        }
        response
    }

    /// Opens the form that generates a token, and returns its hidden ID.
    pub async fn fetch_form_id(&self) -> String {
        let page = self.get("/preferences/access-tokens/generate").await.expect(200);
        page.text.split(r#"name="form" value=""#).nth(1).unwrap()[..36].to_owned()
    }
}

/// Encodes form fields as `application/x-www-form-urlencoded`.
fn url_encode_fields(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
            .collect()
    };
    fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}
