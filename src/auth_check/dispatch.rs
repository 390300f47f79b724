//! Auth checks over HTTP: which requests are one, and how they are decided, counted and logged.

use std::{net::IpAddr, time::Duration};

use axum::{
    body::{Bytes, HttpBody},
    http::{HeaderMap, Method, Request, StatusCode, request::Parts},
    response::IntoResponse as _,
};
use http_body_util::Either;

use super::{
    batch::{self, BatchCheck, BatchOutcome},
    counters::{AuthCheckCounters, Endpoint},
    denied::Denied,
    forward_auth::{self, ForwardAuth},
    introspection::{self, Introspection, IntrospectionOutcome},
    oauth::OAuthError,
    outcome::{CachedCheck, CheckOutcome, PendingCheck},
};
use crate::{
    app::App,
    config::{AuthCheckLogging, Config},
    domain::event::RequestContext,
    http::{
        access_log,
        error::{ApiError, LoggedCause},
        request_body::{read_body, with_timeout},
        request_id::RequestId,
        response::{HttpResponse, error_response},
    },
    service::DeniedAttemptLog,
    telemetry::LogBudget,
};

/// Serves forward auth and introspection.
pub(crate) struct AuthChecks {
    forward_auth: ForwardAuth,
    introspection: Introspection,
    batch: BatchCheck,
    request_timeout: Duration,
    body_timeout: Duration,
    log_policy: AuthCheckLogging,
    log_budget: LogBudget,
    counters: AuthCheckCounters,
    denied_attempts: DeniedAttemptLog,
}

/// The parts of a request that the access log and the counters need.
pub(crate) struct CheckRequestInfo<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) method: &'a Method,
    pub(crate) id: &'a RequestId,
    pub(crate) duration: Duration,
    /// Returns the client address. Called only if the request is logged.
    pub(crate) client: &'a dyn Fn() -> Option<IpAddr>,
}

impl AuthChecks {
    pub(crate) fn new(app: &App, config: &Config, counters: AuthCheckCounters, log_budget: LogBudget) -> Self {
        Self {
            forward_auth: ForwardAuth::new(app, config),
            introspection: Introspection::new(app, config),
            batch: BatchCheck::new(app, config),
            request_timeout: config.http.request_timeout.get(),
            body_timeout: config.http.body_timeout.get(),
            log_policy: config.log.auth_checks,
            log_budget,
            counters,
            denied_attempts: app.denied_attempts().clone(),
        }
    }

    /// Returns the endpoint of a request; `None` if it is no auth check. Forward auth accepts every
    /// method, because proxies forward the client's.
    pub(crate) fn endpoint(method: &Method, path: &str) -> Option<Endpoint> {
        if path == batch::PATH && method == Method::POST {
            return Some(Endpoint::Batch);
        }
        if ForwardAuth::matches(path) {
            return Some(Endpoint::ForwardAuth);
        }
        (path == introspection::PATH && method == Method::POST).then_some(Endpoint::Introspection)
    }

    /// Decides a check from the cache, if that is possible. `client` returns the client address.
    pub(crate) fn check_cached<B>(
        &self,
        endpoint: Endpoint,
        request: &Request<B>,
        client: &dyn Fn() -> Option<IpAddr>,
    ) -> CachedCheck {
        match endpoint {
            Endpoint::ForwardAuth => self.forward_auth.check_cached(request.headers(), request.uri().path(), client),
            Endpoint::Batch => CachedCheck::Pending(PendingCheck::Batch),
            Endpoint::Introspection | Endpoint::ExtAuthz => CachedCheck::Pending(PendingCheck::Introspection),
        }
    }

