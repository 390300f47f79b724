//! The mark behind which a list goes on: what is read is what was written, and for no other order.

use tokenward::{
    domain::token_query::{Sort, SortKey},
    http::cursor,
};

/// Checks one input; panics where the service is wrong about it.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let keys = [SortKey::CreatedAt, SortKey::ExpiresAt, SortKey::LastUsedAt, SortKey::Description, SortKey::TokenId];
    let sorts = keys.into_iter().flat_map(|key| [false, true].map(|descending| Sort { key, descending }));
    let mut readings = 0;
    for sort in sorts {
        if let Ok(read) = cursor::read(text, sort) {
            readings += 1;
            assert_eq!(cursor::write(&read, sort), text, "{sort:?}");
        }
    }
    assert!(readings < 2);
}
