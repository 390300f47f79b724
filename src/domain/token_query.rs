//! Queries of token lists: order and page. [`super::token_filter`] has the filter.

use uuid::Uuid;

use super::{time::Timestamp, token::Token};

/// The column that a list is sorted by. Rows with equal values are sorted by token ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    CreatedAt,
    /// Tokens that never expire come last.
    ExpiresAt,
    /// Tokens that were never used come first.
    LastUsedAt,
    Description,
    TokenId,
}

/// A sort order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    pub key: SortKey,
    pub descending: bool,
}

/// The order and the section of a list that a request asks for.
#[derive(Clone, Debug)]
pub struct TokenPageQuery {
    pub sort: Sort,
    /// The maximum number of rows; `None`: all.
    pub limit: Option<i64>,
    /// The number of rows to skip.
    pub offset: i64,
    /// Only rows after this one.
    pub after: Option<Cursor>,
}

/// The position of a row in a sorted list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub key: CursorKey,
    pub id: Uuid,
}

/// The row's value of the sort key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CursorKey {
    Time(Timestamp),
    Text(String),
    /// The list is sorted by token ID only.
    Id,
}

/// The sort value of a token that never expires. It is later than every expiry.
pub const NEVER_EXPIRES_KEY: Timestamp = Timestamp::from_millis(253_402_300_799_999);
/// The sort value of a token that was never used. It is earlier than every use.
pub const NEVER_USED_KEY: Timestamp = Timestamp::from_millis(0);

impl Cursor {
    /// Returns the position of a token in a list with this sort key.
    #[must_use]
    pub fn from_token(token: &Token, key: SortKey) -> Self {
        let key = match key {
            SortKey::CreatedAt => CursorKey::Time(token.created_at),
            SortKey::ExpiresAt => CursorKey::Time(token.expires_at.unwrap_or(NEVER_EXPIRES_KEY)),
            SortKey::LastUsedAt => CursorKey::Time(token.last_used_at.unwrap_or(NEVER_USED_KEY)),
            SortKey::Description => CursorKey::Text(token.description.clone()),
            SortKey::TokenId => CursorKey::Id,
        };
        Self { key, id: token.id }
    }
}
