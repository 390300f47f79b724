//! The server: start from a configuration, run and clean shutdown.

use std::{net::SocketAddr, time::Duration};

use tokio::{net::TcpListener, sync::watch, time::Instant};

use crate::{
    api,
    app::App,
    config::Config,
    domain::causes::Causes,
    http::client_ip::{PeerAddr, TrustedProxies},
    scim,
    store::{OpenError, SchemaStatus, Store},
    telemetry::LogBudget,
    web,
};

use super::{
    connection_limit::ConnectionLimiter,
    file_limit::{ConnectionBudget, ConnectionLimits},
    listener, middleware,
    pipeline::HttpService,
    ports::Ports,
    request_metrics::RequestMetrics,
    routes::Routes,
    socket,
};
use crate::{
    auth_check::{AuthCheckCounters, AuthChecks, grpc},
    jobs,
    metrics::{self, MetricsListener},
};

/// The maximum duration of closing the store, and of finishing gRPC calls.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The delay between two attempts to reach the database at startup.
const STARTUP_RETRY_DELAY: Duration = Duration::from_millis(500);

/// A service that is ready to run.
pub struct Server {
    app: App,
    store: Store,
    config: Config,
    listener: TcpListener,
    grpc: Option<grpc::GrpcListener>,
    metrics: Option<MetricsListener>,
    budget: ConnectionBudget,
}

impl Server {
    /// Starts to listen on the bound ports. Requests are served by [`Server::run`]. If the port is 0,
    /// the configuration gets the port that the operating system picked, because the public URL may
    /// be derived from it.
    ///
    /// # Errors
    /// If another process listens on a port by now.
    pub fn listen(ports: Ports, app: App, store: Store, mut config: Config) -> anyhow::Result<Self> {
        let Ports { http, grpc, metrics, budget } = ports;
        let listener = socket::listen(http)?;
        config.listen.http = listener.local_addr()?;
        let grpc = grpc.map(grpc::GrpcPort::listen).transpose()?;
        let metrics = metrics.map(MetricsListener::listen).transpose()?;
        Ok(Self { app, store, config, listener, grpc, metrics, budget })
    }

    /// Returns the address of the HTTP port.
    ///
    /// # Errors
    /// If the operating system does not report the address.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the address of the `ext_authz` port, if it is configured.
    ///
    /// # Errors
    /// If the operating system does not report the address.
    pub fn ext_authz_address(&self) -> anyhow::Result<Option<SocketAddr>> {
        self.grpc.as_ref().map(grpc::GrpcListener::address).transpose()
    }

    /// Returns the address of the metrics port, if it is configured.
    ///
    /// # Errors
    /// If the operating system does not report the address.
    pub fn metrics_address(&self) -> anyhow::Result<Option<SocketAddr>> {
        self.metrics.as_ref().map(MetricsListener::address).transpose()
    }

    /// Serves requests until `stop` completes. Then finishes requests in progress, flushes buffers
    /// and closes the store.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { app, store, config, listener, grpc, metrics, budget } = self;
        let limiter =
            |limits: ConnectionLimits| ConnectionLimiter::new(limits.total, limits.per_ip, trusted_proxies(&config));
        let http_limiter = limiter(budget.http);
        let (shutdown_sender, shutdown_receiver) = watch::channel(false);
        let measurements = Measurements::default();
        let checks = measurements.checks.clone();
        let grpc = grpc.map(|grpc| grpc.serve(&app, &config, limiter(budget.grpc), checks, shutdown_receiver));
        let log_budget = LogBudget::new(config.log.denied_auth_checks_per_second);
        let (metrics_stop, metrics_stopped) = watch::channel(());
        let has_metrics = metrics.is_some();
        if let Some(metrics) = metrics {
            let Measurements { requests, checks } = &measurements;
            let sources = metrics::Sources { app: &app, store: &store, requests, checks, connections: &http_limiter };
            let (registry, health) = (metrics::registry(&sources), app.health().clone());
            metrics.serve(registry, health, config.http.clone(), budget.metrics, metrics_stopped.clone());
        }
        let service = build_service(&app, &config, measurements, log_budget.clone());
        let handler = move |request, peer| service.handle_from_network(request, PeerAddr(peer));
        let token_statistics = has_metrics.then(|| app.token_statistics().clone());
        let jobs = jobs::start(&app, &store, &config.retention, log_budget.clone(), token_statistics);
        let stop = async {
            stop.await;
            shutdown_sender.send_replace(true);
            tracing::info!("shutting down; finishing requests in progress");
        };
        listener::serve(listener, handler, &config.http, &http_limiter, stop).await;
        drop((metrics_stop, metrics_stopped));
        if let Some(grpc) = grpc
            && tokio::time::timeout(CLOSE_TIMEOUT, grpc).await.is_err()
        {
            tracing::warn!("timed out waiting for ext_authz checks in progress");
        }
        jobs.stop().await;
        log_budget.report_remaining();
        close(&app, &store).await;
        tracing::info!("stopped");
    }
}

