//! The `Authorization` header: one field to a line.
//!
//! Whatever is accepted is one credential in one field, and is read again from the plainest way to write it.

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use tokenward_guard::{Credential, MalformedHeader};

fn headers(fields: &[&[u8]]) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    for field in fields {
        map.append(AUTHORIZATION, HeaderValue::from_bytes(field).ok()?);
    }
    Some(map)
}

/// Checks one input; panics where the service is wrong about it.
pub fn run(bytes: &[u8]) {
    let lines: Vec<&[u8]> = if bytes.is_empty() { Vec::new() } else { bytes.split(|b| *b == b'\n').collect() };
    let Some(map) = headers(&lines) else { return };
    match Credential::from_headers(&map) {
        Ok(Credential::Bearer(presented)) => {
            let [field] = lines[..] else { panic!("one credential of {} fields", lines.len()) };
            let text = presented.expose();
            assert!(field[..7].eq_ignore_ascii_case(b"bearer ") && field.ends_with(text.as_bytes()));
            assert!(!field.contains(&b',') && !text.contains(' '));
            let plain = headers(&[format!("Bearer {text}").as_bytes()]).expect("a header");
            assert!(
                matches!(Credential::from_headers(&plain), Ok(Credential::Bearer(again)) if again == presented)
                    || text.starts_with("secret-token:")
            );
        }
        Ok(Credential::Basic(basic)) => {
            let [field] = lines[..] else { panic!("one credential of {} fields", lines.len()) };
            assert!(field[..5].eq_ignore_ascii_case(b"basic") && field.ends_with(basic.expose().as_bytes()));
            let plain = headers(&[format!("Basic {}", basic.expose()).as_bytes()]).expect("a header");
            assert!(
                matches!(Credential::from_headers(&plain), Ok(Credential::Basic(again)) if again.expose() == basic.expose())
            );
        }
        Ok(Credential::InvalidBearer) => assert_eq!(lines.len(), 1),
        Ok(Credential::Missing) => assert!(lines.len() < 2),
        Err(MalformedHeader) => assert!(lines.len() > 1 || lines[0].contains(&b',')),
    }
}
