//! Web sessions.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Result, Store,
    authority::{Authorized, begin},
    events::{Done, record},
    on_pool, people,
};
use crate::domain::{
    authority::Mutation,
    event::{Act, Action, Details, Origin},
    person::Person,
    session::{Session, SessionDigest, UserAgent},
    time::Timestamp,
};

/// A session to be begun.
#[derive(Clone, Debug)]
pub struct NewSession {
    pub id: Uuid,
    pub digest: SessionDigest,
    pub workspace_id: i64,
    pub person_id: i64,
    /// The person's e-mail, for those who read of it.
    pub email: String,
    pub at: Timestamp,
    pub user_agent: UserAgent,
    pub origin: Origin,
}

/// A session, whose it is, and what the person's workspace is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSession {
    pub session: Session,
    pub person: Person,
    pub workspace_name: String,
}

#[derive(FromRow)]
struct SessionRow {
    session_id: Uuid,
    begun_at: Timestamp,
    proven_at: Timestamp,
    seen_at: Timestamp,
    user_agent: String,
}

#[derive(FromRow)]
struct FoundRow {
    #[sqlx(flatten)]
    session: SessionRow,
    #[sqlx(flatten)]
    person: people::Row,
    workspace_name: String,
}

impl SessionRow {
    fn of(self, workspace_id: i64, person_id: i64) -> Session {
        Session {
            id: self.session_id,
            workspace_id,
            person_id,
            begun_at: self.begun_at,
            proven_at: self.proven_at,
            seen_at: self.seen_at,
            user_agent: self.user_agent,
        }
    }
}

/// The columns of [`SessionRow`], under names that no column of a person has.
macro_rules! columns {
    () => {
        "id as session_id, begun_at, proven_at, seen_at, user_agent"
    };
}

/// Ends all sessions of a person, on any connection.
pub(super) const END_ALL: &str = "delete from web_session where workspace_id = $1 and person_id = $2";

impl Store {
    /// Begins a session, if the person's password is still the one of `password_hash` and the account is not disabled; answers
    /// whether it did. Neither can change until the session is there to be ended with the rest.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable).
    pub async fn begin_session(&self, new: &NewSession, password_hash: &str) -> Result<bool> {
        const INSERT: &str = "insert into web_session (id, digest, workspace_id, person_id, begun_at, proven_at, seen_at, user_agent) \
             select $1, $2, workspace_id, id, $5, $5, $5, $6 from person \
             where workspace_id = $3 and id = $4 and password_hash = $7 and not is_disabled";
        let hold = self.hold_statement();
        on_pool!(self, pool => {
            let mut tx = pool.begin().await?;
            sqlx::query(hold).bind(new.workspace_id).execute(&mut *tx).await?;
            let done = sqlx::query(INSERT)
                .bind(new.id)
                .bind(new.digest.as_bytes().as_slice())
                .bind(new.workspace_id)
                .bind(new.person_id)
                .bind(new.at)
                .bind(new.user_agent.as_str())
                .bind(password_hash)
                .execute(&mut *tx)
                .await?;
            if done.rows_affected() == 0 {
                return Ok(false);
            }
            let NewSession { at, person_id, ref email, .. } = *new;
            let act = Act { at, person_id: Some(person_id), name: email.clone(), token_id: None, origin: new.origin.clone() };
            let (person_id, target, details) = (Some(person_id), person_id.to_string(), Details::default());
            let act = Authorized::without_caller(&act);
            record!(tx, new.workspace_id, act, Done { action: Action::SignedIn, person_id, target: &target, label: email, details });
            tx.commit().await?;
            Ok(true)
        })
    }

    /// Finds a session by what its cookie's value is reduced to, whether it is over or not.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable), which is not "no such session".
    pub async fn find_session(&self, digest: &SessionDigest) -> Result<Option<FoundSession>> {
        const SELECT: &str = concat!(
            "select ",
            people::columns!(),
            ", session_id, begun_at, proven_at, seen_at, user_agent, \
             (select name from workspace where id = person.workspace_id) as workspace_name from person join (select person_id, ",
            columns!(),
            " from web_session where digest = $1) found on found.person_id = person.id \
             and person.workspace_id in (select id from workspace where removed_at is null)"
        );
        let row: Option<FoundRow> = on_pool!(self, pool => sqlx::query_as(SELECT)
            .bind(digest.as_bytes().as_slice()).fetch_optional(pool).await)?;
        row.map(|row| {
            let person: Person = row.person.try_into()?;
            let session = row.session.of(person.workspace_id, person.id);
            Ok(FoundSession { session, person, workspace_name: row.workspace_name })
        })
        .transpose()
    }

