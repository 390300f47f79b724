//! Forms: a service asks about a token. It is active where the one parameter `token` is the live one.

use super::test_service::with_service;

/// WHATWG's `application/x-www-form-urlencoded` parser, written down once more.
fn decoded(text: &[u8]) -> String {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        let escaped = digits.filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()));
        match (*first, escaped.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = tail;
            }
            (byte, _) => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn tokens(body: &[u8]) -> Vec<String> {
    let pairs = body.split(|b| *b == b'&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
        (decoded(&pair[..at]), decoded(pair.get(at + 1..).unwrap_or_default()))
    });
    pairs.filter(|(name, _)| name == "token").map(|(_, value)| value).collect()
}

/// Checks one input; panics where the service is wrong about it.
pub fn run(bytes: &[u8]) {
    with_service(|service| {
        let body = service.filled_in(bytes);
        let asker = format!("Bearer {}", service.plain);
        let kind = b"application/x-www-form-urlencoded".as_slice();
        let fields = [("authorization", asker.as_bytes()), ("content-type", kind)];
        let reply = service.send("POST", "/oauth2/introspect", fields, &body).expect("a request");
        match &tokens(&body)[..] {
            [token] => {
                let bare = token.strip_prefix("secret-token:").unwrap_or(token);
                let is_active = bare == service.live || bare == service.plain;
                assert_eq!(reply.status, 200, "{}", reply.json);
                assert_eq!(reply.json["active"], is_active);
                assert!(is_active || reply.json.as_object().is_some_and(|answer| answer.len() == 1));
            }
            _ => assert_eq!(reply.status, 400, "{}", reply.json),
        }
    });
}
