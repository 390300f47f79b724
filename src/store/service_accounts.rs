//! Service accounts and their custodians.
//!
//! The identity of a service account, `service:` and its name, is in the columns of the e-mail. Their
//! unique index makes names unique in the whole service.

use super::{
    Result, Store,
    authority::begin,
    events::{EventDraft, record},
    from_row, on_pool, people,
};
use crate::domain::{
    authority::Mutation,
    event::{Action, Details},
    id::{PersonId, WorkspaceId},
    person::Person,
    service_account::{Custodians, ServiceName},
};

/// Service account to be created.
#[derive(Clone, Debug)]
pub struct NewServiceAccount {
    pub name: ServiceName,
    pub custodians: Custodians,
    pub is_admin: bool,
}

/// Result of the creation of a service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceAccountInsert {
    Created(PersonId),
    /// Nothing was created: the workspace was deleted.
    WorkspaceNotFound,
    /// Nothing was created: this is not an enabled person of the workspace.
    InvalidCustodian(PersonId),
    /// Nothing was created: a node of an older version would treat the account as a person.
    OlderNodes,
}

const INSERT_ACCOUNT: &str = "insert into person (workspace_id, kind, email, email_key, name, is_admin, \
     is_platform_admin, is_disabled, token_access, force_password_change, created_at, updated_at) select id, \
     'service', $2, $2, $3, $4, false, false, 'default', false, $5, $5 from workspace where id = $1 \
     and removed_at is null returning id";

/// Adds a custodian, who must be an enabled person of the same workspace.
pub(super) const INSERT_CUSTODIAN: &str = "insert into custodian (service_account_id, person_id, workspace_id) \
     select a.id, p.id, a.workspace_id from person a join person p on p.workspace_id = a.workspace_id \
     where a.workspace_id = $1 and a.id = $2 and a.kind = 'service' and p.id = $3 and p.kind = 'person' \
     and not p.is_disabled and p.removed_at is null";
pub(super) const DELETE_CUSTODIANS: &str = "delete from custodian where workspace_id = $1 and service_account_id = $2";

/// Service accounts whose only enabled custodian is person `$1`.
pub(super) const SELECT_DEPENDENT: &str = "select a.id, a.email from custodian c join person a on \
     a.id = c.service_account_id join person p on p.id = c.person_id where c.person_id = $1 and not p.is_disabled \
     and not exists (select 1 from custodian d join person q on q.id = d.person_id \
     where d.service_account_id = a.id and d.person_id <> $1 and not q.is_disabled) order by a.id";

/// Service account that loses its last enabled custodian.
pub(super) struct DependentAccount {
    id: PersonId,
    email: String,
}

from_row!(DependentAccount { id, email });

impl DependentAccount {
    /// Returns the target of the event.
    pub(super) fn target(&self) -> String {
        self.id.to_string()
    }

    /// Returns the draft of the event. `custodian` was the last enabled custodian.
    pub(super) fn event<'a>(&'a self, target: &'a str, custodian: &str) -> EventDraft<'a> {
        let details = Details::default().with("custodian", custodian);
        EventDraft {
            action: Action::ServiceAccountUnowned,
            person_id: Some(self.id),
            target,
            label: &self.email,
            details,
        }
    }
}

/// Reads the service accounts that become unowned if the person is disabled or removed. To be evaluated
/// before that.
macro_rules! dependent {
    ($tx:expr, $person_id:expr) => {{
        let accounts: Vec<crate::store::service_accounts::DependentAccount> =
            sqlx::query_as(crate::store::service_accounts::SELECT_DEPENDENT)
                .bind($person_id)
                .fetch_all(&mut *$tx)
                .await?;
        accounts
    }};
}
pub(super) use dependent;

/// Appends an event for each service account that became unowned.
macro_rules! record_unowned {
    ($tx:expr, $workspace_id:expr, $context:expr, $accounts:expr, $custodian:expr) => {
        for account in $accounts {
            let target = account.target();
            record!($tx, $workspace_id, $context, account.event(&target, $custodian));
        }
    };
}
pub(super) use record_unowned;

