//! The rules for `Host` (RFC 9112, section 3.2) for every kind of route, and other details of the
//! wire format.

use rstest::rstest;
use rstest_reuse::apply;
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use crate::support::{
    Database, Engine,
    binary::{ServerProcess, tokenward_command},
    both_databases_multi_thread, http_client,
};

/// Starts the service. Returns the address of its metrics too.
async fn start(engine: Engine) -> (ServerProcess, String, Database) {
    let database = Database::empty(engine).await;
    let mut serve = tokenward_command(&database.url);
    serve.env("TOKENWARD_LISTEN__METRICS", "127.0.0.1:0");
    let running = ServerProcess::start_with(serve);
    let metrics = running.metrics_address();
    (running, metrics, database)
}

fn send(host: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(host.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(request).unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    String::from_utf8_lossy(&response).into_owned()
}

/// Sends a request with `Connection: close`. Returns the status of the response.
fn status(host: &str, line: &str, fields: &[&str]) -> u16 {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let response = send(host, format!("{line}\r\n{fields}Connection: close\r\n\r\n").as_bytes());
    response.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{line}: {response:?}"))
}

#[apply(both_databases_multi_thread)]
async fn a_request_without_exactly_one_valid_host_is_rejected(engine: Engine) {
    let (running, metrics, _database) = start(engine).await;
    let token = running.create_token(&http_client()).await.unwrap();
    let bearer = format!("Authorization: Bearer {}", token["tokenValue"].as_str().unwrap());
    for (host, line, expected) in [
        (&running.url, "GET /v4/auth HTTP/1.1", 200),
        (&running.url, "GET /v4/auth/any/x?y HTTP/1.1", 200),
        (&running.url, "GET /v4/people/current HTTP/1.1", 200),
        (&running.url, "GET /health/live HTTP/1.1", 200),
        (&running.url, "GET / HTTP/1.1", 303),
        (&running.url, "POST /oauth2/introspect HTTP/1.1", 400),
        (&running.url, "GET /nothing HTTP/1.1", 404),
        (&metrics, "GET /metrics HTTP/1.1", 200),
    ] {
        for valid in ["Host: x", "host: 127.0.0.1:3005", "HOST: [::1]:3005", "Host:", "Host: tokens_1.example.com:"] {
            assert_eq!(status(host, line, &[valid, &bearer]), expected, "{line} {valid}");
        }
        for invalid in [
            &[][..],
            &["Host: x", "Host: x"],
            &["Host: x", "hOST: y"],
            &["Host: x y"],
            &["Host: http://x"],
            &["Host: user@x"],
            &["Host: x:y"],
            &["Host: x/y"],
            &["Host: ::1"],
            &["Host: b\u{fc}cher"],
        ] {
            assert_eq!(status(host, line, &[invalid, &[&bearer]].concat()), 400, "{line} {invalid:?}");
            let http10_line = line.replace("HTTP/1.1", "HTTP/1.0");
            let expected_http10 = if invalid.is_empty() { expected } else { 400 };
            assert_eq!(
                status(host, &http10_line, &[invalid, &[&bearer]].concat()),
                expected_http10,
                "{http10_line} {invalid:?}"
            );
        }
    }
    let response =
        send(running.url.trim_start_matches("http://"), b"GET /v4/auth HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(
        response.contains("\"ApiValidationFailed\"") && response.contains("Host") && response.contains("x-request-id"),
        "{response}"
    );
}

#[apply(both_databases_multi_thread)]
async fn other_request_forms_are_served(engine: Engine) {
    let (running, _, _database) = start(engine).await;
    let url = &running.url;
    for (line, fields, expected) in [
        // The authority of an absolute-form target replaces the field, which is still required.
        ("GET http://tokens.example.com/health/live HTTP/1.1", &["Host: other"][..], 200),
        ("GET http://tokens.example.com:3005/V4/Auth/?x=1 HTTP/1.1", &["Host: other"], 401),
        ("GET http://tokens.example.com/health/live HTTP/1.1", &[], 400),
        ("GET http://tokens.example.com/health/live HTTP/1.1", &["Host: a", "Host: b"], 400),
        ("GET http://user@tokens.example.com/health/live HTTP/1.1", &["Host: a"], 400),
        ("GET http://tokens.example.com/health/live HTTP/1.0", &[], 200),
        ("GET /health/live HTTP/1.0", &[], 200),
        ("OPTIONS * HTTP/1.1", &["Host: x"], 404),
        ("CONNECT x:1 HTTP/1.1", &["Host: x:1"], 404),
    ] {
        assert_eq!(status(url, line, fields), expected, "{line} {fields:?}");
    }
    // The origin check of a form uses the host of an absolute-form target, not that of the field.
    let body = "email=admin%40example.com&password=invalid";
    let post = |host: &str, target: &str| {
        let fields = ["Content-Type: application/x-www-form-urlencoded", &format!("Content-Length: {}", body.len())]
            .join("\r\n");
        let request = format!(
            "POST http://{target}/sign-in HTTP/1.1\r\nHost: {host}\r\nOrigin: http://localhost:1\r\n{fields}\r\nConnection: close\r\n\r\n{body}"
        );
        send(url, request.as_bytes())
    };
    assert!(
        post("tokens.example.com", "localhost:1").contains("Wrong e-mail or password."),
        "{}",
        post("tokens.example.com", "localhost:1")
    );
    let rejected = post("localhost:1", "tokens.example.com");
    assert!(rejected.starts_with("HTTP/1.1 403") && !rejected.contains("Wrong e-mail or password."), "{rejected}");
}

#[apply(both_databases_multi_thread)]
async fn a_byte_order_mark_is_accepted_and_a_content_encoding_rejected(engine: Engine) {
    let (running, _, _database) = start(engine).await;
    let token = running.create_token(&http_client()).await.unwrap();
    let create = |fields: &str, body: &[u8]| {
        let head = format!(
            "POST /v4/apiAccessTokens HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n{fields}\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            token["tokenValue"].as_str().unwrap(),
            body.len()
        );
        send(&running.url, &[head.as_bytes(), body].concat())
    };
    assert!(create("", b"\xef\xbb\xbf{\"lifetimeSeconds\":60}").starts_with("HTTP/1.1 201"));
    let rejected = create("Content-Encoding: gzip\r\n", b"\x1f\x8b\x08");
    assert!(rejected.starts_with("HTTP/1.1 415") && rejected.contains("Content-Encoding"), "{rejected}");
}
