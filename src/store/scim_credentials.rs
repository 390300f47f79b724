//! Credentials of provisioning clients.

use uuid::Uuid;

use super::{
    Result, Store,
    authority::begin,
    events::{EventDraft, record},
    from_row, on_pool,
};
use crate::domain::{
    authority::Mutation,
    event::{Action, Details},
    id::WorkspaceId,
    scim::{CredentialName, ScimCredential, ScimProvider},
    time::Timestamp,
};
use tokenward_guard::token_format::TokenDigest;

/// Credential to be created.
#[derive(Clone, Debug)]
pub struct NewScimCredential {
    pub id: Uuid,
    pub workspace_id: WorkspaceId,
    pub name: CredentialName,
    pub provider: Option<ScimProvider>,
    pub digest: TokenDigest,
    pub display_prefix: String,
}

struct Row {
    id: Uuid,
    workspace_id: WorkspaceId,
    name: String,
    provider: Option<String>,
    issuer: Option<String>,
    display_prefix: String,
    created_at: Timestamp,
    last_used_at: Option<Timestamp>,
}

from_row!(Row { id, workspace_id, name, provider, issuer, display_prefix, created_at, last_used_at });

macro_rules! columns {
    () => {
        "id, workspace_id, name, provider, issuer, display_prefix, created_at, last_used_at"
    };
}

impl From<Row> for ScimCredential {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            workspace_id: row.workspace_id,
            name: row.name,
            provider: row.provider.zip(row.issuer).map(|(name, issuer)| ScimProvider { name, issuer }),
            display_prefix: row.display_prefix,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
        }
    }
}

impl ScimCredential {
    fn event<'a>(&'a self, action: Action, target: &'a str, details: Details) -> EventDraft<'a> {
        let details = details.with_some("provider", self.provider.as_ref().map(|provider| provider.name.as_str()));
        EventDraft { action, person_id: None, target, label: &self.name, details }
    }
}

impl Store {
    /// Creates a credential. Returns `None` if the workspace was deleted.
    ///
    /// # Errors
    /// Returns [`Error::Conflict`](super::Error::Conflict) if the workspace has one with this name, and
    /// [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached.
    pub async fn insert_scim_credential(
        &self,
        new: &NewScimCredential,
        mutation: &Mutation,
    ) -> Result<Option<ScimCredential>> {
        const INSERT: &str = concat!(
            "insert into scim_credential (id, workspace_id, name, provider, issuer, digest, display_prefix, created_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8) returning ",
            columns!()
        );
        let provider = new.provider.as_ref();
        on_pool!(self, pool => {
            let (mut tx, context, exists) = begin!(self, pool, new.workspace_id, mutation);
            if !exists {
                return Ok(None);
            }
            let row: Row = sqlx::query_as(INSERT).bind(new.id).bind(new.workspace_id).bind(new.name.as_str())
                .bind(provider.map(|provider| provider.name.as_str()))
                .bind(provider.map(|provider| provider.issuer.as_str()))
                .bind(new.digest.as_bytes().as_slice()).bind(&new.display_prefix).bind(context.at)
                .fetch_one(&mut *tx).await?;
            let (credential, target) = (ScimCredential::from(row), new.id.to_string());
            let event = credential.event(Action::ScimCredentialCreated, &target, Details::default());
            record!(tx, new.workspace_id, context, event);
            tx.commit().await?;
            Ok(Some(credential))
        })
    }

    /// Finds the credential with this digest.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached or
    /// does not respond in time.
    pub async fn find_scim_credential(&self, digest: &TokenDigest) -> Result<Option<ScimCredential>> {
        const SELECT: &str = concat!(
            "select ",
            columns!(),
            " from scim_credential where digest = $1 and workspace_id in (select id from workspace where removed_at is null)"
        );
        let row: Option<Row> = on_pool!(self, pool => sqlx::query_as(SELECT).bind(digest.as_bytes().as_slice())
            .fetch_optional(pool).await)?;
        Ok(row.map(ScimCredential::from))
    }

    /// Lists the credentials of a workspace, the oldest first.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached or
    /// does not respond in time.
    pub async fn list_scim_credentials(&self, workspace_id: WorkspaceId) -> Result<Vec<ScimCredential>> {
        const SELECT: &str =
            concat!("select ", columns!(), " from scim_credential where workspace_id = $1 order by created_at, id");
        let rows: Vec<Row> = on_pool!(self, pool => sqlx::query_as(SELECT).bind(workspace_id).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(ScimCredential::from).collect())
    }

    /// Records the use of a credential, unless one at or after `not_before` is already recorded.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached or
    /// does not respond in time.
    pub async fn record_scim_credential_use(&self, id: Uuid, at: Timestamp, not_before: Timestamp) -> Result<()> {
        const UPDATE: &str = "update scim_credential set last_used_at = $2 where id = $1 \
                              and (last_used_at is null or last_used_at < $3)";
        on_pool!(self, pool => sqlx::query(UPDATE).bind(id).bind(at).bind(not_before).execute(pool).await.map(|_| ()))?;
        Ok(())
    }

    /// Deletes a credential, for this reason. Requests in progress that have not written yet are
    /// rejected. Returns false if there is none.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached or
    /// does not respond in time.
    pub async fn delete_scim_credential(
        &self,
        workspace_id: WorkspaceId,
        id: Uuid,
        reason: Option<&'static str>,
        mutation: &Mutation,
    ) -> Result<bool> {
        const DELETE: &str =
            concat!("delete from scim_credential where workspace_id = $1 and id = $2 returning ", columns!());
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let row: Option<Row> = sqlx::query_as(DELETE).bind(workspace_id).bind(id).fetch_optional(&mut *tx).await?;
            let Some(credential) = row.map(ScimCredential::from) else { return Ok(false) };
            let (target, details) = (id.to_string(), Details::default().with_some("reason", reason));
            record!(tx, workspace_id, context, credential.event(Action::ScimCredentialRevoked, &target, details));
            tx.commit().await?;
            Ok(true)
        })
    }
}
