//! The OpenID providers of the configuration.

use tokenward_oidc::{Client, ClientSettings, SettingsError};

use super::provider_list::{ProviderList, RedirectProvider};
use crate::domain::{allow_rule::AllowRule, directory::ProviderName};

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
    rules: Vec<AllowRule>,
    /// Accounts are known by the claim `sub`.
    pub(super) has_subjects_of_sub: bool,
}

/// All OpenID providers. Cheap to clone.
pub type OpenIdProviders = ProviderList<OpenIdProvider>;

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
            Ok(OpenIdProvider {
                name,
                issuer,
                redirect_uri,
                post_logout_redirect_uri,
                client,
                rules,
                has_subjects_of_sub,
            })
        });
        providers.collect()
    }
}

impl RedirectProvider for OpenIdProvider {
    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn issuer(&self) -> &str {
        &self.issuer
    }

    fn rules(&self) -> &[AllowRule] {
        &self.rules
    }
}

impl OpenIdProvider {
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
}
