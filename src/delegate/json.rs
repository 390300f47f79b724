//! The JSON of answers that are sent all the time, appended to a text.

use std::io::Write as _;

/// A number.
pub(super) fn number(value: i64, text: &mut Vec<u8>) {
    // Writing to memory does not fail.
    write!(text, "{value}").ok();
}

/// A string, quoted. Most have nothing that needs escaping.
pub(super) fn string(value: &str, text: &mut Vec<u8>) {
    let is_plain = value.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\');
    if is_plain {
        text.push(b'"');
        text.extend_from_slice(value.as_bytes());
        text.push(b'"');
    } else {
        serde_json::to_writer(text, value).ok();
    }
}

/// A string, or null.
pub(super) fn string_or_null(value: Option<&str>, text: &mut Vec<u8>) {
    match value {
        Some(value) => string(value, text),
        None => text.extend_from_slice(b"null"),
    }
}
