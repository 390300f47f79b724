//! Which part of a list of tokens is wanted, and in which order.

use uuid::Uuid;

use super::{
    time::Timestamp,
    token::{Status, Token},
};

/// Which tokens a list shows; what is not set lets all through.
#[derive(Clone, Debug, Default)]
pub struct Which {
    pub status: Option<Status>,
    /// Only those that expire by this moment.
    pub expires_by: Option<Timestamp>,
    /// Only those that were not used since this moment.
    pub unused_since: Option<Timestamp>,
    /// Only those with this in the description, the hint or the owner's e-mail, or with this id.
    pub search: Option<String>,
}

impl Which {
    /// Returns whether no condition is set.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        let Self { status, expires_by, unused_since, search } = self;
        status.is_none() && expires_by.is_none() && unused_since.is_none() && search.is_none()
    }
}

/// What a list is ordered by; ties by token id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    CreatedAt,
    /// Those that never expire come last.
    ExpiresAt,
    /// Those never used come first.
    LastUsedAt,
    Description,
    TokenId,
}

/// An order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    pub key: SortKey,
    pub descending: bool,
}

/// Which part of a list is wanted.
#[derive(Clone, Debug)]
pub struct Page {
    pub sort: Sort,
    /// None: all.
    pub limit: Option<i64>,
    pub offset: i64,
    /// Only what comes behind this row.
    pub after: Option<Cursor>,
}

/// The place of a row in an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub key: CursorKey,
    pub id: Uuid,
}

/// The row's value of what the list is ordered by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CursorKey {
    Time(Timestamp),
    Text(String),
    /// The id itself.
    Id,
}

/// Later than every expiry.
pub const NEVER: Timestamp = Timestamp::from_millis(253_402_300_799_999);
/// Earlier than every use.
pub const NOT_YET: Timestamp = Timestamp::from_millis(0);

impl Cursor {
    /// The place of a token in an order.
    #[must_use]
    pub fn of(token: &Token, key: SortKey) -> Self {
        let key = match key {
            SortKey::CreatedAt => CursorKey::Time(token.created_at),
            SortKey::ExpiresAt => CursorKey::Time(token.expires_at.unwrap_or(NEVER)),
            SortKey::LastUsedAt => CursorKey::Time(token.last_used_at.unwrap_or(NOT_YET)),
            SortKey::Description => CursorKey::Text(token.description.clone()),
            SortKey::TokenId => CursorKey::Id,
        };
        Self { key, id: token.id }
    }
}
