//! Lists of tokens: filtered, sorted, page by page.

use sqlx::{Database, Encode, FromRow, QueryBuilder, Type};
use uuid::Uuid;

use super::{Owner, TokenRow, access};
use crate::{
    domain::{
        person::TokenAccess,
        time::Timestamp,
        token::{Status, Token},
        token_query::{CursorKey, NEVER, NOT_YET, Page, SortKey, Which},
    },
    store::{Result, Store, like::containing, on_readers},
};

/// Which tokens a list shows.
#[derive(Clone, Debug)]
pub struct TokenFilter {
    pub owner: Owner,
    pub which: Which,
    /// The moment by which a status is judged.
    pub now: Timestamp,
}

/// Whose token it is, and whether that person may use any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenOwner {
    pub email: String,
    pub is_disabled: bool,
    pub token_access: TokenAccess,
}

#[derive(FromRow)]
struct ListRow {
    #[sqlx(flatten)]
    token: TokenRow,
    email: String,
    is_disabled: bool,
    token_access: String,
}

impl ListRow {
    fn read(self) -> Result<(Token, TokenOwner)> {
        let Self { token, email, is_disabled, token_access } = self;
        Ok((token.into(), TokenOwner { email, is_disabled, token_access: access(&token_access)? }))
    }
}

const COLUMNS: &str = "select t.id, t.workspace_id, t.person_id, t.hint, t.description, t.created_at, t.expires_at, \
                       t.last_used_at, t.parent_id, p.email, p.is_disabled, p.token_access from live_token t join person p on p.id = t.person_id";
const COUNT: &str = "select count(*) from live_token t";

impl Store {
    /// Lists tokens, each with its owner.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::store::Error::Unavailable).
    pub async fn list_tokens(&self, filter: &TokenFilter, page: &Page) -> Result<Vec<(Token, TokenOwner)>> {
        let rows: Vec<ListRow> =
            on_readers!(self, pool => page_of(matching(COLUMNS, filter), page).build_query_as().fetch_all(pool).await)?;
        rows.into_iter().map(ListRow::read).collect()
    }

    /// Reads those of these tokens that a list shows, in no order.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::store::Error::Unavailable).
    pub async fn list_tokens_of(&self, filter: &TokenFilter, ids: &[Uuid]) -> Result<Vec<(Token, TokenOwner)>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<ListRow> =
            on_readers!(self, pool => among(matching(COLUMNS, filter), ids).build_query_as().fetch_all(pool).await)?;
        rows.into_iter().map(ListRow::read).collect()
    }

    /// Counts the tokens that a list of any length would show. Without a condition the count is one that is kept up.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::store::Error::Unavailable).
    pub async fn count_tokens(&self, filter: &TokenFilter) -> Result<i64> {
        const OF_PERSON: &str =
            "select coalesce(max(tokens), 0) from token_count where workspace_id = $1 and person_id = $2";
        match filter.owner {
            _ if !filter.which.is_everything() => {
                Ok(on_readers!(self, pool => matching(COUNT, filter).build_query_scalar().fetch_one(pool).await)?)
            }
            Owner::Person { workspace_id, person_id } => Ok(on_readers!(self, pool => sqlx::query_scalar(OF_PERSON)
                .bind(workspace_id).bind(person_id).fetch_one(pool).await)?),
            Owner::Workspace(workspace_id) => Ok(self.count_members(workspace_id).await?.1),
        }
    }
}

fn among<'a, DB>(mut statement: QueryBuilder<DB>, ids: &'a [Uuid]) -> QueryBuilder<DB>
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

