//! External identities: finding, and creating with a person. `links` links existing people, and `provider_change`
//! applies the changes of a sync.

mod links;
mod provider_change;

use sqlx::{Database, Encode, QueryBuilder, Type};
use uuid::Uuid;

use super::{
    Error, Result, Store,
    authority::{Authorized, begin},
    events::{EventDraft, record},
    from_row, on_pool, on_readers,
    people::{self, NewPerson},
};
use crate::domain::{
    authority::Mutation,
    event::{Action, AuditContext, Details},
    external_identity::ExternalIdentity,
    id::{PersonId, WorkspaceId},
    person::{Person, TokenAccess},
    time::Timestamp,
};
pub use provider_change::{ProviderChange, ProviderChangeOutcome};

/// External identity to be created.
#[derive(Clone, Debug)]
pub struct NewExternalIdentity {
    pub id: Uuid,
    pub provider: String,
    pub issuer: String,
    pub subject: String,
    pub label: String,
}

/// Person to be created at the first sign-in through a provider.
pub struct NewExternalPerson {
    pub person: NewPerson,
    pub token_access: TokenAccess,
    pub identity: NewExternalIdentity,
}

/// External identity with its person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundIdentity {
    pub identity: ExternalIdentity,
    pub person: Person,
}

/// Result of linking an existing person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkOutcome {
    Linked,
    /// The workspace has no such person.
    PersonNotFound,
    /// The identity belongs to another person, or the person has one already.
    AlreadyLinked,
    /// No administrator of the workspace could sign in without the provider.
    LastLocalAdministrator,
}

pub(super) struct Row {
    identity_id: Uuid,
    identity_provider: String,
    issuer: String,
    subject: String,
    label: String,
    linked_at: Timestamp,
    identity_sign_in_at: Option<Timestamp>,
    seen_at: Option<Timestamp>,
}

from_row!(Row { identity_id, identity_provider, issuer, subject, label, linked_at, identity_sign_in_at, seen_at });

struct FoundRow {
    identity: Row,
    person: people::Row,
}

from_row!(FoundRow { ; identity, person });

impl Row {
    fn into_identity(self, workspace_id: WorkspaceId, person_id: PersonId) -> ExternalIdentity {
        ExternalIdentity {
            id: self.identity_id,
            workspace_id,
            person_id,
            provider: self.identity_provider,
            issuer: self.issuer,
            subject: self.subject,
            label: self.label,
            linked_at: self.linked_at,
            last_sign_in_at: self.identity_sign_in_at,
            seen_at: self.seen_at,
        }
    }
}

impl TryFrom<FoundRow> for FoundIdentity {
    type Error = Error;

    fn try_from(row: FoundRow) -> Result<Self> {
        let person = Person::try_from(row.person)?;
        Ok(Self { identity: row.identity.into_identity(person.workspace_id, person.id), person })
    }
}

/// Columns of [`FoundRow`] and the tables that they come from. The identity is in a subquery, because
/// the columns of a person are not qualified.
macro_rules! found {
    ($where:literal) => {
        concat!(
            "select identity_id, identity_provider, issuer, subject, label, linked_at, identity_sign_in_at, seen_at, ",
            people::columns!(),
            " from person join (select id as identity_id, provider as identity_provider, issuer, subject, label, \
             linked_at, last_sign_in_at as identity_sign_in_at, seen_at, person_id from external_identity where ",
            $where,
            ") found on found.person_id = person.id where removed_at is null \
             and workspace_id in (select id from workspace where removed_at is null) order by person.id"
        )
    };
}

