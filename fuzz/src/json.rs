//! JSON: somebody who may not make tokens asks for one. 403 says that the body was read as a lifetime and a description.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use super::test_service::with_service;

/// What is read of a body; whatever else stands there is passed over as it is by the service, down to escapes that are none.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    lifetime_seconds: Value,
    description: Option<Value>,
}

/// Whether a body says what the document asks for.
fn may_be_read(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    // RFC 8259, section 8.1: a byte order mark may be passed over.
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

/// Whether a body has a field that may be a misspelled one, or a limit that there is not.
fn has_other_fields(text: &[u8]) -> bool {
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let body: Option<BTreeMap<String, IgnoredAny>> = serde_json::from_slice(text).ok();
    body.is_some_and(|body| body.keys().any(|key| key != "lifetimeSeconds" && key != "description"))
}

/// Checks one input; panics where the service is wrong about it.
pub fn run(bytes: &[u8]) {
    with_service(|service| {
        let bearer = format!("Bearer {}", service.plain);
        let sent = service.send("POST", "/v4/apiAccessTokens", [("authorization", bearer.as_bytes())], bytes);
        let reply = sent.expect("a request");
        match reply.status.as_u16() {
            403 => assert!(may_be_read(bytes), "read: {}", String::from_utf8_lossy(bytes)),
            400 => assert!(
                !may_be_read(bytes) || has_other_fields(bytes),
                "not read, {}: {}",
                reply.json,
                String::from_utf8_lossy(bytes)
            ),
            other => panic!("{other}: {}", reply.json),
        }
    });
}
