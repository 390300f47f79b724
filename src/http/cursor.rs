//! The opaque mark behind which a list goes on.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use super::ApiError;
use crate::domain::{
    time::Timestamp,
    token_query::{Cursor, CursorKey, Sort, SortKey},
};

/// Writes a place in an order. It holds nothing that the row before it did not show.
pub fn write(cursor: &Cursor, sort: Sort) -> String {
    let value = match &cursor.key {
        CursorKey::Time(moment) => moment.as_millis().to_string(),
        CursorKey::Text(text) => text.clone(),
        CursorKey::Id => String::new(),
    };
    URL_SAFE_NO_PAD.encode(format!("{}{}{value}", letter(sort), cursor.id.simple()))
}

/// Reads a mark of [`write()`] made for the same order.
///
/// # Errors
/// 400 for anything else.
pub fn read(text: &str, sort: Sort) -> Result<Cursor, ApiError> {
    parse(text, sort)
        .ok_or_else(|| ApiError::Form("cursor must be a nextCursor of the same list with the same sort.".to_owned()))
}

fn parse(mark: &str, sort: Sort) -> Option<Cursor> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(mark).ok()?).ok()?;
    let rest = text.strip_prefix(letter(sort))?;
    let id = Uuid::try_parse(rest.get(..32)?).ok()?;
    let value = rest.get(32..)?;
    let key = match sort.key {
        SortKey::CreatedAt | SortKey::ExpiresAt | SortKey::LastUsedAt => CursorKey::Time(Timestamp::from_millis(
            value.parse::<i64>().ok().filter(|ms| (0..=MOST_MILLIS).contains(ms))?,
        )),
        SortKey::Description if !value.contains('\0') => CursorKey::Text(value.to_owned()),
        SortKey::TokenId if value.is_empty() => CursorKey::Id,
        SortKey::Description | SortKey::TokenId => return None,
    };
    // Other spellings of the same place (an id in capitals, a sign, zeros in front) nobody was ever given.
    Some(Cursor { key, id }).filter(|cursor| write(cursor, sort) == mark)
}

/// The end of the year 9999.
const MOST_MILLIS: i64 = crate::domain::token_query::NEVER.as_millis();

/// Names the order; descending by a capital.
const fn letter(sort: Sort) -> char {
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

    fn by(key: SortKey) -> Sort {
        Sort { key, descending: false }
    }

    #[test]
    fn a_mark_is_read_back_for_its_own_order_only() {
        for (key, value) in [
            (SortKey::CreatedAt, CursorKey::Time(Timestamp::from_millis(5))),
            (SortKey::Description, CursorKey::Text("ünï: 5".to_owned())),
            (SortKey::TokenId, CursorKey::Id),
        ] {
            let cursor = Cursor { key: value, id: ID };
            let text = write(&cursor, by(key));
            assert_eq!(parse(&text, by(key)), Some(cursor));
            assert_eq!(parse(&text, by(SortKey::LastUsedAt)), None);
            assert_eq!(parse(&text, Sort { key, descending: true }), None);
        }
    }

    #[test]
    fn foreign_marks_are_refused() {
        for wrong in [
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
            assert!(read(wrong, by(SortKey::CreatedAt)).is_err(), "{wrong}");
        }
    }
}
