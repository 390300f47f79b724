//! Moving an external identity to another provider.

use crate::{
    domain::{authority::Mutation, event::Action},
    store::{
        Error, FoundIdentity, LinkOutcome, NewExternalIdentity, Result, Store,
        authority::begin,
        events::{EventDraft, record},
        on_pool, sessions,
    },
};

impl Store {
    /// Moves an external identity to an account at another provider. All sessions of the person end, and the person is hidden from the
    /// provisioning clients of the old provider. What the old provider disabled stays disabled, as if an administrator had. A role that it
    /// granted becomes one that the new provider grants or takes back.
    ///
    /// # Errors
    /// Returns [`Error::AuthorizationLost`] if the caller was revoked meanwhile, and
    /// [`Error::Unavailable`] if the database cannot be reached.
    pub async fn move_identity(
        &self,
        found: &FoundIdentity,
        new: &NewExternalIdentity,
        mutation: &Mutation,
    ) -> Result<LinkOutcome> {
        const MOVE: &str = "update external_identity set provider = $4, issuer = $5, subject = $6, label = $7, \
             linked_at = $8, last_sign_in_at = null, seen_at = null where id = $1 and workspace_id = $2 and provider = $3";
        const DELETE_SCIM_USER: &str =
            "delete from scim_user where workspace_id = $1 and person_id = $2 and provider = $3";
        const UPDATE: &str = "update person set disabled_by_administrator = (disabled_by_administrator or \
             disabled_by_directory or disabled_by_scim), disabled_by_directory = false, disabled_by_scim = false, \
             updated_at = $3 where workspace_id = $1 and id = $2";
        let FoundIdentity { identity, person } = found;
        let (workspace_id, id) = (person.workspace_id, person.id);
        let moved: Result<LinkOutcome> = on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let moved = sqlx::query(MOVE).bind(identity.id).bind(workspace_id).bind(&identity.provider)
                .bind(&new.provider).bind(&new.issuer).bind(&new.subject).bind(&new.label).bind(context.at)
                .execute(&mut *tx).await?;
            if moved.rows_affected() == 0 {
                return Ok(LinkOutcome::PersonNotFound);
            }
            sqlx::query(DELETE_SCIM_USER).bind(workspace_id).bind(id).bind(&identity.provider).execute(&mut *tx).await?;
            sqlx::query(UPDATE).bind(workspace_id).bind(id).bind(context.at).execute(&mut *tx).await?;
            sqlx::query(sessions::DELETE_ALL_SESSIONS).bind(workspace_id).bind(id).execute(&mut *tx).await?;
            let target = id.to_string();
            record!(tx, workspace_id, context, EventDraft {
                action: Action::IdentityLinked,
                person_id: Some(id),
                target: &target,
                label: &person.email,
                details: new.details().with("previousProvider", identity.provider.as_str()),
            });
            tx.commit().await?;
            Ok(LinkOutcome::Linked)
        });
        match moved {
            Err(Error::Conflict) => Ok(LinkOutcome::AlreadyLinked),
            result => result,
        }
    }
}
