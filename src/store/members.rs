//! The people of a workspace as its administrators look at them: searched, by e-mail, with what they hold.

use sqlx::FromRow;

use super::{Error, Result, Store, on_pool, people, text::containing};
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

#[derive(FromRow)]
struct Row {
    #[sqlx(flatten)]
    person: people::Row,
    active_tokens: i64,
}

impl TryFrom<Row> for Member {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self { person: row.person.try_into()?, active_tokens: row.active_tokens })
    }
}

/// The list, which ends with how it is ordered. Tokens are counted for the rows that are shown alone.
macro_rules! list {
    ($comparison:literal, $order:literal) => {
        concat!(
            "select ",
            people::columns!(),
            ", (select count(*) from token where token.workspace_id = person.workspace_id and token.person_id = person.id \
               and (token.expires_at is null or token.expires_at > $6)) as active_tokens \
             from person where workspace_id = $1 and email_key ",
            $comparison,
            " $2 and is_disabled = coalesce($3, is_disabled) and is_admin = coalesce($4, is_admin) \
             and (lower(name) like $5 escape '\\' or email_key like $5 escape '\\') order by email_key",
            $order,
            " limit $7"
        )
    };
}

impl Store {
    /// Lists people of a workspace by e-mail, in ascending order whichever way the part lies.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
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
        let pattern = containing(filter.search.as_deref().unwrap_or_default());
        let rows: Vec<Row> = on_pool!(self, pool => sqlx::query_as(statement)
            .bind(workspace_id).bind(key.as_str()).bind(filter.is_disabled).bind(filter.is_admin)
            .bind(&pattern).bind(now).bind(limit).fetch_all(pool).await)?;
        let mut members = rows.into_iter().map(Member::try_from).collect::<Result<Vec<_>>>()?;
        if matches!(start, Start::Before(_)) {
            members.reverse();
        }
        Ok(members)
    }

    /// Counts those who hold tokens within their lifetime, and these tokens; of a workspace, or of one person there.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn count_holders(&self, workspace_id: i64, person_id: Option<i64>, now: Timestamp) -> Result<Holders> {
        const COUNT: &str = "select count(distinct person_id), count(*) from token where workspace_id = $1 \
                             and person_id = coalesce($2, person_id) and (expires_at is null or expires_at > $3)";
        let (people, tokens) = on_pool!(self, pool => sqlx::query_as(COUNT)
            .bind(workspace_id).bind(person_id).bind(now).fetch_one(pool).await)?;
        Ok(Holders { people, tokens })
    }
}
