//! Web sessions and the forms that they consumed.

mod drafts;

use std::net::IpAddr;

use uuid::Uuid;

use super::{
    Result, Store,
    authority::{Authorized, begin},
    events::{EventDraft, record},
    from_row, on_pool, people, sign_in_addresses,
};
use crate::domain::{
    authority::{Mutation, VerifiedCredential},
    draft_key::DraftKey,
    event::{Action, AuditContext, Details, RequestContext},
    id::{PersonId, WorkspaceId},
    ip_network::rate_limit_key,
    person::Person,
    session::{Session, SessionDigest, UserAgent},
    time::Timestamp,
};

/// Session to be created.
#[derive(Debug)]
pub struct NewSession {
    pub id: Uuid,
    pub digest: SessionDigest,
    pub workspace_id: WorkspaceId,
    pub person_id: PersonId,
    /// E-mail of the person, for the event.
    pub email: String,
    pub created_at: Timestamp,
    /// When the person authenticated at an identity provider; `None`: with this sign-in.
    pub provider_authenticated_at: Option<Timestamp>,
    pub user_agent: UserAgent,
    /// Encrypts form text that the browser keeps after the session has ended.
    pub draft_key: DraftKey,
    /// Context of the request that signed in. The session keeps its client address.
    pub origin: RequestContext,
    /// Session at the identity provider, if it has an identifier.
    pub provider_session_id: Option<String>,
}

/// Session with its person and the name of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSession {
    pub session: Session,
    pub person: Person,
    pub workspace_name: String,
}

struct SessionRow {
    session_id: Uuid,
    session_created_at: Timestamp,
    authenticated_at: Timestamp,
    last_seen_at: Timestamp,
    user_agent: String,
    address: Option<String>,
    last_address: Option<String>,
    session_provider: Option<String>,
}

from_row!(SessionRow {
    session_id,
    session_created_at,
    authenticated_at,
    last_seen_at,
    user_agent,
    address,
    last_address,
    session_provider
});

struct FoundSessionRow {
    session: SessionRow,
    person: people::Row,
    workspace_name: String,
}

from_row!(FoundSessionRow { workspace_name; session, person });

impl SessionRow {
    fn into_session(self, workspace_id: WorkspaceId, person_id: PersonId) -> Session {
        Session {
            id: self.session_id,
            workspace_id,
            person_id,
            created_at: self.session_created_at,
            authenticated_at: self.authenticated_at,
            last_seen_at: self.last_seen_at,
            user_agent: self.user_agent,
            address: self.address,
            last_address: self.last_address,
            provider: self.session_provider,
        }
    }
}

/// Columns of [`SessionRow`], under names that differ from all columns of a person.
macro_rules! columns {
    () => {
        "id as session_id, created_at as session_created_at, coalesce(provider_authenticated_at, authenticated_at) as \
         authenticated_at, last_seen_at, user_agent, address, \
         last_address, (select provider from external_identity i where i.id = web_session.identity_id) as session_provider"
    };
}

/// Deletes all sessions of a person, on any connection.
pub(super) const DELETE_ALL_SESSIONS: &str = "delete from web_session where workspace_id = $1 and person_id = $2";

/// Creates a session under the conditions of [`Store::insert_session`].
const INSERT_SESSION: &str = "insert into web_session (id, digest, workspace_id, person_id, created_at, \
     authenticated_at, last_seen_at, user_agent, address, last_address, draft_key, identity_id, provider_session_id, \
     provider_authenticated_at) \
     select $1, $2, workspace_id, id, $5, $5, $5, $6, $8, $8, $9, $10, $11, $12 from person \
     where workspace_id = $3 and id = $4 and not is_disabled and (password_hash = $7 or (password_hash is null \
     and exists (select 1 from external_identity i where i.id = $10 and i.person_id = person.id)))";

