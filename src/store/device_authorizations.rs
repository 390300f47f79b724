//! Device authorizations: begun by a program, decided by a person, redeemed with the token that
//! [`Store::issue_token`] creates.

use tokenward_guard::Scopes;
use uuid::Uuid;

use super::{
    Error, Result, Store,
    authority::begin,
    events::{EventDraft, record},
    from_row, on_pool,
};
use crate::domain::{
    authority::Mutation,
    device_authorization::{DeviceAuthorization, DeviceState, PollState, Reviewer},
    event::{Action, Details},
    id::{PersonId, WorkspaceId},
    sign_in_flow::TextDigest,
    time::Timestamp,
    token::Lifetime,
};

/// Device authorization to be created.
#[derive(Clone, Debug)]
pub struct NewDeviceAuthorization {
    pub id: Uuid,
    pub device_digest: TextDigest,
    pub user_code_digest: TextDigest,
    pub description: String,
    pub lifetime: Option<Lifetime>,
    pub scopes: Scopes,
    pub address: Option<String>,
    pub user_agent: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// Result of an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceInsertion {
    Inserted,
    /// Another authorization has the user code.
    UserCodeTaken,
    /// As many authorizations as allowed have not expired.
    TooMany,
}

struct Row {
    id: Uuid,
    state: String,
    description: String,
    lifetime_seconds: Option<i64>,
    scopes: Option<String>,
    address: Option<String>,
    user_agent: String,
    created_at: Timestamp,
    expires_at: Timestamp,
    poll_interval_seconds: i64,
    last_poll_at: Option<Timestamp>,
    workspace_id: Option<WorkspaceId>,
    person_id: Option<PersonId>,
    session_id: Option<Uuid>,
}

from_row!(Row {
    id,
    state,
    description,
    lifetime_seconds,
    scopes,
    address,
    user_agent,
    created_at,
    expires_at,
    poll_interval_seconds,
    last_poll_at,
    workspace_id,
    person_id,
    session_id
});

impl TryFrom<Row> for DeviceAuthorization {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let state = DeviceState::parse(&row.state).ok_or(Error::corrupt("device_authorization.state"))?;
        let lifetime = row.lifetime_seconds.map(Lifetime::from_seconds).transpose();
        let reviewer = match (row.workspace_id, row.person_id, row.session_id) {
            (Some(workspace_id), Some(person_id), Some(session_id)) => {
                Some(Reviewer { workspace_id, person_id, session_id })
            }
            _ => None,
        };
        Ok(Self {
            id: row.id,
            state,
            description: row.description,
            lifetime: lifetime.map_err(|_| Error::corrupt("device_authorization.lifetime_seconds"))?,
            scopes: row.scopes.as_deref().map_or(Scopes::unrestricted(), Scopes::parse),
            address: row.address,
            user_agent: row.user_agent,
            created_at: row.created_at,
            expires_at: row.expires_at,
            reviewer,
            poll: PollState { interval_seconds: row.poll_interval_seconds, last_at: row.last_poll_at },
        })
    }
}

macro_rules! columns {
    () => {
        "id, state, description, lifetime_seconds, scopes, address, user_agent, created_at, expires_at, \
         poll_interval_seconds, last_poll_at, workspace_id, person_id, session_id"
    };
}

/// Marks an authorization as redeemed, in the transaction that creates the token. Affects no row if it is
/// not approved in this session, or has expired.
pub(super) const REDEEM: &str = "update device_authorization set state = 'redeemed' where id = $1 \
     and state = 'approved' and session_id = $2 and expires_at > $3";

