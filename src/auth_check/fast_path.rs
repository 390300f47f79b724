//! Delegated checks on their short way: what the layers do for other requests is done here without them, and a check that is
//! answered from memory waits for nothing, sets no timer, opens no span and takes no lock that all of them share.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use axum::{
    body::{Bytes, HttpBody},
    http::{HeaderMap, Method, Request, StatusCode, request::Parts},
    response::{IntoResponse as _, Response},
};
use http_body_util::Either;
use tokio::time::Instant;

use crate::{
    app::App,
    auth_check::{ForwardAuth, Introspection},
    config::{Config, LogChecks},
    domain::event::Origin,
    http::{
        ApiError, Cause,
        client_ip::{Peer, Proxies},
        common_headers,
        request_id::RequestId,
    },
    service::{Refusals, request_context},
    telemetry::LineBudget,
};
use crate::{
    http::{
        middleware::{self, whole, within},
        root::{Reply, unharmed},
        server::proxies,
    },
    metrics::Verdicts,
};
use tokenward_guard::Principal;

/// What answers proxies and services that ask.
pub(crate) struct Checks {
    forward_auth: ForwardAuth,
    introspection: Introspection,
    limit: Duration,
    body_limit: Duration,
    log: LogChecks,
    lines: LineBudget,
    verdicts: Verdicts,
    proxies: Proxies,
    refusals: Refusals,
}

/// What the log says of a check.
struct Line<'a> {
    id: &'a RequestId,
    route: &'static str,
    method: &'a Method,
    caller: Option<&'a Principal>,
    took: Duration,
}

impl Checks {
    pub(crate) fn new(app: &App, config: &Config, verdicts: Verdicts, lines: LineBudget) -> Self {
        Self {
            forward_auth: ForwardAuth::new(app, &config.delegate),
            introspection: Introspection::new(app, &config.delegate),
            limit: Duration::from_millis(config.http.request_timeout_ms),
            body_limit: Duration::from_millis(config.http.body_timeout_ms),
            log: config.log.checks,
            lines,
            verdicts,
            proxies: proxies(config),
            refusals: app.refusals().clone(),
        }
    }

    /// A proxy asks what can be answered without waiting; none where it cannot.
    pub(crate) fn forward_auth_at_once<B>(&self, request: &Request<B>) -> Option<Reply> {
        let (headers, method) = (request.headers(), request.method());
        let answer = || {
            let checked = self.forward_auth.check_at_once(headers, request.uri().path())?;
            Some(self.proxys_answer(checked, headers, method, Duration::ZERO))
        };
        catch_unwind(AssertUnwindSafe(answer))
            .unwrap_or_else(|_| Some(self.proxys_answer(Err(ApiError::Internal), headers, method, Duration::ZERO)))
    }

    /// A proxy asks. The body, if any, is not read.
    pub(crate) async fn forward_auth(&self, parts: Parts, peer: Option<Peer>) -> Reply {
        let begun = Instant::now();
        let check = self.in_time(self.forward_auth.check(&parts.headers, parts.uri.path()));
        let checked = request_context::from(self.origin(peer, &parts.headers), check).await;
        self.proxys_answer(checked, &parts.headers, &parts.method, begun.elapsed())
    }

    fn proxys_answer(
        &self,
        checked: Result<Principal, ApiError>,
        headers: &HeaderMap,
        method: &Method,
        took: Duration,
    ) -> Reply {
        let id = RequestId::of(headers);
        let (reply, caller) = match checked {
            Ok(caller) => (self.forward_auth.allow(&caller, &id).map(Either::Left), Some(caller)),
            Err(error) => (refusal(error.into_response(), &id), None),
        };
        self.note(&reply, &Line { id: &id, route: "/v4/auth", method, caller: caller.as_ref(), took });
        reply
    }

    /// A service asks by introspection.
    pub(crate) async fn introspect<B>(&self, parts: Parts, body: B, peer: Option<Peer>) -> Reply
    where
        B: HttpBody<Data = Bytes> + Unpin,
    {
        let begun = Instant::now();
        let id = RequestId::of(&parts.headers);
        let asked = async {
            let body = unharmed(whole(body, self.body_limit)).await.unwrap_or(Err(ApiError::Internal))?;
            self.in_time(self.introspection.ask(&parts.headers, &body)).await
        };
        let origin = self.origin(peer, &parts.headers);
        let (reply, asker) = match request_context::from(origin, asked).await {
            Ok(asked) => (self.introspection.tell(&asked, &id).map(Either::Left), Some(asked.asker)),
            Err(error) => (refusal(error.into_response(), &id), None),
        };
        let (method, took) = (&parts.method, begun.elapsed());
        self.note(&reply, &Line { id: &id, route: "/oauth2/introspect", method, caller: asker.as_ref(), took });
        reply
    }

    /// Whence a check comes. The id of the request is not needed: what is written down of checks is written down together.
    fn origin(&self, peer: Option<Peer>, headers: &HeaderMap) -> Origin {
        self.proxies.source(peer, headers)
    }

    async fn in_time<T, E: From<ApiError>>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        match unharmed(within(self.limit, work)).await {
            Some(Some(done)) => done,
            Some(None) => Err(ApiError::Slow.into()),
            None => Err(ApiError::Internal.into()),
        }
    }

    /// Counts the check, and writes its line where one is asked for.
    fn note(&self, reply: &Reply, line: &Line<'_>) {
        let status = reply.status();
        self.verdicts.count(status);
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            let cause = reply.extensions().get::<Cause>().map_or("not permitted", |cause| cause.0.as_str());
            self.refusals.note_check(line.route, cause);
        }
        let is_wanted = match self.log {
            LogChecks::All => true,
            // Anybody can send such a check; what goes wrong on this side is always worth a line.
            LogChecks::Refused => status != StatusCode::OK && (status.is_server_error() || self.lines.admit()),
            LogChecks::Off => status.is_server_error(),
        };
        if is_wanted {
            line.write(reply);
        }
    }
}

impl Line<'_> {
    fn write(&self, reply: &Reply) {
        let span = tracing::info_span!(
            "request",
            request.id = self.id.as_str(),
            http.method = middleware::known_method(self.method),
            http.route = self.route,
            person.id = self.caller.map(|caller| caller.person_id),
            token.id = self.caller.and_then(|caller| caller.token()).map(|token| tracing::field::display(token.id)),
        );
        span.in_scope(|| middleware::answered(reply, self.took));
    }
}

/// A refusal with the headers of all answers.
pub(crate) fn refusal(mut response: Response, id: &RequestId) -> Reply {
    if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
        response = ApiError::internal(id.as_str());
    }
    common_headers::finish(response.headers_mut(), id);
    response.map(Either::Right)
}
