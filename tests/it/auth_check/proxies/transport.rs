//! Checks of what passes through a proxy: preflights, bodies, upgrades, queries, paths, and outages.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    sync::atomic::Ordering,
    time::Duration,
};

use super::{
    echo::read_head,
    setup::{ProxySetup, bearer},
};
use crate::support::http_client;

impl ProxySetup {
    /// Checks use one connection after another, whatever their results are.
    pub(super) async fn check_connections_are_kept(&self) {
        let token = self.tokenward.create_token(&http_client()).await.unwrap();
        let value = token["tokenValue"].as_str().unwrap();
        let before = self.connections.load(Ordering::SeqCst);
        for _ in 0..10 {
            assert_eq!(self.get("/", &[bearer(value)]).0, 200, "{}", self.name);
            assert_eq!(self.get("/", &[bearer("x")]).0, 401, "{}", self.name);
        }
        let opened = self.connections.load(Ordering::SeqCst) - before;
        assert!(opened <= 2, "{}: 20 checks opened {opened} connections", self.name);
    }

    /// With the lines for CORS, preflights reach the service without a credential and without
    /// identity headers. Other requests without a credential do not.
    pub(super) async fn check_preflights(&self) {
        const PREFLIGHT: &str = "Origin: https://app.example\r\nAccess-Control-Request-Method: PUT";
        let token = self.tokenward.create_token(&http_client()).await.unwrap();
        let value = token["tokenValue"].as_str().unwrap();
        for path in ["/", "/x/y?z=1"] {
            let spoofed = format!("Remote-User: root\r\nX-Tokenward-Person-Id: 1\r\n{}", bearer(value));
            let head = format!("OPTIONS {path} HTTP/1.1\r\n{PREFLIGHT}\r\n{spoofed}");
            let (status, received) = self.send(&head, "");
            assert_eq!(status, 200, "{}: {received}", self.name);
            let received = received.to_ascii_lowercase();
            assert!(received.contains(&format!("options {path} http/1.1")), "{}: {received}", self.name);
            for absent in ["remote-user", "x-tokenward-", "authorization:", "root"] {
                assert!(!received.contains(absent), "{}: {absent} in {received}", self.name);
            }
        }
        let before = self.service.requests();
        for head in [
            format!("GET / HTTP/1.1\r\n{PREFLIGHT}"),
            format!("POST / HTTP/1.1\r\n{PREFLIGHT}\r\nContent-Length: 0"),
            "OPTIONS / HTTP/1.1".to_owned(),
            "OPTIONS / HTTP/1.1\r\nOrigin: https://app.example".to_owned(),
            "OPTIONS / HTTP/1.1\r\nAccess-Control-Request-Method: PUT".to_owned(),
            format!("OPTIONSX / HTTP/1.1\r\n{PREFLIGHT}"),
        ] {
            let (status, response) = self.send(&head, "");
            assert!([400, 401, 405].contains(&status), "{}: {head}: {response}", self.name);
        }
        assert_eq!(self.service.requests(), before, "{}: the service was reached", self.name);
        self.check_valid_token(value, token["tokenInfo"]["tokenId"].as_str().unwrap());
    }

    pub(super) fn check_bodies_and_upgrades(&self, value: &str) {
        let body = "x".repeat(100_000);
        let head = format!("POST /upload HTTP/1.1\r\n{}\r\nContent-Length: {}", bearer(value), body.len());
        let (status, received) = self.send(&head, &body);
        assert!(status == 200 && received.contains(&body), "{}: {status}", self.name);
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let upgrade = format!(
            "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.port,
            bearer(value)
        );
        stream.write_all(upgrade.as_bytes()).unwrap();
        let head = read_head(&mut stream);
        assert!(head.starts_with("HTTP/1.1 101"), "{}: {head}", self.name);
        stream.write_all(b"ping").unwrap();
        let mut echoed = [0; 4];
        stream.read_exact(&mut echoed).unwrap();
        assert_eq!(&echoed, b"ping", "{}", self.name);
        stream.shutdown(Shutdown::Both).ok();
    }

    /// Proxies append the query of the client to the check, which ignores it. Queries that the API
    /// would reject pass too.
    pub(super) fn check_client_queries(&self, value: &str) {
        for path in ["/x?person_id=2&status=expired&unknown", "/?limit=x&limit=y", "/any?dryRun=true"] {
            let (status, received) = self.get(path, &[bearer(value)]);
            assert_eq!(status, 200, "{}: {path}: {received}", self.name);
            assert!(received.contains(&format!("GET {path} HTTP/1.1")), "{}: {path}: {received}", self.name);
            assert_eq!(self.get(path, &[]).0, 401, "{}: {path}", self.name);
        }
    }

    pub(super) fn check_unusual_paths(&self, value: &str) {
        for path in [
            "/a/../b",
            "//x",
            "/a%2fb",
            "/v4/auth/any",
            "/..%2f..%2fany",
            "/?x=/v4/auth/any",
            "/%2e%2e/any",
            "/workspace=2",
        ] {
            let (status, response) = self.get(path, &[bearer(value)]);
            assert!([200, 400, 307].contains(&status), "{}: {path}: {response}", self.name);
            let (status, response) = self.get(path, &[]);
            assert!([400, 401, 307].contains(&status), "{}: {path}: {response}", self.name);
        }
    }

    /// While Tokenward hangs or is stopped, the proxy responds with 5xx, never with 401, and
    /// forwards no request.
    pub(super) fn check_outage(&self, value: &str) {
        let before = self.service.requests();
        for signal in ["STOP", "KILL"] {
            self.tokenward.send_signal(signal);
            for headers in [vec![bearer(value)], vec![], vec![bearer("x")]] {
                let (status, response) = self.get("/", &headers);
                assert!((500..600).contains(&status), "{}: {signal}: {response}", self.name);
            }
        }
        assert_eq!(self.service.requests(), before, "{}: the service was reached", self.name);
    }
}
