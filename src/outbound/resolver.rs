//! Name resolution that yields only allowed addresses.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::AddressPolicy;

/// The addresses of a name, in the future.
type LookupResult = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// The look-up of a name's addresses: that of the operating system, or another one in tests.
#[derive(Clone)]
pub struct Lookup(Arc<dyn Fn(String) -> LookupResult + Send + Sync>);

impl Lookup {
    /// Returns the look-up of the operating system.
    #[must_use]
    pub fn system() -> Self {
        Self::from_fn(|name| {
            Box::pin(async move {
                let addresses = tokio::net::lookup_host((name, 0)).await?;
                Ok(addresses.map(|address| address.ip()).collect())
            })
        })
    }

    /// Creates a look-up from a function.
    #[must_use]
    pub fn from_fn(lookup: impl Fn(String) -> LookupResult + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }
}

/// The cause of a failed resolution.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResolveError {
    #[error("the name has no address")]
    NotFound,
    #[error("no address of the name may be connected to")]
    NotAllowed,
    #[error("the resolver failed")]
    Failed(#[source] io::Error),
}

/// Resolves names for the HTTP client, which connects to nothing else.
pub(super) struct GuardedResolver {
    pub(super) policy: AddressPolicy,
    pub(super) lookup: Lookup,
}

impl GuardedResolver {
    /// Returns the allowed addresses among those of a name.
    async fn resolve_allowed(policy: AddressPolicy, lookup: Lookup, name: String) -> Result<Vec<IpAddr>, ResolveError> {
        let found = (lookup.0)(name).await.map_err(ResolveError::Failed)?;
        if found.is_empty() {
            return Err(ResolveError::NotFound);
        }
        let allowed: Vec<IpAddr> = found.into_iter().filter(|address| policy.check(*address).is_ok()).collect();
        if allowed.is_empty() { Err(ResolveError::NotAllowed) } else { Ok(allowed) }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, lookup, name) = (self.policy, self.lookup.clone(), name.as_str().to_owned());
        Box::pin(async move {
            let allowed = Self::resolve_allowed(policy, lookup, name).await?;
            let addresses: Addrs = Box::new(allowed.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn resolve(allow_private: bool, addresses: &[&str]) -> Result<Vec<String>, ResolveError> {
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let lookup = Lookup::from_fn(move |_| {
            let addresses = addresses.clone();
            Box::pin(async move { Ok(addresses) })
        });
        let policy = AddressPolicy { allow_private };
        let allowed = GuardedResolver::resolve_allowed(policy, lookup, "hooks.example.com".to_owned()).await?;
        Ok(allowed.iter().map(ToString::to_string).collect())
    }

    #[tokio::test]
    async fn a_name_with_public_and_private_addresses_yields_the_public_ones() {
        let mixed = ["127.0.0.1", "1.1.1.1", "::1", "169.254.169.254", "2606:4700::1", "::ffff:10.0.0.1"];
        assert_eq!(resolve(false, &mixed).await.unwrap(), ["1.1.1.1", "2606:4700::1"]);
        let with_private = resolve(true, &mixed).await.unwrap();
        assert_eq!(with_private, ["127.0.0.1", "1.1.1.1", "::1", "2606:4700::1", "::ffff:10.0.0.1"]);
    }

    #[tokio::test]
    async fn a_name_without_an_allowed_address_is_not_resolved() {
        assert!(matches!(resolve(false, &["127.0.0.1", "fd00::1"]).await, Err(ResolveError::NotAllowed)));
        assert!(matches!(resolve(true, &["169.254.169.254", "fe80::1"]).await, Err(ResolveError::NotAllowed)));
        assert!(matches!(resolve(true, &[]).await, Err(ResolveError::NotFound)));
    }

    #[tokio::test]
    async fn localhost_with_a_final_dot_is_loopback_for_the_system() {
        let policy = AddressPolicy::default();
        let result = GuardedResolver::resolve_allowed(policy, Lookup::system(), "localhost.".to_owned()).await;
        assert!(result.is_err(), "{result:?}");
    }
}
