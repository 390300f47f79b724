//! The query parameters of token lists.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    api::{
        ApiError,
        strict_query::{check_limit, check_offset},
    },
    domain::{
        id::PersonId,
        token_query::{Sort, SortKey, TokenPageQuery},
    },
    http::cursor,
    service::tokens::TokenScope,
};
use tokenward_guard::Principal;

/// The number of rows of an administrator's list without `limit`.
const DEFAULT_ADMIN_LIMIT: i64 = 100;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// The maximum number of rows. By default all of the caller's tokens, and 100 with `allUsers`.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
    /// The number of rows to skip.
    #[param(minimum = 0)]
    offset: Option<i64>,
    /// The sort order; `createdAt` by default. Equal rows are sorted by `tokenId`.
    #[param(inline)]
    pub(super) sort: Option<SortName>,
    /// Add `count`, the number of rows regardless of limit, offset and cursor.
    pub(super) include_count: Option<bool>,
    /// For administrators: the tokens of all people of the workspace.
    all_users: Option<bool>,
    /// For administrators: the tokens of one person. For custodians: those of a service account.
    person_id: Option<i64>,
    /// The `nextCursor` of the previous page.
    cursor: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
pub(super) enum SortName {
    #[default]
    #[serde(rename = "createdAt")]
    CreatedAt,
    #[serde(rename = "-createdAt")]
    CreatedAtDescending,
    #[serde(rename = "expiredAt")]
    ExpiredAt,
    #[serde(rename = "-expiredAt")]
    ExpiredAtDescending,
    #[serde(rename = "lastUsed")]
    LastUsed,
    #[serde(rename = "-lastUsed")]
    LastUsedDescending,
    #[serde(rename = "description")]
    Description,
    #[serde(rename = "-description")]
    DescriptionDescending,
    #[serde(rename = "tokenId")]
    TokenId,
    #[serde(rename = "-tokenId")]
    TokenIdDescending,
}

impl From<SortName> for Sort {
    fn from(name: SortName) -> Self {
        let (key, descending) = match name {
            SortName::CreatedAt => (SortKey::CreatedAt, false),
            SortName::CreatedAtDescending => (SortKey::CreatedAt, true),
            SortName::ExpiredAt => (SortKey::ExpiresAt, false),
            SortName::ExpiredAtDescending => (SortKey::ExpiresAt, true),
            SortName::LastUsed => (SortKey::LastUsedAt, false),
            SortName::LastUsedDescending => (SortKey::LastUsedAt, true),
            SortName::Description => (SortKey::Description, false),
            SortName::DescriptionDescending => (SortKey::Description, true),
            SortName::TokenId => (SortKey::TokenId, false),
            SortName::TokenIdDescending => (SortKey::TokenId, true),
        };
        Self { key, descending }
    }
}

/// Returns the scope of a list or a bulk deletion.
pub(super) fn scope_of(caller: &Principal, all_users: Option<bool>, person_id: Option<i64>) -> TokenScope {
    match (all_users.unwrap_or(false), person_id.map(PersonId::new)) {
        (false, None) => TokenScope::Own,
        (false, Some(person_id)) if person_id == PersonId::of(caller) && !caller.is_admin => TokenScope::Own,
        (_, person_id) => TokenScope::Workspace { person_id },
    }
}

impl ListQuery {
    pub(super) fn scope(&self, caller: &Principal) -> TokenScope {
        scope_of(caller, self.all_users, self.person_id)
    }

    /// Returns the order and the page. A list that is exported has all rows by default.
    pub(super) fn to_page_query(&self, scope: TokenScope, is_export: bool) -> Result<TokenPageQuery, ApiError> {
        let sort = Sort::from(self.sort.unwrap_or_default());
        let limit = check_limit(self.limit)?;
        Ok(TokenPageQuery {
            sort,
            limit: match scope {
                _ if is_export => limit,
                TokenScope::Own => limit,
                TokenScope::Workspace { .. } => Some(limit.unwrap_or(DEFAULT_ADMIN_LIMIT)),
            },
            offset: check_offset(self.offset)?,
            after: self.cursor.as_deref().map(|text| cursor::decode(text, sort)).transpose()?,
        })
    }
}
