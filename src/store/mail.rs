//! The outbox of e-mail. A trigger of the database fills it in the transaction of each event, so no
//! message is lost, and a node that claims a row sends it.

use std::net::IpAddr;

use super::{
    Pool, Result, Store,
    authority::Authorized,
    events::{EventDraft, record},
    from_row,
    new_password_link::{self, NewPasswordLink},
    on_pool, people,
};
use crate::domain::{
    event::{Action, AuditContext, Details, Event},
    id::{PersonId, WorkspaceId},
    mail::{MAX_RESETS_PER_EMAIL, MailKind, MailOutcome},
    person::{EmailDigest, EmailKey, Person},
    time::Timestamp,
};

/// First key of the advisory locks of requests for reset links. The second one comes from the address.
const RESET_REQUEST_LOCK: i32 = i32::from_be_bytes(*b"mail");

/// Message that this node has claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedMail {
    pub id: i64,
    pub kind: MailKind,
    /// Workspace and person; `None`: a request for a reset link, whose account is not looked up yet.
    pub person: Option<(WorkspaceId, PersonId)>,
    /// The address at the time of the event, or the key of the requested one.
    pub recipient: String,
    /// The event; `None`: a request, or the event was purged.
    pub event: Option<Event>,
    /// Client address of the request.
    pub address: Option<IpAddr>,
    pub created_at: Timestamp,
}

/// Result of the look-up for a requested reset link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResetRecipient {
    /// The link was created. An older one is void.
    Created(Box<Person>),
    /// Nothing was created: the person signs in through an identity provider.
    Linked(Box<Person>),
    /// Nothing was created: there is no enabled account with a password.
    None,
}

struct ClaimedRow {
    id: i64,
    kind: String,
    workspace_id: Option<WorkspaceId>,
    person_id: Option<PersonId>,
    event_seq: Option<i64>,
    recipient: Option<String>,
    address: Option<String>,
    created_at: Timestamp,
}

from_row!(ClaimedRow { id, kind, workspace_id, person_id, event_seq, recipient, address, created_at });

macro_rules! claim {
    ($verb:literal, $lock:literal) => {
        concat!(
            $verb,
            "set claimed_until = $2, attempts = attempts + 1 where id in (select id from mail_message \
             where next_attempt_at <= $1 and (claimed_until is null or claimed_until <= $1) \
             order by next_attempt_at, id limit $3",
            $lock,
            ") returning id, kind, workspace_id, person_id, event_seq, recipient, address, created_at"
        )
    };
}

/// Columns of a person who may receive e-mail, under a condition on the row. Every look-up of a
/// recipient is made with it.
macro_rules! select_recipient {
    ($condition:literal) => {
        concat!(
            "select ",
            people::columns!(),
            " from person where ",
            $condition,
            " and kind = 'person' and not is_disabled and removed_at is null \
             and workspace_id in (select id from workspace where removed_at is null)"
        )
    };
}

impl Store {
    /// Records that a node sends e-mail now, so that messages are queued.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached or does not respond in time.
    pub async fn record_mail_sender(&self, now: Timestamp) -> Result<()> {
        const UPSERT: &str = "insert into mail_sender (id, seen_at) values (1, $1) \
             on conflict (id) do update set seen_at = excluded.seen_at where mail_sender.seen_at < excluded.seen_at";
        on_pool!(self, pool => sqlx::query(UPSERT).bind(now).execute(pool).await.map(|_| ()))?;
        Ok(())
    }

    /// Queues a request for a reset link, unless too many were queued for the address since
    /// `counted_since`. The statements are the same whether or not an account has the address. Returns
    /// whether it was queued.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached or does not respond in time.
    pub async fn queue_reset_request(
        &self,
        email: &EmailKey,
        address: Option<IpAddr>,
        now: Timestamp,
        counted_since: Timestamp,
    ) -> Result<bool> {
        // Without it, simultaneous requests would not count each other. SQLite has one writer.
        const LOCK: &str = "select pg_advisory_xact_lock($1, $2)";
        const INSERT: &str = "insert into mail_message (kind, recipient, email_digest, address, created_at, next_attempt_at) \
             select 'password_reset', $1, $2, $3, $4, $4 where (select count(*) from mail_message \
             where email_digest = $2 and created_at > $5) < $6";
        let digest: EmailDigest = email.digest();
        let address = address.map(|address| address.to_string());
        let needs_lock = matches!(self.pool, Pool::Postgres(_));
        let inserted = on_pool!(self, pool => {
            let mut tx = pool.begin().await?;
            if needs_lock {
                let [a, b, c, d, ..] = *digest.as_bytes();
                let key = i32::from_be_bytes([a, b, c, d]);
                sqlx::query(LOCK).bind(RESET_REQUEST_LOCK).bind(key).execute(&mut *tx).await?;
            }
            let inserted = sqlx::query(INSERT)
                .bind(email.as_str())
                .bind(digest.as_bytes().as_slice())
                .bind(&address)
                .bind(now)
                .bind(counted_since)
                .bind(MAX_RESETS_PER_EMAIL)
                .execute(&mut *tx)
                .await?
                .rows_affected();
            tx.commit().await.map(|()| inserted)
        })?;
        Ok(inserted == 1)
    }