/// Inserts an external identity. Evaluates to the result of the statement.
macro_rules! insert {
    ($tx:ident, $workspace_id:expr, $person_id:expr, $new:expr, $at:expr) => {
        sqlx::query(
            "insert into external_identity (id, workspace_id, person_id, provider, issuer, subject, label, linked_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind($new.id)
        .bind($workspace_id)
        .bind($person_id)
        .bind(&$new.provider)
        .bind(&$new.issuer)
        .bind(&$new.subject)
        .bind(&$new.label)
        .bind($at)
        .execute(&mut *$tx)
        .await
    };
}
pub(super) use insert;

impl Store {
    /// Finds an external identity and its person.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn find_identity(&self, provider: &str, issuer: &str, subject: &str) -> Result<Option<FoundIdentity>> {
        const SELECT: &str = found!("provider = $1 and issuer = $2 and subject = $3");
        let row: Option<FoundRow> = on_pool!(self, pool => sqlx::query_as(SELECT).bind(provider).bind(issuer)
            .bind(subject).fetch_optional(pool).await)?;
        row.map(FoundIdentity::try_from).transpose()
    }

    /// Lists the external identities of a person, the oldest first.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn list_identities_of(&self, person_id: PersonId) -> Result<Vec<ExternalIdentity>> {
        const SELECT: &str = found!("person_id = $1");
        let rows: Vec<FoundRow> = on_pool!(self, pool => sqlx::query_as(SELECT).bind(person_id).fetch_all(pool).await)?;
        let mut identities: Vec<ExternalIdentity> =
            rows.into_iter().map(|row| Ok(FoundIdentity::try_from(row)?.identity)).collect::<Result<_>>()?;
        identities.sort_by_key(|identity| (identity.linked_at, identity.id));
        Ok(identities)
    }

    /// Lists all external identities of a provider with their people.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn list_identities(&self, provider: &str) -> Result<Vec<FoundIdentity>> {
        const SELECT: &str = found!("provider = $1");
        let rows: Vec<FoundRow> =
            on_readers!(self, pool => sqlx::query_as(SELECT).bind(provider).fetch_all(pool).await)?;
        rows.into_iter().map(FoundIdentity::try_from).collect()
    }

    /// Counts the external identities of each provider.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn count_identities(&self) -> Result<Vec<(String, i64)>> {
        const COUNT: &str = "select provider, count(*) from external_identity group by provider order by provider";
        Ok(on_pool!(self, pool => sqlx::query_as(COUNT).fetch_all(pool).await)?)
    }

    /// Creates a person together with the external identity that signed in. Returns `None` if the
    /// workspace was deleted.
    ///
    /// # Errors
    /// Returns [`Error::Conflict`] if the e-mail address or the identity is taken, and
    /// [`Error::Unavailable`] if the database cannot be reached.
    pub async fn insert_external_person(
        &self,
        workspace_id: WorkspaceId,
        new: &NewExternalPerson,
        mutation: &Mutation,
    ) -> Result<Option<Person>> {
        const UPDATE: &str = "update person set token_access = $2, admin_by_directory = is_admin where id = $1";
        let inserted: Result<Option<PersonId>> = on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let Some(row) = people::insert!(&mut *tx, workspace_id, new.person, context.at)? else { return Ok(None) };
            sqlx::query(UPDATE).bind(row.id).bind(new.token_access.as_str()).execute(&mut *tx).await?;
            insert!(tx, workspace_id, row.id, new.identity, context.at)?;
            let target = row.id.to_string();
            let details = new.person.role_details().with("provider", new.identity.provider.as_str());
            record!(tx, workspace_id, context, row.event(Action::PersonAdded, &target, details));
            tx.commit().await?;
            Ok(Some(row.id))
        });
        match inserted? {
            Some(id) => self.find_person(workspace_id, id).await,
            None => Ok(None),
        }
    }

    /// Records a sign-in through an external identity, unless one at or after `not_before` is already
    /// recorded. With `with_event` it also appends an event.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn record_identity_sign_in(
        &self,
        found: &FoundIdentity,
        label: &str,
        context: &AuditContext,
        not_before: Timestamp,
        with_event: bool,
    ) -> Result<()> {
        const UPDATE: &str = "update external_identity set last_sign_in_at = $2, seen_at = $2, label = $4 where id = $1 \
                              and (last_sign_in_at is null or last_sign_in_at < $3)";
        const UPDATE_PERSON: &str = "update person set last_login_at = $2 where id = $1";
        let FoundIdentity { identity, person } = found;
        on_pool!(self, pool => {
            let mut tx = pool.begin().await?;
            let result = sqlx::query(UPDATE).bind(identity.id).bind(context.at).bind(not_before).bind(label)
                .execute(&mut *tx).await?;
            if result.rows_affected() == 0 {
                return Ok(());
            }
            sqlx::query(UPDATE_PERSON).bind(person.id).bind(context.at).execute(&mut *tx).await?;
            if with_event {
                let target = person.id.to_string();
                record!(tx, person.workspace_id, Authorized::without_caller(context), EventDraft {
                    action: Action::LoginSucceeded,
                    person_id: Some(person.id),
                    target: &target,
                    label: &person.email,
                    details: Details::default().with("provider", identity.provider.as_str()),
                });
            }
            tx.commit().await?;
            Ok(())
        })
    }
}

/// Maximum number of identities in one statement.
const SEEN_BATCH_SIZE: usize = 500;

/// Returns the statement that records when a sync last found the entries of these identities.
fn seen_query<DB>(ids: &[Uuid], at: Timestamp) -> QueryBuilder<DB>
where
    DB: Database<Arguments: Default>,
    Uuid: for<'q> Encode<'q, DB> + Type<DB>,
    Timestamp: for<'q> Encode<'q, DB> + Type<DB>,
{
    let mut statement = QueryBuilder::new("update external_identity set seen_at = ");
    statement.push_bind(at).push(" where id in (");
    let mut list = statement.separated(", ");
    for id in ids {
        list.push_bind(*id);
    }
    statement.push(")");
    statement
}

impl Store {
    /// Records that a sync found the entries of these identities.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn record_identities_seen(&self, ids: &[Uuid], at: Timestamp) -> Result<()> {
        for ids in ids.chunks(SEEN_BATCH_SIZE) {
            on_pool!(self, pool => seen_query(ids, at).build().execute(pool).await.map(|_| ()))?;
        }
        Ok(())
    }
}

impl NewExternalIdentity {
    fn details(&self) -> Details {
        Details::default().with("provider", self.provider.as_str()).with("principal", self.label.as_str())
    }
}
