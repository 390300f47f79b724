//! Credentials of provisioning clients, managed by the operator.

use uuid::Uuid;

use super::Scim;
use crate::{
    domain::{
        authority::Mutation,
        event::{AuditContext, RequestContext},
        external_identity::DIRECTORY_ISSUER,
        id::WorkspaceId,
        scim::{CredentialName, ScimCredential, ScimProvider, credential_format},
    },
    service::{Error, Result},
    store::{self, NewScimCredential},
};
use tokenward_guard::token_format::{BearerToken, TokenValue};

/// The name of a credential without a provider, if none is given.
const DEFAULT_NAME: &str = "scim";

impl Scim {
    /// Creates a credential, by the operator. Its value is returned once. `provider` is the name of a
    /// configured provider; the name of the credential is the same unless `name` is given.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the name, [`Error::ScimCredentialNameTaken`], [`Error::WorkspaceNotFound`].
    pub async fn create_credential(
        &self,
        workspace_id: WorkspaceId,
        provider: Option<&str>,
        name: Option<&str>,
    ) -> Result<(ScimCredential, TokenValue)> {
        let name = CredentialName::parse(name.or(provider).unwrap_or(DEFAULT_NAME))?;
        let value = credential_format().generate(|bytes| self.random.fill(bytes));
        let new = NewScimCredential {
            id: self.generate_id(),
            workspace_id,
            name,
            provider: provider.map(|name| self.provider(name)),
            digest: value.digest(),
            display_prefix: value.display_prefix().to_owned(),
        };
        let inserted = self.store.insert_scim_credential(&new, &self.mutations.by_operator()).await;
        let credential = inserted.map_err(|error| match error {
            store::Error::Conflict => Error::ScimCredentialNameTaken,
            other => other.into(),
        })?;
        Ok((credential.ok_or(Error::WorkspaceNotFound)?, value))
    }

    /// Lists the credentials of a workspace, the oldest first. For the operator.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn list_credentials(&self, workspace_id: WorkspaceId) -> Result<Vec<ScimCredential>> {
        Ok(self.store.list_scim_credentials(workspace_id).await?)
    }

    /// Revokes a credential, by the operator. No request with it changes anything afterwards.
    ///
    /// # Errors
    /// [`Error::ScimCredentialNotFound`] if the workspace has none with this ID.
    pub async fn revoke_credential(&self, workspace_id: WorkspaceId, id: Uuid) -> Result<()> {
        let mutation = self.mutations.by_operator();
        let is_deleted = self.store.delete_scim_credential(workspace_id, id, None, &mutation).await?;
        if is_deleted { Ok(()) } else { Err(Error::ScimCredentialNotFound) }
    }

    /// Revokes the credential with this value, because it was reported as leaked. Returns it, or `None`
    /// if there was none.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn revoke_leaked(
        &self,
        value: BearerToken<'_>,
        request: &RequestContext,
    ) -> Result<Option<ScimCredential>> {
        let Some(digest) = credential_format().parse_digest(value) else { return Ok(None) };
        let Some(credential) = self.store.find_scim_credential(&digest).await? else { return Ok(None) };
        let context = AuditContext::for_token_holder(self.clock.now(), request.clone());
        let mutation = Mutation::without_caller(context);
        let ScimCredential { workspace_id, id, .. } = credential;
        let is_deleted = self.store.delete_scim_credential(workspace_id, id, Some("leaked"), &mutation).await?;
        Ok(Some(credential).filter(|_| is_deleted))
    }

    /// Returns the names of the configured identity providers.
    #[must_use]
    pub fn provider_names(&self) -> Vec<String> {
        self.providers.iter().map(|provider| provider.name.clone()).collect()
    }

    /// Returns a provider with the namespace of its subjects.
    fn provider(&self, name: &str) -> ScimProvider {
        let found = self.providers.iter().find(|provider| provider.name == name);
        let directory = || ScimProvider { name: name.to_owned(), issuer: DIRECTORY_ISSUER.to_owned() };
        found.cloned().unwrap_or_else(directory)
    }
}