    /// Claims messages until `until`, those that are due first first. No other node sends them in the
    /// meantime.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached or does not respond in time.
    pub async fn claim_mail(&self, now: Timestamp, until: Timestamp, limit: i64) -> Result<Vec<ClaimedMail>> {
        let statement = match self.pool {
            Pool::Postgres(_) => claim!("update mail_message ", " for update skip locked"),
            Pool::Sqlite(_) => claim!("update mail_message ", ""),
        };
        let mut rows: Vec<ClaimedRow> = on_pool!(self, pool => sqlx::query_as(statement)
            .bind(now).bind(until).bind(limit).fetch_all(pool).await)?;
        rows.sort_unstable_by_key(|row| row.id);
        let mut claimed = Vec::with_capacity(rows.len());
        for row in rows {
            let event = match (row.workspace_id, row.event_seq) {
                (Some(workspace_id), Some(seq)) => self.find_event(workspace_id, seq).await?,
                _ => None,
            };
            // A node of a newer version sends a kind that this program does not know, once the claim ends.
            let (Some(kind), Some(recipient)) = (MailKind::parse(&row.kind), row.recipient) else { continue };
            claimed.push(ClaimedMail {
                id: row.id,
                kind,
                person: row.workspace_id.zip(row.person_id),
                recipient,
                event,
                address: row.address.and_then(|text| text.parse().ok()),
                created_at: row.created_at,
            });
        }
        Ok(claimed)
    }

    /// Finds a person who may receive e-mail: an enabled one of a workspace that exists.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached, and [`Error::Corrupt`](super::Error::Corrupt) if the row
    /// is invalid.
    pub async fn find_mail_recipient(&self, workspace_id: WorkspaceId, id: PersonId) -> Result<Option<Person>> {
        const SELECT: &str = select_recipient!("workspace_id = $1 and id = $2");
        let row: Option<people::Row> =
            on_pool!(self, pool => sqlx::query_as(SELECT).bind(workspace_id).bind(id).fetch_optional(pool).await)?;
        row.map(Person::try_from).transpose()
    }

    /// Creates the reset link for the account that has an e-mail address, with an event. Only an enabled
    /// account with a password gets one.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached, and [`Error::Corrupt`](super::Error::Corrupt) if a row is
    /// invalid.
    pub async fn insert_reset_link(
        &self,
        email: &EmailKey,
        link: &NewPasswordLink,
        context: &AuditContext,
    ) -> Result<ResetRecipient> {
        const SELECT: &str = select_recipient!("email_key = $1");
        let lock = self.lock_workspace_sql();
        on_pool!(self, pool => {
            let found: Option<people::Row> =
                sqlx::query_as(SELECT).bind(email.as_str()).fetch_optional(pool).await?;
            let Some(found) = found.map(Person::try_from).transpose()? else { return Ok(ResetRecipient::None) };
            let mut tx = pool.begin().await?;
            // Orders the link after every earlier change of the person, which would have voided it.
            let locked: Option<WorkspaceId> =
                sqlx::query_scalar(lock).bind(found.workspace_id).fetch_optional(&mut *tx).await?;
            let current: Option<people::Row> =
                sqlx::query_as(SELECT).bind(email.as_str()).fetch_optional(&mut *tx).await?;
            let current = current.map(Person::try_from).transpose()?;
            let same = current.filter(|person| person.id == found.id && locked.is_some());
            let Some(person) = same else { return Ok(ResetRecipient::None) };
            if !person.has_password {
                let is_linked = person.provider.is_some();
                return Ok(if is_linked { ResetRecipient::Linked(Box::new(person)) } else { ResetRecipient::None });
            }
            let (workspace_id, id) = (person.workspace_id, person.id);
            new_password_link::insert!(tx, workspace_id, id, link, context);
            let target = id.to_string();
            record!(tx, workspace_id, Authorized::without_caller(context), EventDraft {
                action: link.action(),
                person_id: Some(id),
                target: &target,
                label: &person.email,
                details: link.details(),
            });
            tx.commit().await?;
            Ok(ResetRecipient::Created(Box::new(person)))
        })
    }

    /// Records the end of an attempt, and releases the claim. Without `next_attempt_at` the message is
    /// finished. A message to `given_up` is recorded as given up, with an event.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached or does not respond in time.
    pub async fn finish_mail(
        &self,
        mail: &ClaimedMail,
        outcome: MailOutcome,
        next_attempt_at: Option<Timestamp>,
        given_up: Option<&Person>,
        context: &AuditContext,
    ) -> Result<()> {
        const FINISH: &str = "update mail_message set claimed_until = null, next_attempt_at = $2, outcome = $3, \
             recipient = case when $4 then null else recipient end where id = $1 and next_attempt_at is not null";
        on_pool!(self, pool => {
            let mut tx = pool.begin().await?;
            let finished = sqlx::query(FINISH).bind(mail.id).bind(next_attempt_at).bind(outcome.as_str())
                .bind(next_attempt_at.is_none()).execute(&mut *tx).await?;
            if let Some(person) = given_up.filter(|_| finished.rows_affected() == 1) {
                let target = person.id.to_string();
                let details = Details::default().with("kind", mail.kind.as_str()).with("outcome", outcome.as_str());
                record!(tx, person.workspace_id, Authorized::without_caller(context), EventDraft {
                    action: Action::MailGivenUp,
                    person_id: Some(person.id),
                    target: &target,
                    label: &person.email,
                    details,
                });
            }
            tx.commit().await?;
            Ok(())
        })
    }

    /// Deletes up to `limit` messages that were queued before a time. Returns their number.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached or does not respond in time.
    pub async fn purge_mail(&self, before: Timestamp, limit: i64) -> Result<u64> {
        const DELETE: &str =
            "delete from mail_message where id in (select id from mail_message where created_at < $1 limit $2)";
        Ok(on_pool!(self, pool => sqlx::query(DELETE).bind(before).bind(limit).execute(pool).await
            .map(|result| result.rows_affected()))?)
    }
}
