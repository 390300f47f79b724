//! The identity providers to which browsers are redirected, of all kinds.

use std::sync::Arc;

use super::{
    OpenIdProviders, SamlProviders, openid_providers::OpenIdProvider, provider_list::RedirectProvider,
    saml_providers::SamlProvider,
};

/// The providers of all kinds. Cheap to clone.
#[derive(Clone, Default)]
pub struct RedirectProviders {
    pub openid: OpenIdProviders,
    pub saml: SamlProviders,
}

/// A provider of one of the kinds.
#[derive(Clone)]
pub enum FoundProvider {
    OpenId(Arc<OpenIdProvider>),
    Saml(Arc<SamlProvider>),
}

impl RedirectProviders {
    /// Returns the names of all providers, in the order of the configuration.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.iter().map(|provider| provider.name().to_owned()).collect();
        names.sort();
        names
    }

    /// Returns whether no provider is configured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Returns all providers.
    pub fn iter(&self) -> impl Iterator<Item = &dyn RedirectProvider> {
        let openid = self.openid.iter().map(|provider| &**provider as &dyn RedirectProvider);
        openid.chain(self.saml.iter().map(|provider| &**provider as &dyn RedirectProvider))
    }

    /// Finds a provider by its name in the configuration.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<FoundProvider> {
        let openid = self.openid.find(name).cloned().map(FoundProvider::OpenId);
        openid.or_else(|| self.saml.find(name).cloned().map(FoundProvider::Saml))
    }
}
