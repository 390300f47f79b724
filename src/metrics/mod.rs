//! Prometheus metrics: the registry, and the values that are collected for each scrape.

mod directories;
mod listener;
mod process;
mod service;
mod text_format;

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use crate::{
    app::App,
    auth_check::AuthCheckCounters,
    http::{connection_limit::ConnectionLimiter, request_metrics::RequestMetrics},
    service::webhooks::WebhookCounters,
    store::Store,
};
pub(crate) use listener::MetricsListener;
use service::ServiceCollector;

/// The commit of the program, if the build knew it.
const COMMIT: &str = match option_env!("TOKENWARD_COMMIT") {
    Some(commit) if !commit.is_empty() => commit,
    _ => "unknown",
};

/// The sources of the metrics.
pub(crate) struct Sources<'a> {
    pub(crate) app: &'a App,
    pub(crate) store: &'a Store,
    pub(crate) requests: &'a RequestMetrics,
    pub(crate) checks: &'a AuthCheckCounters,
    /// The connections of the HTTP port.
    pub(crate) connections: &'a ConnectionLimiter,
}

/// Creates the registry of a service. Names start with `tokenward_`, those of the process with
/// `process_`.
pub(crate) fn registry(sources: &Sources<'_>) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(process::ProcessCollector::new()));
    let service = registry.sub_registry_with_prefix("tokenward");
    register_requests(service, sources);
    if let Some(durations) = sources.app.node().propagation_durations() {
        service.register_with_unit(
            "revocation_propagation",
            "Time until no node accepts a revoked right",
            Unit::Seconds,
            durations.clone(),
        );
    }
    let build_info = Family::<[(&'static str, &'static str); 2], Gauge>::default();
    build_info.get_or_create(&[("version", env!("CARGO_PKG_VERSION")), ("commit", COMMIT)]).set(1);
    service.register("build_info", "Version and commit of the program", build_info);
    service.register_collector(Box::new(ServiceCollector {
        app: sources.app.clone(),
        store: sources.store.clone(),
        connections: sources.connections.clone(),
    }));
    registry
}

fn register_requests(service: &mut Registry, sources: &Sources<'_>) {
    let Sources { app, requests, checks, .. } = sources;
    service.register("http_requests", "Responses of the API and the pages", requests.requests.clone());
    service.register_with_unit(
        "http_request_duration",
        "Time from a complete header to the response",
        Unit::Seconds,
        requests.durations.clone(),
    );
    service.register("auth_checks", "Auth checks by entry point and result", checks.checks());
    service.register_with_unit(
        "auth_check_duration",
        "Time from the complete header of an auth check to its result",
        Unit::Seconds,
        checks.durations(),
    );
    register_webhooks(service, app.webhooks().counters());
    let mail = app.mail().counters();
    service.register("mail_attempts", "Attempts to send e-mail, by kind and outcome", mail.attempts());
    service.register("mail_given_up", "Messages that were given up", mail.given_up());
    let exchanges = app.workload_identity().counters().family();
    service.register("token_exchanges", "Exchanges of a JWT for a token, by result", exchanges);
    service.register("sign_ins", "Sign-ins by password, by entry point and result", app.sign_in().counters().family());
    let devices = app.device_authorizations().counters().family();
    service.register("device_authorizations", "Device authorizations by result", devices);
}

fn register_webhooks(service: &mut Registry, counters: &WebhookCounters) {
    service.register("webhook_deliveries", "Attempts to deliver events to webhooks, by outcome", counters.attempts());
    service.register_with_unit(
        "webhook_delivery_duration",
        "Time of an attempt to deliver an event to a webhook",
        Unit::Seconds,
        counters.durations(),
    );
    service.register("webhooks_disabled", "Webhooks that were disabled because of failures", counters.disabled());
    let help = "Events of tokens that expire soon";
    service.register("token_expiry_warnings", help, counters.expiry_warnings());
}
