//! A list of identity providers of one kind to which browsers are redirected.

use std::sync::Arc;

use crate::domain::{allow_rule::AllowRule, id::WorkspaceId};

/// An identity provider to which browsers are redirected.
pub trait RedirectProvider: Send + Sync {
    /// Returns the name in the configuration.
    fn name(&self) -> &str;

    /// Returns the issuer, which is the namespace of its subjects.
    fn issuer(&self) -> &str;

    /// Returns the rules that admit its people.
    fn rules(&self) -> &[AllowRule];

    /// Returns the workspace of the first rule, which has the events about unknown people.
    fn first_workspace(&self) -> WorkspaceId {
        self.rules().first().map_or(WorkspaceId::FIRST, |rule| rule.workspace_id)
    }
}

/// All providers of one kind. Cheap to clone.
pub struct ProviderList<T>(Arc<[Arc<T>]>);

impl<T> Clone for ProviderList<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for ProviderList<T> {
    fn default() -> Self {
        Self(Arc::new([]))
    }
}

impl<T> FromIterator<T> for ProviderList<T> {
    fn from_iter<I: IntoIterator<Item = T>>(providers: I) -> Self {
        Self(providers.into_iter().map(Arc::new).collect())
    }
}

impl<T: RedirectProvider> ProviderList<T> {
    /// Returns all providers.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.0.iter()
    }

    /// Finds a provider by its name in the configuration.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<T>> {
        self.iter().find(|provider| provider.name() == name)
    }
}
