//! Password links: creating, finding, redeeming and purging. The database voids them: triggers
//! delete the links of a person whose e-mail or password changes or who is disabled or removed, and
//! those that a person created who loses the right to.

use super::{
    Result, Store,
    authority::{Authorized, begin},
    events::{EventDraft, record},
    from_row, login_failures,
    new_password_link::{NewPasswordLink, insert},
    on_pool, people, sessions, sources,
};
use crate::domain::{
    authority::Mutation,
    event::{Action, AuditContext, Details},
    id::{PersonId, WorkspaceId},
    password_link::{LinkDigest, LinkKind},
    person::{EmailKey, Person},
    time::Timestamp,
};

/// Person and workspace of a valid password link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPasswordLink {
    pub person: Person,
    pub workspace_name: String,
}

/// Result of the creation of a link for an existing person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteOutcome {
    Created,
    /// The workspace has no such person.
    NotFound,
    /// Nothing was created: the account is disabled.
    Disabled,
    /// Nothing was created: the person signs in through an identity provider.
    Linked,
}

/// Returns the action of the event that records the use of a link.
fn use_action(kind: LinkKind) -> Action {
    match kind {
        LinkKind::Invite => Action::InviteUsed,
        LinkKind::Reset => Action::ResetLinkUsed,
    }
}

struct Row {
    person: people::Row,
    workspace_name: String,
}

from_row!(Row { workspace_name; person });

impl Store {
    /// Creates a link for an enabled person of a workspace. An older link of the same kind is void.
    ///
    /// # Errors
    /// Returns [`Error::AuthorizationLost`](super::Error::AuthorizationLost) if the caller was revoked
    /// meanwhile, and [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be
    /// reached.
    pub async fn insert_password_link(
        &self,
        workspace_id: WorkspaceId,
        person_id: PersonId,
        link: &NewPasswordLink,
        mutation: &Mutation,
    ) -> Result<InviteOutcome> {
        const SELECT: &str = "select email, is_disabled, (password_hash is null and exists (select 1 from external_identity i \
             where i.person_id = person.id)) from person where workspace_id = $1 and id = $2 and removed_at is null \
             and kind = 'person'";
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let found: Option<(String, bool, bool)> =
                sqlx::query_as(SELECT).bind(workspace_id).bind(person_id).fetch_optional(&mut *tx).await?;
            let Some((email, is_disabled, is_linked)) = found else { return Ok(InviteOutcome::NotFound) };
            if is_linked {
                return Ok(InviteOutcome::Linked);
            }
            if is_disabled {
                return Ok(InviteOutcome::Disabled);
            }
            insert!(tx, workspace_id, person_id, link, context);
            let target = person_id.to_string();
            record!(tx, workspace_id, context, EventDraft {
                action: link.action(),
                person_id: Some(person_id),
                target: &target,
                label: &email,
                details: link.details(),
            });
            tx.commit().await?;
            Ok(InviteOutcome::Created)
        })
    }

    /// Finds the person of a valid link. Returns `None` if the link is unknown, used, expired or
    /// void.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached.
    /// That must not be reported as an invalid link.
    pub async fn find_password_link(
        &self,
        kind: LinkKind,
        digest: &LinkDigest,
        now: Timestamp,
    ) -> Result<Option<FoundPasswordLink>> {
        const SELECT: &str = concat!(
            "select ",
            people::columns!(),
            ", (select name from workspace where id = person.workspace_id) as workspace_name from person \
             where id = (select person_id from password_link where digest = $1 and kind = $2 and expires_at > $3) \
             and not is_disabled and removed_at is null \
             and workspace_id in (select id from workspace where removed_at is null)"
        );
        let row: Option<Row> = on_pool!(self, pool => sqlx::query_as(SELECT)
            .bind(digest.as_bytes().as_slice()).bind(kind.as_str()).bind(now).fetch_optional(pool).await)?;
        row.map(|row| Ok(FoundPasswordLink { person: row.person.try_into()?, workspace_name: row.workspace_name }))
            .transpose()
    }

    /// Returns the end of the validity of a person's link, which may be in the past; `None` without a
    /// link.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn find_link_expiry(&self, person_id: PersonId, kind: LinkKind) -> Result<Option<Timestamp>> {
        const SELECT: &str = "select expires_at from password_link where person_id = $1 and kind = $2";
        Ok(on_pool!(self, pool => sqlx::query_scalar(SELECT).bind(person_id).bind(kind.as_str())
            .fetch_optional(pool).await)?)
    }

    /// Sets the password of the person of a valid link. Voids the person's links, deletes the web
    /// sessions and resets the login failures. Returns false if the link is unknown, used, expired or
    /// void; then nothing changes. Of several concurrent calls with one link, one returns true.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn redeem_password_link(
        &self,
        workspace_id: WorkspaceId,
        (kind, digest): (LinkKind, &LinkDigest),
        password_hash: &str,
        context: &AuditContext,
    ) -> Result<bool> {
        const UPDATE: &str = "update person set password_hash = $5, force_password_change = false, updated_at = $4 \
             where workspace_id = $1 and not is_disabled and removed_at is null and id = (select person_id \
             from password_link where digest = $2 and kind = $3 and expires_at > $4) returning id, email, email_key";
        // The trigger has deleted them already. Single use must not depend on it.
        const VOID: &str = "delete from password_link where person_id = $1";
        let lock = self.lock_workspace_sql();
        on_pool!(self, pool => {
            let mut tx = pool.begin().await?;
            // Orders concurrent uses of the link, and changes of the person. The row is locked before
            // those of the links, as in every other change of a person.
            let locked: Option<WorkspaceId> =
                sqlx::query_scalar(lock).bind(workspace_id).fetch_optional(&mut *tx).await?;
            let updated: Option<(PersonId, String, String)> = sqlx::query_as(UPDATE)
                .bind(workspace_id)
                .bind(digest.as_bytes().as_slice())
                .bind(kind.as_str())
                .bind(context.at)
                .bind(password_hash)
                .fetch_optional(&mut *tx)
                .await?;
            let Some((id, email, email_key)) = updated.filter(|_| locked.is_some()) else { return Ok(false) };
            sqlx::query(VOID).bind(id).execute(&mut *tx).await?;
            let email_digest = EmailKey::from_text(&email_key).digest();
            sqlx::query(login_failures::DELETE_LOGIN_FAILURES)
                .bind(email_digest.as_bytes().as_slice())
                .execute(&mut *tx)
                .await?;
            sqlx::query(sources::RESET_SOURCE_FAILURES).bind(id).execute(&mut *tx).await?;
            sqlx::query(sessions::DELETE_ALL_SESSIONS).bind(workspace_id).bind(id).execute(&mut *tx).await?;
            let target = id.to_string();
            for action in [use_action(kind), Action::PasswordChanged] {
                let details = Details::default();
                let event = EventDraft { action, person_id: Some(id), target: &target, label: &email, details };
                record!(tx, workspace_id, Authorized::without_caller(context), event);
            }
            tx.commit().await?;
            Ok(true)
        })
    }

    /// Deletes expired links. Returns their number.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn purge_password_links(&self, now: Timestamp) -> Result<u64> {
        const DELETE: &str = "delete from password_link where expires_at <= $1";
        Ok(on_pool!(self, pool => sqlx::query(DELETE).bind(now).execute(pool).await
            .map(|result| result.rows_affected()))?)
    }
}
