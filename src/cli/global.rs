//! The options of every command: where the configuration and the database are.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use tokio::sync::watch;

use crate::{
    app::App,
    config::{CacheMode, Config, DatabaseUrlSetting, Overrides, Sources},
    domain::{random::Random, time::Clock},
    http::server,
    store::{OpenError, Store},
};

/// The command-line options that select the configuration. They may stand before or after the
/// command.
#[derive(Clone, Debug, Args)]
pub(super) struct GlobalOptions {
    /// Read the configuration from this TOML file; `tokenward config default` prints one
    #[arg(long, value_name = "FILE", global = true, help_heading = "Global options")]
    pub(super) config: Option<PathBuf>,
    /// Use this database: postgres://USER:PASSWORD@HOST:PORT/NAME or sqlite:FILE
    /// [env: DATABASE_URL] [default: sqlite:tokenward.db]
    #[arg(long, value_name = "URL", global = true, help_heading = "Global options")]
    database_url: Option<DatabaseUrlSetting>,
}

impl GlobalOptions {
    /// Loads the configuration; options of the command line override it.
    pub(super) fn load(&self, listen: Option<SocketAddr>) -> anyhow::Result<Config> {
        Ok(self.load_with_sources(listen)?.0)
    }

    /// Loads the configuration with the source of each value.
    pub(super) fn load_with_sources(&self, listen: Option<SocketAddr>) -> anyhow::Result<(Config, Sources)> {
        let overrides = Overrides { listen, database_url: self.database_url.clone() };
        Ok(Config::load_with_sources(self.config.as_deref(), &overrides)?)
    }

    /// Opens the store without services.
    pub(super) async fn open_store(&self) -> anyhow::Result<Store> {
        server::open_store(&self.load(None)?, false).await
    }
}

/// Opens the store and the services for a command that runs in this process. With `needs_cluster`,
/// the nodes can acknowledge its revocations.
pub(super) async fn open_services(config: &Config, needs_cluster: bool) -> anyhow::Result<(Store, App)> {
    let mut config = config.clone();
    // A command caches nothing. It still subscribes to cluster messages.
    config.cache.mode = CacheMode::Off;
    let store = server::open_store(&config, false).await?;
    let app = App::new(store.clone(), Clock::system(), Random::system(), &config)?;
    if needs_cluster {
        app.clock_floor().initialize().await?;
        let node = app.node().clone();
        tokio::spawn(async move {
            let (_stop, stopped) = watch::channel(());
            node.run(stopped).await;
        });
        // Without a subscription, a revocation waits until the leases of all nodes have expired.
        tokio::time::timeout(config.cache_limits().lease_duration, app.node().wait_until_connected()).await.ok();
    }
    Ok((store, app))
}

/// Returns whether another process has the SQLite file open.
pub(super) fn is_in_use(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(OpenError::InUse { .. }))
}
