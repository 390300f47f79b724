//! A password link to be created, and its insertion in the transaction of another operation.

use crate::domain::{
    event::{Action, Details},
    password_link::{LinkDigest, LinkKind},
    time::Timestamp,
};

/// Password link to be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewPasswordLink {
    pub kind: LinkKind,
    pub digest: LinkDigest,
    pub expires_at: Timestamp,
}

impl NewPasswordLink {
    /// Returns the action of the event that records the creation.
    pub(super) fn action(&self) -> Action {
        match self.kind {
            LinkKind::Invite => Action::InviteCreated,
            LinkKind::Reset => Action::ResetLinkCreated,
        }
    }

    /// Returns the details of that event.
    pub(super) fn details(&self) -> Details {
        Details::default().with("expiresAt", self.expires_at.to_string())
    }
}

/// Inserts a link, and replaces an older one of the same kind.
pub(super) const UPSERT: &str = "insert into password_link (person_id, workspace_id, kind, digest, created_by, \
     created_at, expires_at) values ($1, $2, $3, $4, $5, $6, $7) on conflict (person_id, kind) do update set \
     digest = excluded.digest, created_by = excluded.created_by, created_at = excluded.created_at, \
     expires_at = excluded.expires_at";

/// Inserts a link of a person in a transaction. The person exists and is enabled.
macro_rules! insert {
    ($tx:expr, $workspace_id:expr, $person_id:expr, $link:expr, $context:expr) => {
        sqlx::query(crate::store::new_password_link::UPSERT)
            .bind($person_id)
            .bind($workspace_id)
            .bind($link.kind.as_str())
            .bind($link.digest.as_bytes().as_slice())
            .bind($context.actor_id)
            .bind($context.at)
            .bind($link.expires_at)
            .execute(&mut *$tx)
            .await?
    };
}
pub(super) use insert;
