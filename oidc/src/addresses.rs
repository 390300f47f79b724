//! The addresses that are connected to.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// A rule that decides which addresses are connected to, after the look-up of a name. It matters for
/// issuers that users of the service name: without it they reach the network behind the service.
#[derive(Clone)]
pub struct AddressRule(Option<Arc<dyn Fn(IpAddr) -> bool + Send + Sync>>);

impl AddressRule {
    /// Allows all addresses, for issuers that the operator configures.
    #[must_use]
    pub const fn allow_all() -> Self {
        Self(None)
    }

    /// Allows the addresses for which the function returns true.
    #[must_use]
    pub fn new(is_allowed: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(is_allowed)))
    }

    fn allows(&self, address: IpAddr) -> bool {
        self.0.as_ref().is_none_or(|is_allowed| is_allowed(address))
    }

    /// Checks a URL whose host is an address. The resolver is not asked about those.
    pub(crate) fn allows_literal(&self, url: &Url) -> bool {
        match url.host() {
            Some(Host::Ipv4(address)) => self.allows(address.into()),
            Some(Host::Ipv6(address)) => self.allows(address.into()),
            Some(Host::Domain(_)) | None => true,
        }
    }

    async fn resolve_allowed(self, name: String) -> Result<Vec<SocketAddr>, ResolveError> {
        let found: Vec<_> = tokio::net::lookup_host((name, 0)).await.map_err(ResolveError::Failed)?.collect();
        if found.is_empty() {
            return Err(ResolveError::NotFound);
        }
        let allowed: Vec<_> = found.into_iter().filter(|address| self.allows(address.ip())).collect();
        if allowed.is_empty() { Err(ResolveError::NotAllowed) } else { Ok(allowed) }
    }
}

impl fmt::Debug for AddressRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "AddressRule(function)" } else { "AddressRule(all)" })
    }
}

/// The cause of a failed resolution.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error("the name has no address")]
    NotFound,
    #[error("no address of the name may be connected to")]
    NotAllowed,
    #[error("the resolver failed")]
    Failed(#[source] io::Error),
}

/// Connections are made to the addresses that it returns, so a name that changes its address in
/// between gains nothing.
impl Resolve for AddressRule {
    fn resolve(&self, name: Name) -> Resolving {
        let (rule, name) = (self.clone(), name.as_str().to_owned());
        Box::pin(async move {
            let allowed = rule.resolve_allowed(name).await?;
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}
