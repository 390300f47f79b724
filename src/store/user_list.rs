//! User list of the administration pages: searched, ordered by e-mail, with token counts.

use std::collections::HashMap;

use sqlx::{Database, Encode, QueryBuilder, Type};

use super::{Result, Store, like::contains_pattern, on_pool, on_readers, people};
use crate::domain::{
    id::{PersonId, WorkspaceId},
    person::{EmailKey, Person},
    service_account::PersonKind,
    time::Timestamp,
};

/// Conditions on listed people. `None` matches everything.
#[derive(Clone, Debug, Default)]
pub struct PersonSearch {
    /// Text that the name or e-mail contains.
    pub search: Option<String>,
    pub is_disabled: Option<bool>,
    pub is_admin: Option<bool>,
    pub kind: PersonKind,
}

impl PersonSearch {
    /// Returns the conditions that all service accounts meet.
    #[must_use]
    pub fn service_accounts() -> Self {
        Self { kind: PersonKind::Service, ..Self::default() }
    }
}

/// Start of a page in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageStart {
    /// After the person with this e-mail.
    After(EmailKey),
    /// Before the person with this e-mail, going backwards.
    Before(EmailKey),
}

impl Default for PageStart {
    fn default() -> Self {
        Self::After(EmailKey::from_text(""))
    }
}

/// Person, number of unexpired tokens, and invite link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonWithTokenCount {
    pub person: Person,
    pub active_tokens: i64,
    /// End of the validity of the person's invite link, which may be in the past; `None`: no link.
    pub invite_expires_at: Option<Timestamp>,
}

/// Numbers of unexpired tokens and of their owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenHolderCounts {
    pub people: i64,
    pub tokens: i64,
}

/// Statement of the list.
macro_rules! list {
    ($comparison:literal, $order:literal) => {
        concat!(
            "select ",
            people::columns!(),
            " from person where workspace_id = $1 and removed_at is null and email_key ",
            $comparison,
            " $2 and is_disabled = coalesce($3, is_disabled) and is_admin = coalesce($4, is_admin) and kind = $8 \
             and (lower(name) like $5 escape '\\' or name like $6 escape '\\' or email_key like $5 escape '\\') \
             order by email_key",
            $order,
            " limit $7"
        )
    };
}

/// Returns the statement that counts the unexpired tokens of these people. It is separate from the
/// list, because a planner that misjudges the number of people would scan all tokens once for each
/// of them.
fn token_counts_query<DB>(workspace_id: WorkspaceId, people: &[people::Row], now: Timestamp) -> QueryBuilder<DB>
where
    DB: Database<Arguments: Default>,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
    Timestamp: for<'q> Encode<'q, DB> + Type<DB>,
{
    let mut statement = QueryBuilder::new("select person_id, count(*) from unrevoked_token where workspace_id = ");
    statement.push_bind(workspace_id).push(" and (ends_at is null or ends_at > ").push_bind(now);
    statement.push(") and person_id in (");
    let mut ids = statement.separated(", ");
    for person in people {
        ids.push_bind(person.id);
    }
    statement.push(") group by person_id");
    statement
}

/// Returns the statement that reads the expiry of these people's invite links.
fn invite_expiries_query<DB>(people: &[people::Row]) -> QueryBuilder<DB>
where
    DB: Database<Arguments: Default>,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
{
    let mut statement =
        QueryBuilder::new("select person_id, expires_at from password_link where kind = 'invite' and person_id in (");
    let mut ids = statement.separated(", ");
    for person in people {
        ids.push_bind(person.id);
    }
    statement.push(")");
    statement
}

