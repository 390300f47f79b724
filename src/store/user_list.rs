//! The people of a workspace as its administrators look at them: searched, by e-mail, with what they hold.

use std::collections::HashMap;

use sqlx::{Database, Encode, QueryBuilder, Type};

use super::{Result, Store, like::containing, on_pool, on_readers, people};
use crate::domain::{
    person::{EmailKey, Person},
    time::Timestamp,
};

/// Which people a list shows; what is not set lets all through.
#[derive(Clone, Debug, Default)]
pub struct MemberFilter {
    /// Only those with this in name or e-mail.
    pub search: Option<String>,
    pub is_disabled: Option<bool>,
    pub is_admin: Option<bool>,
}

/// Where a part of the list begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Behind the person of this e-mail.
    After(EmailKey),
    /// Before the person of this e-mail, going back.
    Before(EmailKey),
}

impl Default for Start {
    fn default() -> Self {
        Self::After(EmailKey::of(""))
    }
}

/// A person, and how many of the person's tokens are within their lifetime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub person: Person,
    pub active_tokens: i64,
}

/// How many people hold how many tokens within their lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holders {
    pub people: i64,
    pub tokens: i64,
}

/// The people of a list.
macro_rules! list {
    ($comparison:literal, $order:literal) => {
        concat!(
            "select ",
            people::columns!(),
            " from person where workspace_id = $1 and removed_at is null and email_key ",
            $comparison,
            " $2 and is_disabled = coalesce($3, is_disabled) and is_admin = coalesce($4, is_admin) \
             and (lower(name) like $5 escape '\\' or name like $6 escape '\\' or email_key like $5 escape '\\') \
             order by email_key",
            $order,
            " limit $7"
        )
    };
}

/// Counts the tokens of these people that are within their lifetime. It is a statement of its own, because a planner that does not
/// know how few people there are would read all tokens once for each of them.
fn counting<DB>(workspace_id: i64, people: &[people::Row], now: Timestamp) -> QueryBuilder<DB>
where
    DB: Database<Arguments: Default>,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
    Timestamp: for<'q> Encode<'q, DB> + Type<DB>,
{
    let mut statement = QueryBuilder::new("select person_id, count(*) from live_token where workspace_id = ");
    statement.push_bind(workspace_id).push(" and (expires_at is null or expires_at > ").push_bind(now);
    statement.push(") and person_id in (");
    let mut ids = statement.separated(", ");
    for person in people {
        ids.push_bind(person.id);
    }
    statement.push(") group by person_id");
    statement
}

impl Store {
    /// Lists people of a workspace by e-mail, in ascending order whichever way the part lies.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable).
    pub async fn list_members(
        &self,
        workspace_id: i64,
        filter: &MemberFilter,
        start: &Start,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Member>> {
        let (statement, key) = match start {
            Start::After(key) => (list!(">", ""), key),
            Start::Before(key) => (list!("<", " desc"), key),
        };
        let search = filter.search.as_deref().unwrap_or_default();
        let (pattern, as_written) = (containing(&search.to_lowercase()), containing(search));
        let (rows, counts): (Vec<people::Row>, HashMap<i64, i64>) = on_readers!(self, pool => {
            let rows: Vec<people::Row> = sqlx::query_as(statement)
                .bind(workspace_id).bind(key.as_str()).bind(filter.is_disabled).bind(filter.is_admin)
                .bind(&pattern).bind(&as_written).bind(limit).fetch_all(pool).await?;
            if rows.is_empty() {
                return Ok(Vec::new());
            }
            let counts: Vec<(i64, i64)> = counting(workspace_id, &rows, now).build_query_as().fetch_all(pool).await?;
            (rows, counts.into_iter().collect())
        });
        let member = |row: people::Row| -> Result<Member> {
            let active_tokens = counts.get(&row.id).copied().unwrap_or(0);
            Ok(Member { person: row.try_into()?, active_tokens })
        };
        let mut members = rows.into_iter().map(member).collect::<Result<Vec<_>>>()?;
        if matches!(start, Start::Before(_)) {
            members.reverse();
        }
        Ok(members)
    }

    /// The addresses of some enabled administrators of a workspace, by e-mail.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable).
    pub async fn find_administrators(&self, workspace_id: i64, most: i64) -> Result<Vec<String>> {
        const SELECT: &str = "select email from person where workspace_id = $1 and is_admin and not is_disabled \
                              order by email_key limit $2";
        Ok(on_pool!(self, pool => sqlx::query_scalar(SELECT).bind(workspace_id).bind(most).fetch_all(pool).await)?)
    }

    /// Counts those who hold tokens within their lifetime, and these tokens; of a workspace, or of one person there.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable).
    pub async fn count_holders(&self, workspace_id: i64, person_id: Option<i64>, now: Timestamp) -> Result<Holders> {
        macro_rules! count {
            ($whose:literal) => {
                concat!(
                    "select count(distinct person_id), count(*) from live_token where workspace_id = $1 and ",
                    $whose,
                    " and (expires_at is null or expires_at > $3)"
                )
            };
        }
        // Two texts, so that one person's are found by the index.
        let statement = match person_id {
            Some(_) => count!("person_id = $2"),
            None => count!("cast($2 as bigint) is null"),
        };
        let (people, tokens) = on_readers!(self, pool => sqlx::query_as(statement)
            .bind(workspace_id).bind(person_id).bind(now).fetch_one(pool).await)?;
        Ok(Holders { people, tokens })
    }
}
