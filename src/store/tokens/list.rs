//! Token lists: filtered, sorted and paginated.

use sqlx::{Database, Encode, QueryBuilder, Type};
use uuid::Uuid;

use super::{OwnerScope, TokenRow, filter::push_conditions};
use crate::{
    domain::{
        person::TokenAccess,
        time::Timestamp,
        token::Token,
        token_filter::TokenFilter,
        token_query::{CursorKey, NEVER_EXPIRES_KEY, NEVER_USED_KEY, SortKey, TokenPageQuery},
    },
    store::{Result, Store, TokenHolderCounts, columns::parse_token_access, from_row, on_readers},
};

/// Selection of tokens for a list.
#[derive(Clone, Debug)]
pub struct TokenListQuery {
    pub scope: OwnerScope,
    pub filter: TokenFilter,
    /// Time at which the status of a token is evaluated.
    pub now: Timestamp,
}

/// Owner of a listed token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenOwner {
    pub email: String,
    pub is_disabled: bool,
    pub token_access: TokenAccess,
}

struct ListRow {
    token: TokenRow,
    email: String,
    is_disabled: bool,
    token_access: String,
}

from_row!(ListRow { email, is_disabled, token_access; token });

impl ListRow {
    fn into_token(self) -> Result<(Token, TokenOwner)> {
        let Self { token, email, is_disabled, token_access } = self;
        Ok((token.try_into()?, TokenOwner { email, is_disabled, token_access: parse_token_access(&token_access)? }))
    }
}

const SELECT_TOKENS: &str = concat!(
    "select ",
    token_columns!(),
    ", p.email, p.is_disabled, p.token_access from unrevoked_token t join person p on p.id = t.person_id"
);
const COUNT_TOKENS: &str = "select count(*) from unrevoked_token t";

impl Store {
    /// Lists tokens, each with its owner.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time.
    pub async fn list_tokens(&self, query: &TokenListQuery, page: &TokenPageQuery) -> Result<Vec<(Token, TokenOwner)>> {
        let rows: Vec<ListRow> = on_readers!(self, pool => {
            paged_query(filtered_query(SELECT_TOKENS, query), page).build_query_as().fetch_all(pool).await
        })?;
        rows.into_iter().map(ListRow::into_token).collect()
    }

    /// Reads those of the tokens with these IDs that match the query, in no particular order.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time.
    pub async fn list_tokens_by_id(&self, query: &TokenListQuery, ids: &[Uuid]) -> Result<Vec<(Token, TokenOwner)>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<ListRow> = on_readers!(self, pool => {
            restrict_to_ids(filtered_query(SELECT_TOKENS, query), ids).build_query_as().fetch_all(pool).await
        })?;
        rows.into_iter().map(ListRow::into_token).collect()
    }

    /// Counts the tokens that match the query. Without conditions it reads a maintained count.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time.
    pub async fn count_tokens(&self, query: &TokenListQuery) -> Result<i64> {
        const OF_PERSON: &str =
            "select coalesce(max(tokens), 0) from token_count where workspace_id = $1 and person_id = $2";
        match query.scope {
            _ if !query.filter.is_empty() || query.scope.custodian().is_some() => Ok(
                on_readers!(self, pool => filtered_query(COUNT_TOKENS, query).build_query_scalar().fetch_one(pool).await)?,
            ),
            OwnerScope::Person { workspace_id, person_id } | OwnerScope::Custody { workspace_id, person_id } => {
                Ok(on_readers!(self, pool => sqlx::query_scalar(OF_PERSON)
                .bind(workspace_id).bind(person_id).fetch_one(pool).await)?)
            }
            OwnerScope::Workspace(workspace_id) => Ok(self.count_people_and_tokens(workspace_id).await?.1),
        }
    }
}

