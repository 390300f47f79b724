//! From a configuration to a running service, and to its clean stop.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context as _;
use tokio::{net::TcpListener, sync::watch};

use crate::{
    api,
    app::App,
    config::Config,
    http::client_ip::{Peer, Proxies},
    store::{Schema, Store},
    telemetry::LineBudget,
    web,
};

use super::{
    connection_limit::Crowd,
    file_limit::{Cap, FileBudget},
    listener, middleware,
    ports::{self, Ports},
    root::Service,
};
use crate::{
    auth_check::{fast_path::Checks, grpc},
    jobs as background,
    metrics::{MetricsListener, Verdicts},
};

/// How long closing the store may take.
const LONGEST_CLOSE: Duration = Duration::from_secs(5);

/// What a service needs to run.
pub struct Server {
    app: App,
    store: Store,
    config: Config,
    listener: TcpListener,
    grpc: Option<grpc::GrpcListener>,
    metrics: Option<MetricsListener>,
    budget: FileBudget,
}

impl Server {
    /// Lets clients connect to the ports that were taken; answers begin with [`Server::run`].
    ///
    /// # Errors
    /// A port that another process listens on by now.
    pub fn listen(ports: Ports, app: App, store: Store, config: Config) -> anyhow::Result<Self> {
        let Ports { http, grpc, metrics, budget } = ports;
        let listener = ports::listen(http)?;
        let grpc = grpc.map(grpc::GrpcPort::listen).transpose()?;
        let metrics = metrics.map(MetricsListener::listen).transpose()?;
        Ok(Self { app, store, config, listener, grpc, metrics, budget })
    }

    /// The address that was taken.
    ///
    /// # Errors
    /// The operating system's.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// The address that was taken for Envoy's checks, if they are answered.
    ///
    /// # Errors
    /// The operating system's.
    pub fn ext_authz_address(&self) -> anyhow::Result<Option<SocketAddr>> {
        self.grpc.as_ref().map(grpc::GrpcListener::address).transpose()
    }

    /// The address that was taken for the figures, if they are told.
    ///
    /// # Errors
    /// The operating system's.
    pub fn metrics_address(&self) -> anyhow::Result<Option<SocketAddr>> {
        self.metrics.as_ref().map(MetricsListener::address).transpose()
    }

    /// Answers requests until `stop` completes; then finishes those under way, writes what waits and closes the store.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { app, store, config, listener, grpc, metrics, budget } = self;
        let crowd = |cap: Cap| Crowd::new(cap.all, cap.of_one, proxies(&config));
        let (announce, announced) = watch::channel(false);
        let grpc = grpc.map(|grpc| grpc.serve(&app, &config, crowd(budget.grpc), announced));
        let (verdicts, lines) = (Verdicts::default(), LineBudget::new(config.log.denied_checks_per_second));
        let (end, ended) = watch::channel(());
        if let Some(metrics) = metrics {
            metrics.serve(app.live().clone(), verdicts.clone(), config.http.clone(), budget.metrics, ended.clone());
        }
        let service = counted(&app, &config, verdicts, lines.clone());
        let answer = move |request, peer| service.receive(request, Peer(peer));
        let background = background::start(&app, &store, &config.retention, lines.clone());
        let stop = async {
            stop.await;
            announce.send_replace(true);
            tracing::info!("stopping: finishing the requests under way");
        };
        listener::serve(listener, answer, &config.http, &crowd(budget.http), stop).await;
        drop((end, ended));
        if let Some(grpc) = grpc
            && tokio::time::timeout(LONGEST_CLOSE, grpc).await.is_err()
        {
            tracing::warn!("Envoy's checks were still under way");
        }
        background.stop().await;
        lines.finish();
        close(&app, &store).await;
        tracing::info!("stopped");
    }
}

/// Writes what waits and closes the store.
async fn close(app: &App, store: &Store) {
    if let Err(error) = app.tokens().flush_uses().await {
        tracing::error!(error = ?anyhow::Error::from(error), "the last uses of tokens could not be written");
    }
    if let Err(error) = app.refusals().flush(true).await {
        tracing::error!(error = ?anyhow::Error::from(error), "the last refusals could not be written");
    }
    if let Err(error) = app.clock_floor().note().await {
        tracing::error!(error = ?anyhow::Error::from(error), "failed to write the time to the database");
    }
    // A connection whose other end has vanished may never come back; what is written is written.
    if tokio::time::timeout(LONGEST_CLOSE, store.close()).await.is_err() {
        tracing::warn!("connections to the store did not come back in time");
    }
}

/// The whole service as it answers requests: API and pages within their layers. Tests call it without a port.
#[must_use]
pub fn service(app: &App, config: &Config) -> Service {
    counted(app, config, Verdicts::default(), LineBudget::new(config.log.denied_checks_per_second))
}

fn counted(app: &App, config: &Config, verdicts: Verdicts, lines: LineBudget) -> Service {
    let routes = api::routes(app, &config.delegate).merge(web::routes(app, config));
    let router = middleware::around(routes, config);
    Service::new(Checks::new(app, config, verdicts, lines), router)
}

/// The proxies whose word is taken for their clients' addresses.
pub(crate) fn proxies(config: &Config) -> Proxies {
    Proxies::new(&config.listen.trusted_proxies, config.listen.forwarded_header)
}

/// Opens the store and makes sure that its schema is this program's, migrating it first where that is asked for and the
/// configuration allows it.
///
/// # Errors
/// A store that cannot be reached, one of a newer program, or one that would need migrations that are not to be run.
pub async fn open_store(config: &Config, migrate_now: bool) -> anyhow::Result<Store> {
    let address = config.database.url.address()?;
    let store = Store::open(&address, config.store_limits())
        .await
        .with_context(|| format!("cannot open the store at {address}"))?;
    if config.database.migrate_on_start && migrate_now {
        migrate(&store).await?;
    }
    match store.schema().await? {
        Schema::Current => Ok(store),
        schema => Err(unfit(schema)),
    }
}

/// Brings the schema up to date.
///
/// # Errors
/// A store of a newer program, which is left alone.
pub async fn migrate(store: &Store) -> anyhow::Result<()> {
    match store.schema().await? {
        Schema::Current => {}
        Schema::Behind { .. } => store.migrate().await.context("cannot migrate the store")?,
        schema @ Schema::Ahead { .. } => return Err(unfit(schema)),
    }
    // What SQL alone could not migrate.
    Ok(store.review_email_keys().await?)
}

fn unfit(schema: Schema) -> anyhow::Error {
    match schema {
        Schema::Ahead { database, program } => anyhow::anyhow!(
            "the store's schema is at version {database}, this program knows version {program}: \
             a newer Tokenward has migrated it; start that one, or restore a backup"
        ),
        Schema::Behind { database, program } => anyhow::anyhow!(
            "the store's schema is at version {database}, this program needs version {program}: run tokenward migrate"
        ),
        Schema::Current => anyhow::anyhow!("the store's schema is current"),
    }
}
