//! The OpenID providers of the configuration.

use std::sync::Arc;

use tokenward_oidc::{Client, ClientSettings, SettingsError};

use crate::domain::{allow_rule::AllowRule, directory::ProviderName, id::WorkspaceId};

/// The configuration of an OpenID provider.
#[derive(Clone, Debug)]
pub struct OpenIdProviderSettings {
    pub name: ProviderName,
    pub client: ClientSettings,
    /// The groups whose members may sign in. No other person is admitted.
    pub rules: Vec<AllowRule>,
}

/// An OpenID provider cannot be used as configured.
#[derive(Debug, thiserror::Error)]
#[error("sso.{provider}")]
pub struct InvalidOpenIdProvider {
    pub provider: ProviderName,
    pub source: SettingsError,
}

/// An OpenID provider.
pub struct OpenIdProvider {
    name: ProviderName,
    issuer: String,
    redirect_uri: String,
    post_logout_redirect_uri: String,
    pub(super) client: Client,
    pub(super) rules: Vec<AllowRule>,
    /// Accounts are known by the claim `sub`.
    pub(super) has_subjects_of_sub: bool,
}

/// All OpenID providers. Cheap to clone.
#[derive(Clone, Default)]
pub struct OpenIdProviders(Arc<[Arc<OpenIdProvider>]>);

impl OpenIdProviders {
    /// Creates the clients of all providers. None of them connects before a person signs in.
    ///
    /// # Errors
    /// [`InvalidOpenIdProvider`] if a file with certificates cannot be read, or a setting is invalid.
    pub fn new(settings: Vec<OpenIdProviderSettings>) -> Result<Self, InvalidOpenIdProvider> {
        let providers = settings.into_iter().map(|OpenIdProviderSettings { name, client, rules }| {
            let issuer = client.issuer.clone();
            let redirect_uri = client.redirect_uri.clone();
            let post_logout_redirect_uri = client.post_logout_redirect_uri.clone();
            let has_subjects_of_sub = client.subject_claim == "sub";
            let client =
                Client::new(client).map_err(|source| InvalidOpenIdProvider { provider: name.clone(), source })?;
            Ok(Arc::new(OpenIdProvider {
                name,
                issuer,
                redirect_uri,
                post_logout_redirect_uri,
                client,
                rules,
                has_subjects_of_sub,
            }))
        });
        Ok(Self(providers.collect::<Result<_, _>>()?))
    }

    /// Returns all providers.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<OpenIdProvider>> {
        self.0.iter()
    }

    /// Returns the names of all providers.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.iter().map(|provider| provider.name().to_owned()).collect()
    }

    /// Returns whether no provider is configured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Finds a provider by its name in the configuration.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<OpenIdProvider>> {
        self.iter().find(|provider| provider.name() == name)
    }
}

impl OpenIdProvider {
    /// Returns the name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Returns the issuer, which is the namespace of its subjects.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the URL to which the provider sends browsers back.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Returns the URL to which the provider sends browsers after a sign-out there.
    #[must_use]
    pub fn post_logout_redirect_uri(&self) -> &str {
        &self.post_logout_redirect_uri
    }

    /// Returns the client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the workspace of the first rule, which has the events about unknown people.
    pub(super) fn first_workspace(&self) -> WorkspaceId {
        self.rules.first().map_or(WorkspaceId::FIRST, |rule| rule.workspace_id)
    }
}