    /// Notes that a session was used; never earlier than what is noted.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable).
    pub async fn note_session(&self, id: Uuid, at: Timestamp) -> Result<()> {
        const UPDATE: &str = "update web_session set seen_at = $2 where id = $1 and seen_at < $2";
        on_pool!(self, pool => sqlx::query(UPDATE).bind(id).bind(at).execute(pool).await.map(|_| ()))?;
        Ok(())
    }

    /// Gives a session another value, because the password was typed again; answers whether it was still there.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable).
    pub async fn renew_session(&self, id: Uuid, digest: &SessionDigest, at: Timestamp) -> Result<bool> {
        const UPDATE: &str = "update web_session set digest = $2, proven_at = $3 where id = $1 and proven_at <= $3";
        let done = on_pool!(self, pool => sqlx::query(UPDATE).bind(id).bind(digest.as_bytes().as_slice()).bind(at)
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(done == 1)
    }

    /// The sessions of a person, the latest used first, those that are over included until they are removed.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable).
    pub async fn list_sessions(&self, workspace_id: i64, person_id: i64) -> Result<Vec<Session>> {
        const SELECT: &str = concat!(
            "select ",
            columns!(),
            " from web_session where workspace_id = $1 and person_id = $2 order by seen_at desc, id limit 100"
        );
        let rows: Vec<SessionRow> =
            on_pool!(self, pool => sqlx::query_as(SELECT).bind(workspace_id).bind(person_id).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(|row| row.of(workspace_id, person_id)).collect())
    }

    /// Ends one session of a person; answers whether there was one.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable).
    pub async fn end_session(&self, workspace_id: i64, person_id: i64, id: Uuid, mutation: &Mutation) -> Result<bool> {
        const DELETE: &str = "delete from web_session where id = $3 and workspace_id = $1 and person_id = $2";
        on_pool!(self, pool => {
            let (mut tx, _, _) = begin!(self, pool, workspace_id, mutation);
            let done = sqlx::query(DELETE).bind(workspace_id).bind(person_id).bind(id).execute(&mut *tx).await?;
            tx.commit().await?;
            Ok(done.rows_affected() == 1)
        })
    }

    /// Ends the sessions of a person, but for one if it is named; answers how many.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable).
    pub async fn end_sessions(
        &self,
        workspace_id: i64,
        person_id: i64,
        spared: Option<Uuid>,
        mutation: &Mutation,
    ) -> Result<u64> {
        const DELETE: &str = "delete from web_session where workspace_id = $1 and person_id = $2 and id <> $3";
        // No session has the nil id.
        let spared = spared.unwrap_or(Uuid::nil());
        on_pool!(self, pool => {
            let (mut tx, _, _) = begin!(self, pool, workspace_id, mutation);
            let done = sqlx::query(DELETE).bind(workspace_id).bind(person_id).bind(spared).execute(&mut *tx).await?;
            tx.commit().await?;
            Ok(done.rows_affected())
        })
    }

    /// Removes sessions that began by one moment or were not used since another; answers how many.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable).
    pub async fn delete_sessions_over(&self, begun_by: Timestamp, seen_by: Timestamp) -> Result<u64> {
        const DELETE: &str = "delete from web_session where begun_at <= $1 or seen_at <= $2";
        Ok(on_pool!(self, pool => sqlx::query(DELETE).bind(begun_by).bind(seen_by)
            .execute(pool).await.map(|done| done.rows_affected()))?)
    }
}

/// Takes a form of a session out of use, on any connection; answers whether it was still in use.
pub(super) const SPEND: &str = "insert into spent_form (session_id, id) select id, $2 from web_session where id = $1 \
                                on conflict do nothing";
