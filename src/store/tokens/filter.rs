//! The conditions of token lists and bulk deletions, as SQL.

use sqlx::{Database, Encode, QueryBuilder, Sqlite, Type};
use uuid::Uuid;

use crate::{
    domain::{
        id::WorkspaceId,
        setting_conflict::SettingConflict,
        time::Timestamp,
        token::TokenStatus,
        token_filter::{TimeRange, TokenFilter},
    },
    store::like::contains_pattern,
};

const ESCAPE: &str = " escape '\\'";

/// Appends the conditions of the filter on the token `t` of the workspace. The statement has a `where`
/// before. `now` decides about the status.
pub(super) fn push_conditions<DB>(
    statement: &mut QueryBuilder<DB>,
    workspace_id: WorkspaceId,
    filter: &TokenFilter,
    now: Timestamp,
) where
    DB: Database,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
    String: for<'q> Encode<'q, DB> + Type<DB>,
    Timestamp: for<'q> Encode<'q, DB> + Type<DB>,
    Uuid: for<'q> Encode<'q, DB> + Type<DB>,
{
    let TokenFilter {
        status,
        description,
        created,
        expires,
        last_used,
        never_used,
        unused_since,
        scope,
        kind,
        conflict,
        search,
    } = filter;
    match status {
        None => {}
        Some(TokenStatus::Expired) => {
            statement.push(" and t.ends_at <= ").push_bind(now);
        }
        Some(TokenStatus::Active) => {
            statement.push(" and (t.ends_at is null or t.ends_at > ").push_bind(now).push(")");
        }
    }
    if let Some(part) = description {
        statement.push(" and (");
        push_description(statement, part.as_str());
        statement.push(")");
    }
    for (column, range) in [("t.created_at", created), ("t.expires_at", expires), ("t.last_used_at", last_used)] {
        push_range(statement, column, *range);
    }
    match never_used {
        None => {}
        Some(true) => {
            statement.push(" and t.last_used_at is null");
        }
        Some(false) => {
            statement.push(" and t.last_used_at is not null");
        }
    }
    if let Some(time) = unused_since {
        statement.push(" and (t.last_used_at is null or t.last_used_at < ").push_bind(*time).push(")");
    }
    if let Some(word) = scope {
        // The words are separated by spaces.
        let pattern = contains_pattern(&format!(" {word} "));
        statement.push(" and ' ' || t.scopes || ' ' like ").push_bind(pattern).push(ESCAPE);
    }
    if let Some(kind) = kind {
        statement.push(" and t.person_id in (select id from person where workspace_id = ").push_bind(workspace_id);
        // The name is a constant.
        statement.push(" and kind = '").push(kind.as_str()).push("')");
    }
    match conflict {
        None | Some(SettingConflict::Any) => {}
        Some(SettingConflict::Unrestricted) => {
            statement.push(" and t.scopes is null");
        }
        Some(SettingConflict::LongerThanDays(days)) => push_longer_than(statement, *days),
    }
    if let Some(text) = search {
        push_search(statement, workspace_id, text);
    }
}

/// Appends the condition that a column is in a range. A null is in no range.
fn push_range<DB>(statement: &mut QueryBuilder<DB>, column: &str, range: TimeRange)
where
    DB: Database,
    Timestamp: for<'q> Encode<'q, DB> + Type<DB>,
{
    for (operator, time) in [(" >= ", range.after), (" < ", range.before)] {
        if let Some(time) = time {
            statement.push(" and ").push(column).push(operator).push_bind(time);
        }
    }
}

/// Appends the condition that a token lives longer than a number of days. Only PostgreSQL has intervals.
fn push_longer_than<DB>(statement: &mut QueryBuilder<DB>, days: i64)
where
    DB: Database,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
{
    statement.push(" and (t.expires_at is null or t.expires_at > t.created_at + ");
    if DB::NAME == Sqlite::NAME {
        statement.push_bind(days * 86_400_000);
    } else {
        statement.push_bind(days * 86_400).push(" * interval '1 second'");
    }
    statement.push(")");
}

/// Appends the condition that the description contains a text. Only the letters A to Z match in either
/// case, on both databases: SQLite knows no others, and the collation "C" of PostgreSQL changes no others.
fn push_description<DB>(statement: &mut QueryBuilder<DB>, text: &str)
where
    DB: Database,
    String: for<'q> Encode<'q, DB> + Type<DB>,
{
    let pattern = contains_pattern(&text.to_ascii_lowercase());
    let collation = if DB::NAME == Sqlite::NAME { "" } else { " collate \"C\"" };
    statement.push("lower(t.description").push(collation).push(") like ").push_bind(pattern).push(ESCAPE);
}

fn push_search<DB>(statement: &mut QueryBuilder<DB>, workspace_id: WorkspaceId, text: &str)
where
    DB: Database,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
    String: for<'q> Encode<'q, DB> + Type<DB>,
    Uuid: for<'q> Encode<'q, DB> + Type<DB>,
{
    let pattern = contains_pattern(&text.to_lowercase());
    statement.push(" and (");
    push_description(statement, text);
    statement.push(" or lower(t.display_prefix) like ").push_bind(pattern.clone()).push(ESCAPE);
    statement.push(" or t.person_id in (select id from person where workspace_id = ").push_bind(workspace_id);
    statement.push(" and email_key like ").push_bind(pattern).push(ESCAPE).push(")");
    if let Ok(id) = Uuid::try_parse(text) {
        statement.push(" or t.id = ").push_bind(id);
    }
    statement.push(")");
}
