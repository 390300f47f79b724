//! The command line, one file per command.

mod audit;
mod clock;
mod cluster;
mod config;
mod output;
mod person;
mod prompt;
mod scanner_rules;
mod serve;
mod workspace;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use tokio::sync::watch;

use crate::{
    api::openapi,
    app::App,
    config::{CacheMode, Config, DatabaseUrlSetting, Overrides},
    domain::{random::Random, time::Clock},
    http::server,
    store::Store,
    telemetry::print_notice,
};
pub use output::StdoutClosed;

/// Issue API access tokens and tell services who a token belongs to
///
/// Without a command, runs the server.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (default)
    Serve(serve::Serve),
    /// Migrate the database schema to this version
    Migrate(ConfigSource),
    /// Add, list and update people in the database
    #[command(subcommand)]
    Person(person::PersonCommand),
    /// Add and list workspaces in the database
    #[command(subcommand)]
    Workspace(workspace::WorkspaceCommand),
    /// Verify and export the audit log
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Reset the latest time in the database
    #[command(subcommand)]
    Clock(clock::ClockCommand),
    /// Manage secrets shared by all nodes
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// Print detection rules for a secret scanner
    ScannerRules(scanner_rules::ScannerRules),
    /// Print the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print the OpenAPI document
    Openapi,
    /// Print a shell completion script
    Completions {
        /// Shell, for example bash
        shell: clap_complete::Shell,
    },
}

/// The command-line options that select the configuration.
#[derive(Clone, Debug, Args)]
struct ConfigSource {
    /// Read the configuration from this TOML file; `tokenward config default` prints one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Use this database: postgres://USER:PASSWORD@HOST:PORT/NAME or sqlite:FILE
    #[arg(long, value_name = "URL")]
    database_url: Option<DatabaseUrlSetting>,
}

impl ConfigSource {
    /// Loads the configuration; options of the command line override it.
    fn load(&self, listen: Option<SocketAddr>) -> anyhow::Result<Config> {
        let overrides = Overrides { listen, database_url: self.database_url.clone() };
        Ok(Config::load(self.config.as_deref(), &overrides)?)
    }

    /// Opens the store and the services for a command that changes the database directly.
    async fn open_services(&self) -> anyhow::Result<(Store, App)> {
        let mut config = self.load(None)?;
        // A command caches nothing. It still subscribes to cluster messages, so that the nodes can
        // acknowledge its revocations.
        config.cache.mode = CacheMode::Off;
        let store = server::open_store(&config, false).await?;
        let app = App::new(store.clone(), Clock::system(), Random::system(), &config)?;
        app.clock_floor().initialize().await?;
        let node = app.node().clone();
        tokio::spawn(async move {
            let (_stop, stopped) = watch::channel(());
            node.run(stopped).await;
        });
        // Without a subscription, a revocation waits until the leases of all nodes have expired.
        tokio::time::timeout(config.cache_limits().lease_duration, app.node().wait_until_connected()).await.ok();
        Ok((store, app))
    }
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// If the command fails; the chain of causes is meant for people.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command.unwrap_or(Command::Serve(self.serve)) {
            Command::Serve(serve) => block_on(serve.run()),
            Command::Migrate(source) => block_on(migrate(source)),
            Command::Person(person) => block_on(person.run()),
            Command::Workspace(workspace) => block_on(workspace.run()),
            Command::Audit(audit) => block_on(audit.run()),
            Command::Clock(clock) => block_on(clock.run()),
            Command::Cluster(cluster) => block_on(cluster.run()),
            Command::ScannerRules(rules) => rules.run(),
            Command::Config(config) => config.run(),
            Command::Openapi => output::print_line(format_args!("{}", openapi::document_json())),
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), "tokenward", &mut script);
                output::print(format_args!("{}", String::from_utf8_lossy(&script)))
            }
        }
    }
}

/// Runs a command in a multi-threaded runtime.
fn block_on(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(command)
}

async fn migrate(source: ConfigSource) -> anyhow::Result<()> {
    let config = source.load(None)?;
    let address = config.database.url.address()?;
    let store = Store::open(&address, config.store_limits()).await?;
    server::migrate(&store).await?;
    print_notice(format_args!("the database schema at {address} is up to date"));
    store.close().await;
    Ok(())
}
