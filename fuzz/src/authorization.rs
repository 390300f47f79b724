//! The `Authorization` header. Each line of the input is one field.
//!
//! An accepted credential is the only one in the only field, and its canonical form parses to the
//! same credential.

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use tokenward_guard::{Credential, MalformedHeader};

fn headers(fields: &[&[u8]]) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    for field in fields {
        map.append(AUTHORIZATION, HeaderValue::from_bytes(field).ok()?);
    }
    Some(map)
}

/// Checks one input.
///
/// # Panics
///
/// Panics if the service treats the input incorrectly.
pub fn run(bytes: &[u8]) {
    let lines: Vec<&[u8]> = if bytes.is_empty() { Vec::new() } else { bytes.split(|b| *b == b'\n').collect() };
    let Some(map) = headers(&lines) else { return };
    match Credential::from_headers(&map) {
        Ok(Credential::Bearer(token)) => {
            let [field] = lines[..] else { panic!("one credential from {} fields", lines.len()) };
            let text = token.expose();
            assert!(field[..7].eq_ignore_ascii_case(b"bearer ") && field.ends_with(text.as_bytes()));
            assert!(!field.contains(&b',') && !text.contains(' '));
            let canonical = headers(&[format!("Bearer {text}").as_bytes()]).expect("a header");
            assert!(
                matches!(Credential::from_headers(&canonical), Ok(Credential::Bearer(reparsed)) if reparsed == token)
                    || text.starts_with("secret-token:")
            );
        }
        Ok(Credential::Basic(basic)) => {
            let [field] = lines[..] else { panic!("one credential from {} fields", lines.len()) };
            assert!(field[..5].eq_ignore_ascii_case(b"basic") && field.ends_with(basic.expose().as_bytes()));
            let canonical = headers(&[format!("Basic {}", basic.expose()).as_bytes()]).expect("a header");
            assert!(
                matches!(Credential::from_headers(&canonical), Ok(Credential::Basic(reparsed)) if reparsed.expose() == basic.expose())
            );
        }
        Ok(Credential::InvalidBearer) => assert_eq!(lines.len(), 1),
        Ok(Credential::Missing) => assert!(lines.len() < 2),
        Err(MalformedHeader) => assert!(lines.len() > 1 || lines[0].contains(&b',')),
    }
}
