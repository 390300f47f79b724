//! Putting the guard around a service.

use std::{fmt, sync::Arc};

use http::Response;
use tower_layer::Layer;

use super::{Denied, Guard, contract_refusal, requirements::Requirements};

/// Turns a refusal into the answer that is sent.
pub(super) type Refuse<R> = Arc<dyn Fn(&Denied) -> R + Send + Sync>;

/// Lets requests through that carry a live token, and refuses all others. See the [module](super).
pub struct GuardLayer<V, R> {
    verify: V,
    refuse: Refuse<R>,
    asked: Requirements,
}

impl<V, B: From<&'static str> + 'static> GuardLayer<V, Response<B>> {
    /// Guards with `verify`, refusing as [`contract_refusal`] does.
    pub fn new(verify: V) -> Self {
        Self { verify, refuse: Arc::new(contract_refusal), asked: Requirements::default() }
    }
}

impl<V, R> GuardLayer<V, R> {
    /// Guards with `verify`, refusing as the service likes. Whatever it answers, [`Denied`] is added to the extensions.
    pub fn with_refusal(verify: V, refuse: impl Fn(&Denied) -> R + Send + Sync + 'static) -> Self {
        Self { verify, refuse: Arc::new(refuse), asked: Requirements::default() }
    }

    /// Lets in only administrators of their workspace; others get 403.
    #[must_use]
    pub fn require_admin(mut self) -> Self {
        self.asked.admin = true;
        self
    }

    /// Lets in only people of one workspace; others get 403.
    #[must_use]
    pub fn require_workspace(mut self, workspace_id: i64) -> Self {
        self.asked.workspace_id = Some(workspace_id);
        self
    }
}

impl<V: Clone, R> Clone for GuardLayer<V, R> {
    fn clone(&self) -> Self {
        Self { verify: self.verify.clone(), refuse: Arc::clone(&self.refuse), asked: self.asked }
    }
}

impl<V, R> fmt::Debug for GuardLayer<V, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuardLayer")
    }
}

impl<S, V: Clone, R> Layer<S> for GuardLayer<V, R> {
    type Service = Guard<S, V, R>;

    fn layer(&self, inner: S) -> Self::Service {
        Guard { inner, verify: self.verify.clone(), refuse: Arc::clone(&self.refuse), asked: self.asked }
    }
}