    /// Decides a check that the cache could not decide. Forward auth does not read the body.
    pub(crate) async fn complete<B>(
        &self,
        pending: PendingCheck,
        parts: &Parts,
        body: B,
        context: &RequestContext,
    ) -> CheckOutcome
    where
        B: HttpBody<Data = Bytes> + Unpin,
    {
        match pending {
            PendingCheck::ForwardAuth(pending) => {
                let check = self.forward_auth.complete(pending, &parts.headers, parts.uri.path(), context);
                match with_timeout(self.request_timeout, check).await.unwrap_or(Err(ApiError::TimedOut.into())) {
                    Ok(caller) => CheckOutcome::Allowed(caller),
                    Err(error) => CheckOutcome::Denied(error),
                }
            }
            PendingCheck::Batch => match self.check_batch(&parts.headers, body, context).await {
                Ok(outcome) => CheckOutcome::Batch(outcome),
                Err(error) => CheckOutcome::Denied(error),
            },
            PendingCheck::Introspection => match self.introspect(&parts.headers, body, context).await {
                Ok(outcome) => CheckOutcome::Introspected(outcome),
                Err(error) => CheckOutcome::OAuthDenied(error),
            },
        }
    }

    async fn check_batch<B>(
        &self,
        headers: &HeaderMap,
        body: B,
        context: &RequestContext,
    ) -> Result<BatchOutcome, Denied<ApiError>>
    where
        B: HttpBody<Data = Bytes> + Unpin,
    {
        let body = read_body(body, self.body_timeout).await?;
        let check = self.batch.check(headers, &body, context);
        with_timeout(self.request_timeout, check).await.unwrap_or(Err(ApiError::TimedOut.into()))
    }

    async fn introspect<B>(
        &self,
        headers: &HeaderMap,
        body: B,
        context: &RequestContext,
    ) -> Result<IntrospectionOutcome, Denied<OAuthError>>
    where
        B: HttpBody<Data = Bytes> + Unpin,
    {
        let body = read_body(body, self.body_timeout).await.map_err(OAuthError::from)?;
        let introspection = self.introspection.introspect(headers, &body, context);
        with_timeout(self.request_timeout, introspection)
            .await
            .unwrap_or(Err(OAuthError::from(ApiError::TimedOut).into()))
    }

    /// Renders the outcome of a check, counts it, records a denial, and writes the access log line if
    /// the log policy asks for it.
    pub(crate) fn finish(&self, outcome: CheckOutcome, request: &CheckRequestInfo<'_>) -> HttpResponse {
        let (response, caller) = match outcome {
            CheckOutcome::Allowed(caller) => {
                (self.forward_auth.allow_response(&caller, request.id).map(Either::Left), Some(caller))
            }
            CheckOutcome::Introspected(outcome) => {
                (self.introspection.response(&outcome, request.id).map(Either::Left), Some(outcome.client))
            }
            CheckOutcome::Batch(outcome) => {
                // Each token counts as one check.
                for status in outcome.statuses() {
                    self.counters.record(Endpoint::Batch, status, request.duration);
                }
                (self.batch.response(&outcome, request.id).map(Either::Left), Some(outcome.client))
            }
            CheckOutcome::Denied(error) => (error_response(error.into_response(), request.id), None),
            CheckOutcome::OAuthDenied(error) => (error_response(error.into_response(), request.id), None),
        };
        let status = response.status();
        if request.endpoint != Endpoint::Batch || status != StatusCode::OK {
            self.counters.record(request.endpoint, status, request.duration);
        }
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            let cause = response.extensions().get::<LoggedCause>().map_or("not permitted", |cause| cause.0.as_str());
            self.denied_attempts.record_auth_check(route(request.endpoint), cause);
        }
        if self.is_logged(status) {
            let span =
                access_log::request_span(request.id, request.method, route(request.endpoint), (request.client)());
            span.in_scope(|| {
                if let Some(caller) = &caller {
                    crate::http::authenticate::record_principal(caller);
                }
                access_log::log_response(&response, request.duration);
            });
        }
        response
    }

    fn is_logged(&self, status: StatusCode) -> bool {
        match self.log_policy {
            AuthCheckLogging::All => true,
            // Any client can cause denials, so they are limited. Server errors are always logged.
            AuthCheckLogging::Denied => {
                status != StatusCode::OK && (status.is_server_error() || self.log_budget.try_acquire())
            }
            AuthCheckLogging::Off => status.is_server_error(),
        }
    }
}

/// Returns the route of an endpoint for the log and for denied attempts.
const fn route(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::ForwardAuth => forward_auth::PATH,
        Endpoint::Introspection => introspection::PATH,
        Endpoint::Batch => batch::PATH,
        Endpoint::ExtAuthz => "ext_authz",
    }
}
