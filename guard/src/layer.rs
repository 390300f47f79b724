//! The tower layer.

use std::{fmt, net::IpAddr, sync::Arc};

use http::{Extensions, HeaderMap, Response};
use tower_layer::Layer;

use crate::{AuthError, Guard, Requirements, json_rejection};

/// Renders an authentication error as a response.
pub(crate) type RejectionFn<R> = Arc<dyn Fn(&AuthError) -> R + Send + Sync>;

/// Returns the client's address of a request.
pub(crate) type ClientAddressFn = Arc<dyn Fn(&HeaderMap, &Extensions) -> Option<IpAddr> + Send + Sync>;

/// Authenticates requests by bearer token and rejects all others. The crate's documentation lists the steps.
pub struct GuardLayer<V, R> {
    verifier: V,
    rejection: RejectionFn<R>,
    client_address: ClientAddressFn,
    requirements: Arc<Requirements>,
}

impl<V, B: From<&'static str> + 'static> GuardLayer<V, Response<B>> {
    /// Creates a layer that rejects requests with [`json_rejection`].
    pub fn new(verifier: V) -> Self {
        Self::with_rejection(verifier, json_rejection)
    }
}

impl<V, R> GuardLayer<V, R> {
    /// Creates a layer that rejects requests with the response of `rejection`. The layer adds the [`AuthError`] to its extensions.
    pub fn with_rejection(verifier: V, rejection: impl Fn(&AuthError) -> R + Send + Sync + 'static) -> Self {
        Self {
            verifier,
            rejection: Arc::new(rejection),
            client_address: Arc::new(|_, _| None),
            requirements: Arc::default(),
        }
    }

    /// Sets the function that determines the client's address from the headers and the extensions of a request. Without it, tokens with
    /// allowed networks do not authenticate. Read a forwarding header only if a proxy that you trust has written it.
    #[must_use]
    pub fn client_address(
        mut self,
        address: impl Fn(&HeaderMap, &Extensions) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        self.client_address = Arc::new(address);
        self
    }

    /// Requires an administrator of a workspace with an unrestricted token. Other callers get 403.
    #[must_use]
    pub fn require_admin(mut self) -> Self {
        Arc::make_mut(&mut self.requirements).admin = true;
        self
    }

    /// Requires a token with this scope, or an unrestricted one. Several calls require all the scopes. Other callers get 403.
    #[must_use]
    pub fn require_scope(mut self, scope: &str) -> Self {
        Arc::make_mut(&mut self.requirements).scopes.push(scope.to_owned());
        self
    }

    /// Requires a token without scopes. Other callers get 403.
    #[must_use]
    pub fn require_unrestricted(mut self) -> Self {
        Arc::make_mut(&mut self.requirements).unrestricted = true;
        self
    }

    /// Requires a person of this workspace. Other callers get 403.
    #[must_use]
    pub fn require_workspace(mut self, workspace_id: i64) -> Self {
        Arc::make_mut(&mut self.requirements).workspace_id = Some(workspace_id);
        self
    }
}

impl<V: Clone, R> Clone for GuardLayer<V, R> {
    fn clone(&self) -> Self {
        Self {
            verifier: self.verifier.clone(),
            rejection: Arc::clone(&self.rejection),
            client_address: Arc::clone(&self.client_address),
            requirements: Arc::clone(&self.requirements),
        }
    }
}

impl<V, R> fmt::Debug for GuardLayer<V, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardLayer").field("requirements", &self.requirements).finish_non_exhaustive()
    }
}

impl<S, V: Clone, R> Layer<S> for GuardLayer<V, R> {
    type Service = Guard<S, V, R>;

    fn layer(&self, inner: S) -> Self::Service {
        Guard {
            inner,
            verifier: self.verifier.clone(),
            rejection: Arc::clone(&self.rejection),
            client_address: Arc::clone(&self.client_address),
            requirements: Arc::clone(&self.requirements),
        }
    }
}
