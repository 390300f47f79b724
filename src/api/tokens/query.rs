//! What can be asked of a list of tokens.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::StatusName;
use crate::{
    api::{
        ApiError,
        strict_query::{check_limit, check_offset},
    },
    domain::token_query::{Page, Sort, SortKey},
    http::cursor,
    service::tokens::Reach,
};
use tokenward_guard::Principal;

/// Rows of an administrator's list where no limit is given.
const ADMIN_LIMIT: i64 = 100;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// How many rows at most. Without it all of one's own are listed, and 100 of `allUsers`.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
    /// How many rows to pass over.
    #[param(minimum = 0)]
    offset: Option<i64>,
    /// What to order by; ties by `tokenId`. Without it `createdAt`.
    #[param(inline)]
    pub(super) sort: Option<SortName>,
    /// Whether to add `count`, the number of rows without limit, offset and cursor.
    pub(super) include_count: Option<bool>,
    /// For administrators: the tokens of everybody in the workspace.
    all_users: Option<bool>,
    /// For administrators: the tokens of one person.
    person_id: Option<i64>,
    /// Only tokens of this status.
    #[param(inline)]
    pub(super) status: Option<StatusName>,
    /// The `nextCursor` of the page before.
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

impl ListQuery {
    pub(super) fn reach(&self, caller: &Principal) -> Reach {
        match (self.all_users.unwrap_or(false), self.person_id) {
            (false, None) => Reach::Own,
            (false, Some(person_id)) if person_id == caller.person_id && !caller.is_admin => Reach::Own,
            (_, person_id) => Reach::Workspace { person_id },
        }
    }

    pub(super) fn page(&self, reach: Reach) -> Result<Page, ApiError> {
        let sort = Sort::from(self.sort.unwrap_or_default());
        let limit = check_limit(self.limit)?;
        Ok(Page {
            sort,
            limit: match reach {
                Reach::Own => limit,
                Reach::Workspace { .. } => Some(limit.unwrap_or(ADMIN_LIMIT)),
            },
            offset: check_offset(self.offset)?,
            after: self.cursor.as_deref().map(|text| cursor::read(text, sort)).transpose()?,
        })
    }
}