impl Store {
    /// Lists people of a workspace, in ascending order of their e-mail for either kind of start.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn list_people_with_token_counts(
        &self,
        workspace_id: WorkspaceId,
        filter: &PersonSearch,
        start: &PageStart,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<PersonWithTokenCount>> {
        let (statement, key) = match start {
            PageStart::After(key) => (list!(">", ""), key),
            PageStart::Before(key) => (list!("<", " desc"), key),
        };
        let search = filter.search.as_deref().unwrap_or_default();
        let lower_pattern = contains_pattern(&search.to_lowercase());
        let pattern = contains_pattern(search);
        let (rows, counts, invites) = on_readers!(self, pool => {
            let rows: Vec<people::Row> = sqlx::query_as(statement)
                .bind(workspace_id).bind(key.as_str()).bind(filter.is_disabled).bind(filter.is_admin)
                .bind(&lower_pattern).bind(&pattern).bind(limit).bind(filter.kind.as_str()).fetch_all(pool).await?;
            if rows.is_empty() {
                return Ok((rows, HashMap::new(), HashMap::new()));
            }
            let counts: Vec<(PersonId, i64)> =
                token_counts_query(workspace_id, &rows, now).build_query_as().fetch_all(pool).await?;
            let invites: Vec<(PersonId, Timestamp)> =
                invite_expiries_query(&rows).build_query_as().fetch_all(pool).await?;
            let counts: HashMap<_, _> = counts.into_iter().collect();
            let invites: HashMap<_, _> = invites.into_iter().collect();
            Ok::<_, super::Error>((rows, counts, invites))
        })?;
        let with_count = |row: people::Row| -> Result<PersonWithTokenCount> {
            let active_tokens = counts.get(&row.id).copied().unwrap_or(0);
            let invite_expires_at = invites.get(&row.id).copied();
            Ok(PersonWithTokenCount { person: row.try_into()?, active_tokens, invite_expires_at })
        };
        let mut people = rows.into_iter().map(with_count).collect::<Result<Vec<_>>>()?;
        if matches!(start, PageStart::Before(_)) {
            people.reverse();
        }
        Ok(people)
    }

    /// Counts the people of a workspace that match the filter.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn count_found_people(&self, workspace_id: WorkspaceId, filter: &PersonSearch) -> Result<i64> {
        const COUNT: &str = "select count(*) from person where workspace_id = $1 and removed_at is null \
             and is_disabled = coalesce($2, is_disabled) and is_admin = coalesce($3, is_admin) and kind = $6 \
             and (lower(name) like $4 escape '\\' or name like $5 escape '\\' or email_key like $4 escape '\\')";
        let search = filter.search.as_deref().unwrap_or_default();
        let (lower_pattern, pattern) = (contains_pattern(&search.to_lowercase()), contains_pattern(search));
        Ok(on_readers!(self, pool => sqlx::query_scalar(COUNT)
            .bind(workspace_id).bind(filter.is_disabled).bind(filter.is_admin)
            .bind(&lower_pattern).bind(&pattern).bind(filter.kind.as_str()).fetch_one(pool).await)?)
    }

    /// Lists the e-mails of up to `limit` enabled administrators of a workspace, in ascending
    /// order.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn list_administrator_emails(&self, workspace_id: WorkspaceId, limit: i64) -> Result<Vec<String>> {
        const SELECT: &str = "select email from person where workspace_id = $1 and is_admin and not is_disabled \
                              and kind = 'person' order by email_key limit $2";
        Ok(on_pool!(self, pool => sqlx::query_scalar(SELECT).bind(workspace_id).bind(limit).fetch_all(pool).await)?)
    }

    /// Counts the unexpired tokens and their owners, for a workspace or for one person of it.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn count_token_holders(
        &self,
        workspace_id: WorkspaceId,
        person_id: Option<PersonId>,
        now: Timestamp,
    ) -> Result<TokenHolderCounts> {
        macro_rules! count {
            ($condition:literal) => {
                concat!(
                    "select count(distinct person_id), count(*) from unrevoked_token where workspace_id = $1 and ",
                    $condition,
                    " and (ends_at is null or ends_at > $3)"
                )
            };
        }
        // Two statements, so that the one for a person uses the index.
        let statement = match person_id {
            Some(_) => count!("person_id = $2"),
            None => count!("cast($2 as bigint) is null"),
        };
        let (people, tokens) = on_readers!(self, pool => sqlx::query_as(statement)
            .bind(workspace_id).bind(person_id).bind(now).fetch_one(pool).await)?;
        Ok(TokenHolderCounts { people, tokens })
    }
}
