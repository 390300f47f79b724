//! Opaque pagination cursors of token lists.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use super::ApiError;
use crate::domain::{
    time::Timestamp,
    token_query::{Cursor, CursorKey, Sort, SortKey},
};

/// Encodes a position in a sort order. The cursor contains only values of the last row shown.
pub fn encode(cursor: &Cursor, sort: Sort) -> String {
    let value = match &cursor.key {
        CursorKey::Time(time) => time.as_millis().to_string(),
        CursorKey::Text(text) => text.clone(),
        CursorKey::Id => String::new(),
    };
    URL_SAFE_NO_PAD.encode(format!("{}{}{value}", sort_letter(sort), cursor.id.simple()))
}

/// Decodes a cursor.
///
/// # Errors
/// [`ApiError::BadRequest`] if the cursor is malformed or belongs to another sort order.
pub fn decode(text: &str, sort: Sort) -> Result<Cursor, ApiError> {
    parse(text, sort).ok_or_else(|| {
        ApiError::BadRequest("cursor must be the nextCursor of the same list with the same sort.".to_owned())
    })
}

fn parse(cursor_text: &str, sort: Sort) -> Option<Cursor> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor_text).ok()?).ok()?;
    let rest = text.strip_prefix(sort_letter(sort))?;
    let id = Uuid::try_parse(rest.get(..32)?).ok()?;
    let value = rest.get(32..)?;
    let key = match sort.key {
        SortKey::CreatedAt | SortKey::ExpiresAt | SortKey::LastUsedAt => CursorKey::Time(Timestamp::from_millis(
            value.parse::<i64>().ok().filter(|ms| (0..=MAX_MILLIS).contains(ms))?,
        )),
        SortKey::Description if !value.contains('\0') => CursorKey::Text(value.to_owned()),
        SortKey::TokenId if value.is_empty() => CursorKey::Id,
        SortKey::Description | SortKey::TokenId => return None,
    };
    // Other spellings of the same position (upper-case ID, sign, leading zeros) are never issued.
    Some(Cursor { key, id }).filter(|cursor| encode(cursor, sort) == cursor_text)
}

/// The end of the year 9999, in milliseconds since 1970.
const MAX_MILLIS: i64 = crate::domain::token_query::NEVER_EXPIRES_KEY.as_millis();

/// Returns the letter of a sort order; upper case for descending.
const fn sort_letter(sort: Sort) -> char {
    let letter = match sort.key {
        SortKey::CreatedAt => 'c',
        SortKey::ExpiresAt => 'e',
        SortKey::LastUsedAt => 'u',
        SortKey::Description => 'd',
        SortKey::TokenId => 'i',
    };
    if sort.descending { letter.to_ascii_uppercase() } else { letter }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(7);

    fn ascending(key: SortKey) -> Sort {
        Sort { key, descending: false }
    }

    #[test]
    fn a_cursor_is_only_valid_for_its_own_sort_order() {
        for (key, value) in [
            (SortKey::CreatedAt, CursorKey::Time(Timestamp::from_millis(5))),
            (SortKey::Description, CursorKey::Text("ünï: 5".to_owned())),
            (SortKey::TokenId, CursorKey::Id),
        ] {
            let cursor = Cursor { key: value, id: ID };
            let text = encode(&cursor, ascending(key));
            assert_eq!(parse(&text, ascending(key)), Some(cursor));
            assert_eq!(parse(&text, ascending(SortKey::LastUsedAt)), None);
            assert_eq!(parse(&text, Sort { key, descending: true }), None);
        }
    }

    #[test]
    fn invalid_cursors_are_rejected() {
        for invalid in [
            "",
            "x",
            "Yw",
            "\u{e9}",
            "Y3h4",
            &URL_SAFE_NO_PAD.encode("c00000000000000000000000000000007-5"),
            &URL_SAFE_NO_PAD.encode("c00000000000000000000000000000007+5"),
            &URL_SAFE_NO_PAD.encode("c0000000000000000000000000000000705"),
            &URL_SAFE_NO_PAD.encode("c0000000000000000000000000000000A5"),
            &"A".repeat(5000),
        ] {
            assert!(decode(invalid, ascending(SortKey::CreatedAt)).is_err(), "{invalid}");
        }
    }
}