fn matching<DB>(select: &str, filter: &TokenFilter) -> QueryBuilder<DB>
where
    DB: Database<Arguments: Default>,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
    String: for<'q> Encode<'q, DB> + Type<DB>,
    Timestamp: for<'q> Encode<'q, DB> + Type<DB>,
    Uuid: for<'q> Encode<'q, DB> + Type<DB>,
{
    let mut statement = QueryBuilder::new(select);
    statement.push(" where t.workspace_id = ").push_bind(filter.owner.workspace_id());
    if let Some(person_id) = filter.owner.person_id() {
        statement.push(" and t.person_id = ").push_bind(person_id);
    }
    let Which { status, expires_by, unused_since, search } = &filter.which;
    match status {
        None => {}
        Some(Status::Expired) => {
            statement.push(" and t.expires_at <= ").push_bind(filter.now);
        }
        Some(Status::Active) => {
            statement.push(" and (t.expires_at is null or t.expires_at > ").push_bind(filter.now).push(")");
        }
    }
    if let Some(moment) = expires_by {
        statement.push(" and t.expires_at <= ").push_bind(*moment);
    }
    if let Some(moment) = unused_since {
        statement.push(" and (t.last_used_at is null or t.last_used_at < ").push_bind(*moment).push(")");
    }
    if let Some(text) = search {
        push_search(&mut statement, filter.owner.workspace_id(), text);
    }
    statement
}

fn push_search<DB>(statement: &mut QueryBuilder<DB>, workspace_id: i64, text: &str)
where
    DB: Database,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
    String: for<'q> Encode<'q, DB> + Type<DB>,
    Uuid: for<'q> Encode<'q, DB> + Type<DB>,
{
    const ESCAPE: &str = " escape '\\'";
    let pattern = containing(&text.to_lowercase());
    statement.push(" and (lower(t.description) like ").push_bind(pattern.clone()).push(ESCAPE);
    statement.push(" or t.description like ").push_bind(containing(text)).push(ESCAPE);
    statement.push(" or lower(t.hint) like ").push_bind(pattern.clone()).push(ESCAPE);
    statement.push(" or t.person_id in (select id from person where workspace_id = ").push_bind(workspace_id);
    statement.push(" and email_key like ").push_bind(pattern).push(ESCAPE).push(")");
    if let Ok(id) = Uuid::try_parse(text) {
        statement.push(" or t.id = ").push_bind(id);
    }
    statement.push(")");
}

fn page_of<DB>(mut statement: QueryBuilder<DB>, page: &Page) -> QueryBuilder<DB>
where
    DB: Database,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
    String: for<'q> Encode<'q, DB> + Type<DB>,
    Timestamp: for<'q> Encode<'q, DB> + Type<DB>,
    Uuid: for<'q> Encode<'q, DB> + Type<DB>,
{
    let Page { sort, limit, offset, after } = page;
    if let Some(cursor) = after {
        statement.push(" and (");
        push_key(&mut statement, sort.key);
        statement.push(if sort.descending { ", t.id) < (" } else { ", t.id) > (" });
        match &cursor.key {
            CursorKey::Time(moment) => statement.push_bind(*moment),
            CursorKey::Text(text) => statement.push_bind(text.clone()),
            CursorKey::Id => statement.push_bind(cursor.id),
        };
        statement.push(", ").push_bind(cursor.id).push(")");
    }
    let direction = if sort.descending { " desc" } else { "" };
    statement.push(" order by ");
    push_key(&mut statement, sort.key);
    statement.push(direction).push(", t.id").push(direction);
    // SQLite takes an offset only behind a limit.
    statement.push(" limit ").push_bind(limit.unwrap_or(i64::MAX)).push(" offset ").push_bind(*offset);
    statement
}

fn push_key<DB>(statement: &mut QueryBuilder<DB>, key: SortKey)
where
    DB: Database,
    Timestamp: for<'q> Encode<'q, DB> + Type<DB>,
{
    match key {
        SortKey::CreatedAt => statement.push("t.created_at"),
        SortKey::ExpiresAt => statement.push("coalesce(t.expires_at, ").push_bind(NEVER).push(")"),
        SortKey::LastUsedAt => statement.push("coalesce(t.last_used_at, ").push_bind(NOT_YET).push(")"),
        SortKey::Description => statement.push("t.description"),
        SortKey::TokenId => statement.push("t.id"),
    };
}