/// Flushes buffers and closes the store.
async fn close(app: &App, store: &Store) {
    if let Err(error) = app.tokens().flush_last_used().await {
        tracing::error!(error = %Causes(&error), "failed to flush last-used timestamps");
    }
    if let Err(error) = app.denied_attempts().flush(true).await {
        tracing::error!(error = %Causes(&error), "failed to flush denied attempts");
    }
    if let Err(error) = app.clock_floor().sync().await {
        tracing::error!(error = %Causes(&error), "failed to record the latest time");
    }
    // A connection with an unreachable peer may never be returned. All data is already committed.
    if tokio::time::timeout(CLOSE_TIMEOUT, store.close()).await.is_err() {
        tracing::warn!("timed out closing database connections");
    }
}

/// Builds the root HTTP service: auth checks, API and pages with their middleware. Tests call it
/// without a port.
#[must_use]
pub fn service(app: &App, config: &Config) -> HttpService {
    let log_budget = LogBudget::new(config.log.denied_auth_checks_per_second);
    build_service(app, config, Measurements::default(), log_budget)
}

/// The metrics that the service updates while it handles requests.
#[derive(Default)]
struct Measurements {
    requests: RequestMetrics,
    checks: AuthCheckCounters,
}

fn build_service(app: &App, config: &Config, measurements: Measurements, log_budget: LogBudget) -> HttpService {
    let pages = web::routes(app, config, api::openapi::document());
    let routes = api::routes(app, config).merge(scim::routes(app, config)).merge(pages);
    let router = middleware::apply_layers(routes, config);
    let auth_checks = AuthChecks::new(app, config, measurements.checks, log_budget);
    let error_pages = web::ErrorPages::new(app, config);
    let trusted_proxies = trusted_proxies(config);
    HttpService::new(auth_checks, Routes { router, trusted_proxies, error_pages, metrics: measurements.requests })
}

/// Returns the trusted proxies of the configuration.
pub(crate) fn trusted_proxies(config: &Config) -> TrustedProxies {
    TrustedProxies::new(&config.listen.trusted_proxies, config.listen.forwarded_header)
}

/// Opens the store and checks its schema version. For a server (`is_server`), waits for the
/// database and migrates it first if `database.migrate_on_start` is set.
///
/// # Errors
/// If the store cannot be reached, or its schema is newer or older than this program's.
pub async fn open_store(config: &Config, is_server: bool) -> anyhow::Result<Store> {
    let store = if is_server {
        wait_for_store(config, |error| tracing::warn!(cause = %error, "waiting for PostgreSQL")).await?
    } else {
        Store::open(&config.database.url.address()?, config.store_limits()).await?
    };
    if config.database.migrate_on_start && is_server {
        migrate(&store).await?;
    }
    match store.schema_status().await? {
        SchemaStatus::Current => Ok(store),
        schema => Err(schema_error(schema)),
    }
}

/// Opens the store. While PostgreSQL cannot be reached or is starting, tries again until
/// `database.startup_timeout` has passed. Calls `report` once, before the first wait.
///
/// # Errors
/// The last reason why the store cannot be opened.
pub async fn wait_for_store(config: &Config, report: impl FnOnce(&OpenError)) -> anyhow::Result<Store> {
    let address = config.database.url.address()?;
    let deadline = Instant::now() + config.database.startup_timeout.get();
    let mut report = Some(report);
    loop {
        match Store::open(&address, config.store_limits()).await {
            Err(error) if error.is_temporary() && Instant::now() < deadline => {
                if let Some(report) = report.take() {
                    report(&error);
                }
                tokio::time::sleep(STARTUP_RETRY_DELAY).await;
            }
            opened => return Ok(opened?),
        }
    }
}

/// Migrates the schema to the version of this program.
///
/// # Errors
/// If the schema is newer than this program, or a migration fails.
pub async fn migrate(store: &Store) -> anyhow::Result<()> {
    match store.schema_status().await? {
        SchemaStatus::Current => {}
        SchemaStatus::Behind { .. } => store.migrate().await?,
        schema @ (SchemaStatus::Ahead { .. } | SchemaStatus::Incompatible { .. }) => return Err(schema_error(schema)),
    }
    Ok(())
}

/// Returns the error of a schema that is not the one of this program, with its remedy.
pub(crate) fn schema_error(schema: SchemaStatus) -> anyhow::Error {
    match schema {
        SchemaStatus::Ahead { database, program } => anyhow::anyhow!(
            "the database schema has version {database}, newer than version {program} of this program: \
             start the newer Tokenward, or restore a backup"
        ),
        SchemaStatus::Behind { database, program } => anyhow::anyhow!(
            "the database schema has version {database}, this program needs version {program}: run tokenward migrate"
        ),
        SchemaStatus::Incompatible { version } => anyhow::anyhow!(
            "migration {version} of the database differs from this program's: a development version before 0.1 created the \
             database; create a new database"
        ),
        SchemaStatus::Current => anyhow::anyhow!("the database schema is current"),
    }
}