impl Store {
    /// Creates a session, if `credential` is still the person's password hash or external identity, and
    /// the account is enabled. Returns whether it did. The workspace is locked meanwhile, so a later change of the
    /// password or the account deletes the session as well.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn insert_session(&self, new: &NewSession, credential: &VerifiedCredential) -> Result<bool> {
        const UPDATE: &str = "update person set last_sign_in_at = $2 where id = $1 \
             and (last_sign_in_at is null or last_sign_in_at < $2)";
        let (password_hash, identity_id) = match credential {
            VerifiedCredential::Password(hash) => (Some(hash.0.as_str()), None),
            VerifiedCredential::Identity(id) => (None, Some(*id)),
            // These do not sign in.
            VerifiedCredential::Token(_) | VerifiedCredential::Session(_) => return Ok(false),
        };
        let lock = self.lock_workspace_sql();
        let address = new.origin.client_ip.map(|address| address.to_string());
        let network = new.origin.unshared_client_ip().map(|address| rate_limit_key(address).to_string());
        on_pool!(self, pool => {
            let mut tx = pool.begin().await?;
            sqlx::query(lock).bind(new.workspace_id).execute(&mut *tx).await?;
            let result = sqlx::query(INSERT_SESSION)
                .bind(new.id)
                .bind(new.digest.as_bytes().as_slice())
                .bind(new.workspace_id)
                .bind(new.person_id)
                .bind(new.created_at)
                .bind(new.user_agent.as_str())
                .bind(password_hash)
                .bind(&address)
                .bind(new.draft_key.as_bytes().as_slice())
                .bind(identity_id)
                .bind(&new.provider_session_id)
                .bind(new.provider_authenticated_at)
                .execute(&mut *tx)
                .await?;
            if result.rows_affected() == 0 {
                return Ok(false);
            }
            let NewSession { created_at, person_id, ref email, .. } = *new;
            sqlx::query(UPDATE).bind(person_id).bind(created_at).execute(&mut *tx).await?;
            let context = AuditContext {
                at: created_at,
                actor_id: Some(person_id),
                actor_name: email.clone(),
                token_id: None,
                request: new.origin.clone(),
            };
            let is_new_address = sign_in_addresses::record!(tx, person_id, &network, created_at);
            let target = person_id.to_string();
            let event = EventDraft {
                action: Action::SessionCreated,
                person_id: Some(person_id),
                target: &target,
                label: email,
                details: Details::default().with_some("newAddress", is_new_address.then_some(true)),
            };
            record!(tx, new.workspace_id, Authorized::without_caller(&context), event);
            tx.commit().await?;
            Ok(true)
        })
    }

    /// Finds a session by the digest of its cookie value, expired or not.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached.
    /// That must not be reported as a missing session.
    pub async fn find_session(&self, digest: &SessionDigest) -> Result<Option<FoundSession>> {
        const SELECT: &str = concat!(
            "select ",
            people::columns!(),
            ", session_id, session_created_at, authenticated_at, last_seen_at, user_agent, address, last_address, session_provider, \
             (select name from workspace where id = person.workspace_id) as workspace_name from person join (select person_id, ",
            columns!(),
            " from web_session where digest = $1) found on found.person_id = person.id \
             and person.workspace_id in (select id from workspace where removed_at is null)"
        );
        let row: Option<FoundSessionRow> = on_pool!(self, pool => sqlx::query_as(SELECT)
            .bind(digest.as_bytes().as_slice()).fetch_optional(pool).await)?;
        row.map(|row| {
            let person: Person = row.person.try_into()?;
            let session = row.session.into_session(person.workspace_id, person.id);
            Ok(FoundSession { session, person, workspace_name: row.workspace_name })
        })
        .transpose()
    }

    /// Records the use of a session with its client address, unless a later use is recorded.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn record_session_use(&self, id: Uuid, at: Timestamp, address: Option<IpAddr>) -> Result<()> {
        const UPDATE: &str =
            "update web_session set last_seen_at = $2, last_address = $3 where id = $1 and last_seen_at < $2";
        let address = address.map(|address| address.to_string());
        on_pool!(self, pool => sqlx::query(UPDATE).bind(id).bind(at).bind(&address).execute(pool).await.map(|_| ()))?;
        Ok(())
    }

    /// Replaces the value of a session after re-authentication. Returns false if the session is
    /// gone or has a later re-authentication.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn rotate_session(&self, id: Uuid, digest: &SessionDigest, at: Timestamp) -> Result<bool> {
        const UPDATE: &str = "update web_session set digest = $2, authenticated_at = $3, provider_authenticated_at = null where id = $1 \
             and authenticated_at <= $3";
        let updated = on_pool!(self, pool => sqlx::query(UPDATE).bind(id).bind(digest.as_bytes().as_slice()).bind(at)
            .execute(pool).await.map(|result| result.rows_affected()))?;
        Ok(updated == 1)
    }

    /// Lists up to 100 sessions of a person, most recently used first. Expired ones are included
    /// until they are purged.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn list_sessions(&self, workspace_id: WorkspaceId, person_id: PersonId) -> Result<Vec<Session>> {
        const SELECT: &str = concat!(
            "select ",
            columns!(),
            " from web_session where workspace_id = $1 and person_id = $2 order by last_seen_at desc, id limit 100"
        );
        let rows: Vec<SessionRow> =
            on_pool!(self, pool => sqlx::query_as(SELECT).bind(workspace_id).bind(person_id).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(|row| row.into_session(workspace_id, person_id)).collect())
    }

    /// Deletes a session of a person. Returns false if there is none.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time, and [`Error::AuthorizationLost`](super::Error::AuthorizationLost) if
    /// the caller lost its right meanwhile.
    pub async fn delete_session(
        &self,
        workspace_id: WorkspaceId,
        person_id: PersonId,
        id: Uuid,
        mutation: &Mutation,
    ) -> Result<bool> {
        const DELETE: &str = "delete from web_session where id = $3 and workspace_id = $1 and person_id = $2";
        on_pool!(self, pool => {
            let (mut tx, _, _) = begin!(self, pool, workspace_id, mutation);
            let result = sqlx::query(DELETE).bind(workspace_id).bind(person_id).bind(id).execute(&mut *tx).await?;
            tx.commit().await?;
            Ok(result.rows_affected() == 1)
        })
    }

    /// Deletes all sessions of a person except `except`. Returns their number.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time, and [`Error::AuthorizationLost`](super::Error::AuthorizationLost) if
    /// the caller lost its right meanwhile.
    pub async fn delete_sessions(
        &self,
        workspace_id: WorkspaceId,
        person_id: PersonId,
        except: Option<Uuid>,
        mutation: &Mutation,
    ) -> Result<u64> {
        const DELETE: &str = "delete from web_session where workspace_id = $1 and person_id = $2 and id <> $3";
        // No session has the nil ID.
        let except = except.unwrap_or(Uuid::nil());
        on_pool!(self, pool => {
            let (mut tx, _, _) = begin!(self, pool, workspace_id, mutation);
            let result = sqlx::query(DELETE).bind(workspace_id).bind(person_id).bind(except).execute(&mut *tx).await?;
            tx.commit().await?;
            Ok(result.rows_affected())
        })
    }

    /// Deletes the sessions that were created by one time or last used by another. Returns their
    /// number.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn purge_sessions(&self, created_by: Timestamp, last_used_by: Timestamp) -> Result<u64> {
        const DELETE: &str = "delete from web_session where created_at <= $1 or last_seen_at <= $2";
        Ok(on_pool!(self, pool => sqlx::query(DELETE).bind(created_by).bind(last_used_by)
            .execute(pool).await.map(|result| result.rows_affected()))?)
    }
}

/// Marks a form of a session as consumed, on any connection. Affects no row if the form was
/// consumed before.
pub(super) const CONSUME_FORM: &str = "insert into consumed_form (session_id, id) select id, $2 from web_session \
     where id = $1 on conflict do nothing";