/// Adds custodians. Evaluates to the first one who is not an enabled person of the workspace.
macro_rules! insert_custodians {
    ($tx:expr, $workspace_id:expr, $account_id:expr, $custodians:expr) => {{
        let mut invalid = None;
        for custodian in $custodians.as_slice() {
            let inserted = sqlx::query(crate::store::service_accounts::INSERT_CUSTODIAN)
                .bind($workspace_id)
                .bind($account_id)
                .bind(*custodian)
                .execute(&mut *$tx)
                .await?;
            if inserted.rows_affected() == 0 {
                invalid = Some(*custodian);
                break;
            }
        }
        invalid
    }};
}
pub(super) use insert_custodians;

impl Store {
    /// Returns the statement that counts the nodes that do not know service accounts; `None` on SQLite,
    /// which has one process.
    fn nodes_without_service_accounts_sql(&self) -> Option<&'static str> {
        self.cluster().map(|_| "select count(*) from node where schema_version < 13")
    }

    /// Creates a service account with its custodians.
    ///
    /// # Errors
    /// Returns [`Error::Conflict`](super::Error::Conflict) if the name is taken in any workspace,
    /// [`Error::AuthorizationLost`](super::Error::AuthorizationLost) if the caller was revoked
    /// meanwhile, and [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be
    /// reached.
    pub async fn insert_service_account(
        &self,
        workspace_id: WorkspaceId,
        new: &NewServiceAccount,
        mutation: &Mutation,
    ) -> Result<ServiceAccountInsert> {
        let identity = new.name.identity();
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let older: i64 = match self.nodes_without_service_accounts_sql() {
                Some(statement) => sqlx::query_scalar(statement).fetch_one(&mut *tx).await?,
                None => 0,
            };
            if older > 0 {
                return Ok(ServiceAccountInsert::OlderNodes);
            }
            let inserted: Option<PersonId> = sqlx::query_scalar(INSERT_ACCOUNT)
                .bind(workspace_id).bind(&identity).bind(new.name.as_str()).bind(new.is_admin).bind(context.at)
                .fetch_optional(&mut *tx).await?;
            let Some(id) = inserted else { return Ok(ServiceAccountInsert::WorkspaceNotFound) };
            if let Some(invalid) = insert_custodians!(tx, workspace_id, id, new.custodians) {
                return Ok(ServiceAccountInsert::InvalidCustodian(invalid));
            }
            let target = id.to_string();
            let details = Details::default()
                .with("kind", "service")
                .with("role", people::role_name(new.is_admin))
                .with("custodians", new.custodians.to_text());
            let action = Action::PersonAdded;
            let event = EventDraft { action, person_id: Some(id), target: &target, label: &identity, details };
            record!(tx, workspace_id, context, event);
            tx.commit().await?;
            Ok(ServiceAccountInsert::Created(id))
        })
    }

    /// Finds a service account by its name, in any workspace.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn find_service_account(&self, name: &ServiceName) -> Result<Option<Person>> {
        const SELECT: &str = concat!(
            "select ",
            people::columns!(),
            " from person where email_key = $1 and person.kind = 'service' \
             and workspace_id in (select id from workspace where removed_at is null)"
        );
        let row: Option<people::Row> =
            on_pool!(self, pool => sqlx::query_as(SELECT).bind(name.identity()).fetch_optional(pool).await)?;
        row.map(Person::try_from).transpose()
    }

    /// Lists the first `limit` service accounts of which a person is a custodian, by name.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn list_accounts_of_custodian(
        &self,
        workspace_id: WorkspaceId,
        custodian: PersonId,
        limit: i64,
    ) -> Result<Vec<Person>> {
        const SELECT: &str = concat!(
            "select ",
            people::columns!(),
            " from person where workspace_id = $1 and removed_at is null \
             and id in (select service_account_id from custodian where person_id = $2) order by email_key limit $3"
        );
        let rows: Vec<people::Row> = on_pool!(self, pool => sqlx::query_as(SELECT).bind(workspace_id).bind(custodian).bind(limit)
            .fetch_all(pool).await)?;
        rows.into_iter().map(Person::try_from).collect()
    }

    /// Returns whether a person is a custodian of a service account of the workspace.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn is_custodian(
        &self,
        workspace_id: WorkspaceId,
        account: PersonId,
        custodian: PersonId,
    ) -> Result<bool> {
        const SELECT: &str = "select exists (select 1 from custodian where workspace_id = $1 \
             and service_account_id = $2 and person_id = $3)";
        Ok(on_pool!(self, pool => sqlx::query_scalar(SELECT).bind(workspace_id).bind(account).bind(custodian)
            .fetch_one(pool).await)?)
    }
}
