//! The tower layer.

use std::{fmt, sync::Arc};

use http::Response;
use tower_layer::Layer;

use crate::{AuthError, Guard, Requirements, json_rejection};

/// Renders an authentication error as a response.
pub(crate) type RejectionFn<R> = Arc<dyn Fn(&AuthError) -> R + Send + Sync>;

/// Authenticates requests by bearer token and rejects all others. The crate's documentation lists the steps.
pub struct GuardLayer<V, R> {
    verifier: V,
    rejection: RejectionFn<R>,
    requirements: Requirements,
}

impl<V, B: From<&'static str> + 'static> GuardLayer<V, Response<B>> {
    /// Creates a layer that rejects requests with [`json_rejection`].
    pub fn new(verifier: V) -> Self {
        Self { verifier, rejection: Arc::new(json_rejection), requirements: Requirements::default() }
    }
}

impl<V, R> GuardLayer<V, R> {
    /// Creates a layer that rejects requests with the response of `rejection`. The layer adds the [`AuthError`] to its extensions.
    pub fn with_rejection(verifier: V, rejection: impl Fn(&AuthError) -> R + Send + Sync + 'static) -> Self {
        Self { verifier, rejection: Arc::new(rejection), requirements: Requirements::default() }
    }

    /// Requires an administrator of a workspace. Other callers get 403.
    #[must_use]
    pub fn require_admin(mut self) -> Self {
        self.requirements.admin = true;
        self
    }

    /// Requires a person of this workspace. Other callers get 403.
    #[must_use]
    pub fn require_workspace(mut self, workspace_id: i64) -> Self {
        self.requirements.workspace_id = Some(workspace_id);
        self
    }
}

impl<V: Clone, R> Clone for GuardLayer<V, R> {
    fn clone(&self) -> Self {
        Self {
            verifier: self.verifier.clone(),
            rejection: Arc::clone(&self.rejection),
            requirements: self.requirements,
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
            requirements: self.requirements,
        }
    }
}
