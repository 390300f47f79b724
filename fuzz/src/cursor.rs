//! The cursor of a list: parsing and writing it are inverse, and it is valid for one order only.

use tokenward::{
    domain::token_query::{Sort, SortKey},
    http::cursor,
};

/// Checks one input.
///
/// # Panics
///
/// Panics if the service treats the input incorrectly.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let keys = [SortKey::CreatedAt, SortKey::ExpiresAt, SortKey::LastUsedAt, SortKey::Description, SortKey::TokenId];
    let sorts = keys.into_iter().flat_map(|key| [false, true].map(|descending| Sort { key, descending }));
    let mut accepted = 0;
    for sort in sorts {
        if let Ok(read) = cursor::decode(text, sort) {
            accepted += 1;
            assert_eq!(cursor::encode(&read, sort), text, "{sort:?}");
        }
    }
    assert!(accepted < 2);
}
