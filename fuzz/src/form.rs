//! The form body of an introspection request. The token is active if the only parameter `token` is
//! a valid one.

use super::test_service::with_service;

/// Decodes a form value as the parser of `application/x-www-form-urlencoded` in the WHATWG URL
/// standard.
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

/// Checks one input.
///
/// # Panics
///
/// Panics if the service treats the input incorrectly.
pub fn run(bytes: &[u8]) {
    with_service(|service| {
        let body = service.substitute(bytes);
        let caller = format!("Bearer {}", service.user_token);
        let content_type = b"application/x-www-form-urlencoded".as_slice();
        let fields = [("authorization", caller.as_bytes()), ("content-type", content_type)];
        let reply = service.send("POST", "/oauth2/introspect", fields, &body).expect("a request");
        match &tokens(&body)[..] {
            [token] => {
                let bare = token.strip_prefix("secret-token:").unwrap_or(token);
                let is_active = bare == service.valid_token || bare == service.user_token;
                assert_eq!(reply.status, 200, "{}", reply.json);
                assert_eq!(reply.json["active"], is_active);
                assert!(is_active || reply.json.as_object().is_some_and(|object| object.len() == 1));
            }
            _ => assert_eq!(reply.status, 400, "{}", reply.json),
        }
    });
}
