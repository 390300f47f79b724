//! JSON: somebody who may not make tokens asks for one. 403 says that the body was read as a lifetime and a description.

use super::house::with_house;
use serde::Deserialize;
use serde_json::Value;

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
    let is_object = text.trim_ascii_start().starts_with('{');
    let Some(body) = serde_json::from_str::<Body>(text).ok().filter(|_| is_object) else { return false };
    let lifetime = match &body.lifetime_seconds {
        Value::Number(number) => number.as_f64().filter(|n| n.fract() == 0.0),
        _ => None,
    };
    let is_lifetime = lifetime.is_some_and(|n| n == -1.0 || (1.0..=3_153_600_000.0).contains(&n));
    let is_description = match body.description {
        None => true,
        Some(Value::String(text)) => text.chars().count() <= 255 && !text.chars().any(char::is_control),
        Some(_) => false,
    };
    is_lifetime && is_description
}

/// Checks one input; panics where the service is wrong about it.
pub fn run(bytes: &[u8]) {
    with_house(|house| {
        let bearer = format!("Bearer {}", house.plain);
        let sent = house.send("POST", "/v4/apiAccessTokens", [("authorization", bearer.as_bytes())], bytes);
        let reply = sent.expect("a request");
        match reply.status.as_u16() {
            403 => assert!(may_be_read(bytes), "read: {}", String::from_utf8_lossy(bytes)),
            400 => assert!(!may_be_read(bytes), "not read, {}: {}", reply.json, String::from_utf8_lossy(bytes)),
            other => panic!("{other}: {}", reply.json),
        }
    });
}
