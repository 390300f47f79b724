//! Credentials of provisioning clients.

use uuid::Uuid;

use crate::domain::{
    ValidationError,
    event::{AuditContext, RequestContext},
    id::WorkspaceId,
    service_account::ServiceName,
    time::Timestamp,
};
use tokenward_guard::token_format::{Prefix, TokenFormat};

/// The prefix of credentials in every deployment. Token values have another one, so neither is taken
/// for the other.
pub const CREDENTIAL_PREFIX: &str = "twdscim";

/// Returns the format of credentials: that of token values with the prefix [`CREDENTIAL_PREFIX`].
#[must_use]
pub fn credential_format() -> TokenFormat {
    Prefix::parse(CREDENTIAL_PREFIX)
        .map_or_else(|_| TokenFormat::default(), |prefix| TokenFormat::new(prefix, Vec::new()))
}

/// The credential of a provisioning client, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScimCredential {
    pub id: Uuid,
    pub workspace_id: WorkspaceId,
    pub name: String,
    /// The identity provider whose subjects are the external IDs; `None`: the client provisions
    /// people without a link to a provider.
    pub provider: Option<ScimProvider>,
    pub display_prefix: String,
    pub created_at: Timestamp,
    /// When a request was last authenticated, with a precision of one minute.
    pub last_used_at: Option<Timestamp>,
}

/// The identity provider of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScimProvider {
    /// The name of the provider in the configuration.
    pub name: String,
    /// The namespace of its subjects.
    pub issuer: String,
}

impl ScimCredential {
    /// Returns the name of the provider, or an empty text. Credentials of a workspace with the same
    /// key see the same people.
    #[must_use]
    pub fn provider_key(&self) -> &str {
        self.provider.as_ref().map_or("", |provider| &provider.name)
    }

    /// Returns the context of a change by the client. The actor is `scim:` and the name: an e-mail
    /// contains no colon, so no person has the same one.
    #[must_use]
    pub fn audit_context(&self, at: Timestamp, request: RequestContext) -> AuditContext {
        AuditContext::for_named_actor(&format!("scim:{}", self.name), at, request)
    }
}

/// The name of a credential, unique in its workspace, with the rules of [`ServiceName`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialName(String);

impl CredentialName {
    /// Validates a name.
    ///
    /// # Errors
    /// [`ValidationError::ScimCredentialName`] for a text that [`ServiceName::parse`] rejects.
    pub fn parse(text: &str) -> Result<Self, ValidationError> {
        let name = ServiceName::parse(text).map_err(|_| ValidationError::ScimCredentialName)?;
        Ok(Self(name.as_str().to_owned()))
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenward_guard::token_format::BearerToken;

    #[test]
    fn a_credential_and_a_token_value_are_told_apart() {
        let random = |bytes: &mut [u8]| bytes.fill(7);
        let credential = credential_format().generate(random);
        assert!(credential.expose().starts_with("twdscim_"));
        let bearer = BearerToken::parse(credential.expose()).unwrap();
        assert!(credential_format().parse_digest(bearer).is_some());
        assert_eq!(TokenFormat::default().parse_digest(bearer), None);
        let token = TokenFormat::default().generate(random);
        assert_eq!(credential_format().parse_digest(BearerToken::parse(token.expose()).unwrap()), None);
    }

    #[test]
    fn names_of_credentials_are_plain() {
        assert_eq!(CredentialName::parse("okta").unwrap().as_str(), "okta");
        assert_eq!(CredentialName::parse("a b"), Err(ValidationError::ScimCredentialName));
    }
}
