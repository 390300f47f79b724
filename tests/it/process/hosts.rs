//! What HTTP/1.1 says of `Host` (RFC 9112, section 3.2), on the wire and at every kind of route.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use crate::support::{
    Database, Engine,
    binary::{Running, command},
    http_client,
};

on_both_databases!(
    a_request_without_exactly_one_valid_host_is_refused_everywhere,
    requests_of_other_forms_are_served,
    a_mark_and_a_coding_are_what_they_are_on_the_wire,
);

/// The program, and where it tells its metrics.
async fn start(engine: Engine) -> (Running, String, Database) {
    let database = Database::empty(engine).await;
    let mut serve = command(&database.url);
    serve.env("TOKENWARD_LISTEN__METRICS", "127.0.0.1:0");
    let running = Running::start_with(serve);
    let metrics =
        running.log().split("http://").find_map(|text| text.split_once("/metrics").map(|(host, _)| host.to_owned()));
    (running, metrics.expect("the port of the metrics"), database)
}

fn send(host: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(host.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// The answer's status; the connection ends with it.
fn status(host: &str, line: &str, fields: &[&str]) -> u16 {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let answer = send(host, format!("{line}\r\n{fields}Connection: close\r\n\r\n").as_bytes());
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{line}: {answer:?}"))
}

async fn a_request_without_exactly_one_valid_host_is_refused_everywhere(engine: Engine) {
    let (running, metrics, _database) = start(engine).await;
    let token = running.make_token(&http_client()).await.unwrap();
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
        for good in ["Host: x", "host: 127.0.0.1:3005", "HOST: [::1]:3005", "Host:", "Host: tokens_1.example.com:"] {
            assert_eq!(status(host, line, &[good, &bearer]), expected, "{line} {good}");
        }
        for wrong in [
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
            assert_eq!(status(host, line, &[wrong, &[&bearer]].concat()), 400, "{line} {wrong:?}");
            let old = line.replace("HTTP/1.1", "HTTP/1.0");
            let of_old = if wrong.is_empty() { expected } else { 400 };
            assert_eq!(status(host, &old, &[wrong, &[&bearer]].concat()), of_old, "{old} {wrong:?}");
        }
    }
    let answer = send(running.url.trim_start_matches("http://"), b"GET /v4/auth HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(
        answer.contains("\"ApiValidationFailed\"") && answer.contains("Host") && answer.contains("x-request-id"),
        "{answer}"
    );
}

async fn requests_of_other_forms_are_served(engine: Engine) {
    let (running, _, _database) = start(engine).await;
    let url = &running.url;
    for (line, fields, expected) in [
        // The target's authority replaces the field, which must be there all the same.
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
    // A form posted in absolute form is judged by the host of its target, not by what the field says.
    let body = "email=admin%40example.com&password=wrong";
    let post = |host: &str, target: &str| {
        let fields = ["Content-Type: application/x-www-form-urlencoded", &format!("Content-Length: {}", body.len())]
            .join("\r\n");
        let request = format!(
            "POST http://{target}/sign-in HTTP/1.1\r\nHost: {host}\r\nOrigin: http://localhost:1\r\n{fields}\r\nConnection: close\r\n\r\n{body}"
        );
        send(url, request.as_bytes())
    };
    assert!(
        post("tokens.example.com", "localhost:1").contains("Check e-mail and password"),
        "{}",
        post("tokens.example.com", "localhost:1")
    );
    let refused = post("localhost:1", "tokens.example.com");
    assert!(refused.starts_with("HTTP/1.1 403") && !refused.contains("Check e-mail and password"), "{refused}");
}

async fn a_mark_and_a_coding_are_what_they_are_on_the_wire(engine: Engine) {
    let (running, _, _database) = start(engine).await;
    let token = running.make_token(&http_client()).await.unwrap();
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
    let refused = create("Content-Encoding: gzip\r\n", b"\x1f\x8b\x08");
    assert!(refused.starts_with("HTTP/1.1 415") && refused.contains("Content-Encoding"), "{refused}");
}
