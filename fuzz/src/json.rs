//! The JSON body that creates a token, sent by a person who may not have tokens. The status 403
//! means that the body was valid.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use super::test_service::with_service;

/// The fields of the body. Other fields are skipped without decoding them, as the service does.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    lifetime_seconds: Value,
    description: Option<Value>,
}

/// Returns whether a body is valid according to the OpenAPI document.
fn is_valid_body(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    // RFC 8259, section 8.1: a parser may ignore a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_object = text.trim_ascii_start().starts_with('{');
    let Some(body) = serde_json::from_str::<Body>(text).ok().filter(|_| is_object) else { return false };
    let lifetime = match &body.lifetime_seconds {
        Value::Number(number) => number.as_f64().filter(|n| n.fract() == 0.0),
        _ => None,
    };
    let is_lifetime = lifetime.is_some_and(|n| n == -1.0 || (1.0..=3_153_600_000.0).contains(&n));
    let is_description = match body.description {
        None => true,
        Some(Value::String(text)) => text.chars().count() <= 255 && !text.chars().any(is_rejected),
        Some(_) => false,
    };
    is_lifetime && is_description
}

fn is_rejected(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns whether a body has fields other than the documented ones, which the service may reject.
fn has_other_fields(text: &[u8]) -> bool {
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let body: Option<BTreeMap<String, IgnoredAny>> = serde_json::from_slice(text).ok();
    body.is_some_and(|body| body.keys().any(|key| key != "lifetimeSeconds" && key != "description"))
}

/// Checks one input.
///
/// # Panics
///
/// Panics if the service treats the input incorrectly.
pub fn run(bytes: &[u8]) {
    with_service(|service| {
        let bearer = format!("Bearer {}", service.user_token);
        let sent = service.send("POST", "/v4/apiAccessTokens", [("authorization", bearer.as_bytes())], bytes);
        let reply = sent.expect("a request");
        match reply.status.as_u16() {
            403 => assert!(is_valid_body(bytes), "accepted: {}", String::from_utf8_lossy(bytes)),
            400 => assert!(
                !is_valid_body(bytes) || has_other_fields(bytes),
                "rejected with {}: {}",
                reply.json,
                String::from_utf8_lossy(bytes)
            ),
            other => panic!("{other}: {}", reply.json),
        }
    });
}