impl Store {
    /// Counts the tokens that match the query, and their owners.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time.
    pub async fn count_tokens_and_owners(&self, query: &TokenListQuery) -> Result<TokenHolderCounts> {
        const COUNT: &str = "select count(*), count(distinct t.person_id) from unrevoked_token t";
        let (tokens, people): (i64, i64) =
            on_readers!(self, pool => filtered_query(COUNT, query).build_query_as().fetch_one(pool).await)?;
        Ok(TokenHolderCounts { people, tokens })
    }
}

fn restrict_to_ids<'a, DB>(mut statement: QueryBuilder<DB>, ids: &'a [Uuid]) -> QueryBuilder<DB>
where
    DB: Database,
    Uuid: Encode<'a, DB> + Type<DB>,
{
    statement.push(" and t.id in (");
    let mut list = statement.separated(", ");
    for id in ids {
        list.push_bind(*id);
    }
    statement.push(")");
    statement
}

/// Returns a statement with the conditions of the query. It ends in `where` and its conditions.
pub(super) fn filtered_query<DB>(select: &str, query: &TokenListQuery) -> QueryBuilder<DB>
where
    DB: Database<Arguments: Default>,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
    String: for<'q> Encode<'q, DB> + Type<DB>,
    Timestamp: for<'q> Encode<'q, DB> + Type<DB>,
    Uuid: for<'q> Encode<'q, DB> + Type<DB>,
{
    let mut statement = QueryBuilder::new(select);
    statement.push(" where t.workspace_id = ").push_bind(query.scope.workspace_id());
    if let Some(custodian) = query.scope.custodian() {
        statement.push(" and (t.person_id = ").push_bind(custodian);
        statement.push(" or t.person_id in (select c.service_account_id from custodian c where c.person_id = ");
        statement.push_bind(custodian).push("))");
    } else if let Some(person_id) = query.scope.person_id() {
        statement.push(" and t.person_id = ").push_bind(person_id);
    }
    push_conditions(&mut statement, query.scope.workspace_id(), &query.filter, query.now);
    statement
}

fn paged_query<DB>(mut statement: QueryBuilder<DB>, page: &TokenPageQuery) -> QueryBuilder<DB>
where
    DB: Database,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
    String: for<'q> Encode<'q, DB> + Type<DB>,
    Timestamp: for<'q> Encode<'q, DB> + Type<DB>,
    Uuid: for<'q> Encode<'q, DB> + Type<DB>,
{
    let TokenPageQuery { sort, limit, offset, after } = page;
    if let Some(cursor) = after {
        statement.push(" and (");
        push_sort_key(&mut statement, sort.key);
        statement.push(if sort.descending { ", t.id) < (" } else { ", t.id) > (" });
        match &cursor.key {
            CursorKey::Time(time) => statement.push_bind(*time),
            CursorKey::Text(text) => statement.push_bind(text.clone()),
            CursorKey::Id => statement.push_bind(cursor.id),
        };
        statement.push(", ").push_bind(cursor.id).push(")");
    }
    let direction = if sort.descending { " desc" } else { "" };
    statement.push(" order by ");
    push_sort_key(&mut statement, sort.key);
    statement.push(direction).push(", t.id").push(direction);
    // SQLite accepts an offset only after a limit.
    statement.push(" limit ").push_bind(limit.unwrap_or(i64::MAX)).push(" offset ").push_bind(*offset);
    statement
}

fn push_sort_key<DB>(statement: &mut QueryBuilder<DB>, key: SortKey)
where
    DB: Database,
    Timestamp: for<'q> Encode<'q, DB> + Type<DB>,
{
    match key {
        SortKey::CreatedAt => statement.push("t.created_at"),
        SortKey::ExpiresAt => statement.push("coalesce(t.expires_at, ").push_bind(NEVER_EXPIRES_KEY).push(")"),
        SortKey::LastUsedAt => statement.push("coalesce(t.last_used_at, ").push_bind(NEVER_USED_KEY).push(")"),
        SortKey::Description => statement.push("t.description"),
        SortKey::TokenId => statement.push("t.id"),
    };
}