impl Store {
    /// Creates a device authorization, unless `max` of them have not expired. Insertions at the same time
    /// may exceed it by their number.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn insert_device_authorization(&self, new: &NewDeviceAuthorization, max: i64) -> Result<DeviceInsertion> {
        const COUNT: &str = "select count(*) from device_authorization where expires_at > $1";
        const INSERT: &str = "insert into device_authorization (id, device_digest, user_code_digest, state, description, \
             lifetime_seconds, scopes, address, user_agent, created_at, expires_at, poll_interval_seconds) \
             values ($1, $2, $3, 'pending', $4, $5, $6, $7, $8, $9, $10, $11) on conflict (user_code_digest) do nothing";
        let count: i64 = on_pool!(self, pool => sqlx::query_scalar(COUNT).bind(new.created_at).fetch_one(pool).await)?;
        if count >= max {
            return Ok(DeviceInsertion::TooMany);
        }
        let inserted = on_pool!(self, pool => sqlx::query(INSERT)
            .bind(new.id)
            .bind(new.device_digest.as_bytes().as_slice())
            .bind(new.user_code_digest.as_bytes().as_slice())
            .bind(&new.description)
            .bind(new.lifetime.map(Lifetime::as_seconds))
            .bind(new.scopes.as_str())
            .bind(&new.address)
            .bind(&new.user_agent)
            .bind(new.created_at)
            .bind(new.expires_at)
            .bind(PollState::NONE.interval_seconds)
            .execute(pool)
            .await
            .map(|result| result.rows_affected()))?;
        Ok(if inserted == 1 { DeviceInsertion::Inserted } else { DeviceInsertion::UserCodeTaken })
    }

    /// Assigns the authorization with a user code to the session that entered it. Of several people, the
    /// first gets it. Returns its ID, or `None` if there is none to decide.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time, and
    /// [`Error::AuthorizationLost`] if the session has ended.
    pub async fn claim_device_authorization(
        &self,
        user_code: &TextDigest,
        reviewer: Reviewer,
        mutation: &Mutation,
    ) -> Result<Option<Uuid>> {
        const UPDATE: &str = "update device_authorization set workspace_id = $2, person_id = $3, session_id = $4 \
             where user_code_digest = $1 and state = 'pending' and expires_at > $5 \
             and (person_id is null or person_id = $3) returning id";
        let Reviewer { workspace_id, person_id, session_id } = reviewer;
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let id = sqlx::query_scalar(UPDATE)
                .bind(user_code.as_bytes().as_slice())
                .bind(workspace_id)
                .bind(person_id)
                .bind(session_id)
                .bind(context.at)
                .fetch_optional(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(id)
        })
    }

    /// Finds an authorization that a session has been assigned, decided or not.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn find_device_authorization(&self, id: Uuid, reviewer: Reviewer) -> Result<Option<DeviceAuthorization>> {
        const SELECT: &str = concat!(
            "select ",
            columns!(),
            " from device_authorization where id = $1 and workspace_id = $2 and person_id = $3 and session_id = $4"
        );
        let Reviewer { workspace_id, person_id, session_id } = reviewer;
        let row: Option<Row> = on_pool!(self, pool => sqlx::query_as(SELECT)
            .bind(id).bind(workspace_id).bind(person_id).bind(session_id).fetch_optional(pool).await)?;
        row.map(DeviceAuthorization::try_from).transpose()
    }

    /// Approves an authorization with the lifetime that the person has seen, or denies it without one.
    /// Returns false if there is none to decide in the session.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time, and
    /// [`Error::AuthorizationLost`] if the session has ended.
    pub async fn decide_device_authorization(
        &self,
        authorization: &DeviceAuthorization,
        approved: Option<Lifetime>,
        reviewer: Reviewer,
        mutation: &Mutation,
    ) -> Result<bool> {
        const UPDATE: &str = "update device_authorization set state = $5, lifetime_seconds = coalesce($6, lifetime_seconds) \
             where id = $1 and workspace_id = $2 and person_id = $3 and session_id = $4 and state = 'pending' \
             and expires_at > $7";
        let Reviewer { workspace_id, person_id, session_id } = reviewer;
        let (state, action) = match approved {
            Some(_) => (DeviceState::Approved, Action::DeviceAuthorizationApproved),
            None => (DeviceState::Denied, Action::DeviceAuthorizationDenied),
        };
        let target = authorization.id.to_string();
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let decided = sqlx::query(UPDATE)
                .bind(authorization.id)
                .bind(workspace_id)
                .bind(person_id)
                .bind(session_id)
                .bind(state.as_str())
                .bind(approved.map(Lifetime::as_seconds))
                .bind(context.at)
                .execute(&mut *tx)
                .await?;
            if decided.rows_affected() == 0 {
                return Ok(false);
            }
            let event = EventDraft {
                action,
                person_id: Some(person_id),
                target: &target,
                label: &context.actor_name,
                details: details(authorization),
            };
            record!(tx, workspace_id, context, event);
            tx.commit().await?;
            Ok(true)
        })
    }

    /// Finds the authorization of a device code.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn find_polled_device_authorization(&self, device: &TextDigest) -> Result<Option<DeviceAuthorization>> {
        const SELECT: &str = concat!("select ", columns!(), " from device_authorization where device_digest = $1");
        let row: Option<Row> = on_pool!(self, pool => sqlx::query_as(SELECT)
            .bind(device.as_bytes().as_slice()).fetch_optional(pool).await)?;
        row.map(DeviceAuthorization::try_from).transpose()
    }

    /// Records a poll of an authorization that is not decided.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn record_device_poll(&self, id: Uuid, poll: PollState) -> Result<()> {
        const UPDATE: &str = "update device_authorization set poll_interval_seconds = $2, last_poll_at = $3 \
             where id = $1 and poll_interval_seconds <= $2";
        on_pool!(self, pool => sqlx::query(UPDATE).bind(id).bind(poll.interval_seconds).bind(poll.last_at)
            .execute(pool).await.map(|_| ()))?;
        Ok(())
    }

    /// Denies an approved authorization whose token the rules do not allow.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn reject_device_authorization(&self, id: Uuid) -> Result<()> {
        const UPDATE: &str = "update device_authorization set state = 'denied' where id = $1 and state = 'approved'";
        on_pool!(self, pool => sqlx::query(UPDATE).bind(id).execute(pool).await.map(|_| ()))?;
        Ok(())
    }

    /// Deletes authorizations that expired at or before a time. Returns their number.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn purge_device_authorizations(&self, expired_by: Timestamp) -> Result<u64> {
        const DELETE: &str = "delete from device_authorization where expires_at <= $1";
        Ok(on_pool!(self, pool => sqlx::query(DELETE).bind(expired_by).execute(pool).await
            .map(|result| result.rows_affected()))?)
    }
}

/// Returns the details of the event: the program as the person saw it.
fn details(authorization: &DeviceAuthorization) -> Details {
    let DeviceAuthorization { description, address, user_agent, scopes, .. } = authorization;
    let not_empty = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Details::default()
        .with_some("description", not_empty(description))
        .with_some("scopes", scopes.as_str())
        .with_some("requestedFrom", address.clone())
        .with_some("requestedBy", not_empty(user_agent))
}
