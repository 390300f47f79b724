//! What the lists of service accounts show of each: custodians, and active tokens.

use sqlx::{Database, Encode, QueryBuilder, Type};

use super::{Result, Store, from_row, on_readers};
use crate::domain::{
    id::{PersonId, WorkspaceId},
    time::Timestamp,
};

/// Custodians and number of unexpired tokens of a service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountDetails {
    pub id: PersonId,
    pub active_tokens: i64,
    /// E-mail addresses of the custodians by ID, of disabled ones too.
    pub custodian_emails: Vec<String>,
}

/// One custodian of an account; no e-mail if there is none.
struct DetailRow {
    id: PersonId,
    active_tokens: i64,
    email: Option<String>,
}

from_row!(DetailRow { id, active_tokens, email });

impl Store {
    /// Returns the details of service accounts of a workspace, by ID, in one statement. IDs of other
    /// accounts are omitted.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn list_account_details(
        &self,
        workspace_id: WorkspaceId,
        ids: &[PersonId],
        now: Timestamp,
    ) -> Result<Vec<AccountDetails>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<DetailRow> = on_readers!(self, pool => {
            details_query(workspace_id, ids, now).build_query_as().fetch_all(pool).await
        })?;
        let mut details: Vec<AccountDetails> = Vec::new();
        for DetailRow { id, active_tokens, email } in rows {
            if let Some(last) = details.last_mut().filter(|last| last.id == id) {
                last.custodian_emails.extend(email);
            } else {
                details.push(AccountDetails { id, active_tokens, custodian_emails: email.into_iter().collect() });
            }
        }
        Ok(details)
    }
}

/// Returns the statement with a row for each account and custodian. The tokens of an account are counted
/// once, whatever the number of custodians.
fn details_query<DB>(workspace_id: WorkspaceId, ids: &[PersonId], now: Timestamp) -> QueryBuilder<DB>
where
    DB: Database<Arguments: Default>,
    WorkspaceId: for<'q> Encode<'q, DB> + Type<DB>,
    PersonId: for<'q> Encode<'q, DB> + Type<DB>,
    Timestamp: for<'q> Encode<'q, DB> + Type<DB>,
{
    let mut statement = QueryBuilder::new(
        "with account as materialized (select a.id, (select count(*) from unrevoked_token t \
         where t.workspace_id = a.workspace_id and t.person_id = a.id and (t.ends_at is null or t.ends_at > ",
    );
    statement.push_bind(now).push(
        ")) as active_tokens from person a where a.kind = 'service' and a.removed_at is null and a.workspace_id = ",
    );
    statement.push_bind(workspace_id).push(" and a.id in (");
    let mut list = statement.separated(", ");
    for id in ids {
        list.push_bind(*id);
    }
    statement.push(
        ")) select account.id, account.active_tokens, p.email from account left join custodian c \
         on c.service_account_id = account.id left join person p on p.id = c.person_id and p.removed_at is null \
         order by account.id, p.id",
    );
    statement
}
