//! The command line: one file per command.

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
    config::{CacheMode, Config, DatabaseUrl, Overrides},
    domain::{random::Random, time::Clock},
    http::server,
    store::Store,
    telemetry::say,
};
pub use output::Closed;

/// Issues API access tokens and answers who holds one.
///
/// Without a command it serves.
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
    /// Answer requests (the default)
    Serve(serve::Serve),
    /// Bring the store's schema up to date
    Migrate(Source),
    /// Add, list and change people, straight in the store
    #[command(subcommand)]
    Person(person::Person),
    /// Add and list workspaces, straight in the store
    #[command(subcommand)]
    Workspace(workspace::Workspace),
    /// Verify and export the events, straight from the store
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Look after the time that the database remembers
    #[command(subcommand)]
    Clock(clock::Clock),
    /// Look after what the nodes of a database share
    #[command(subcommand)]
    Cluster(cluster::Cluster),
    /// Print rules by which a secret scanner finds token values
    ScannerRules(scanner_rules::ScannerRules),
    /// Print the configuration
    #[command(subcommand)]
    Config(config::Config),
    /// Print the OpenAPI document
    Openapi,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Where the configuration comes from.
#[derive(Clone, Debug, Args)]
struct Source {
    /// Configuration file (TOML); `tokenward config default` prints one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// postgres://USER:PASSWORD@HOST:PORT/NAME or sqlite:FILE
    #[arg(long, value_name = "URL")]
    database_url: Option<DatabaseUrl>,
}

impl Source {
    fn load(&self, listen: Option<SocketAddr>) -> anyhow::Result<Config> {
        let overrides = Overrides { listen, database_url: self.database_url.clone() };
        Ok(Config::load(self.config.as_deref(), &overrides)?)
    }

    /// Opens store and services for a command that works straight on the store.
    async fn open(&self) -> anyhow::Result<(Store, App)> {
        let mut config = self.load(None)?;
        // A command keeps nothing in mind. But it listens, for the nodes to say that they have heard what it did.
        config.cache.mode = CacheMode::Off;
        let store = server::open_store(&config, false).await?;
        let app = App::new(store.clone(), Clock::system(), Random::system(), &config)?;
        app.clock_floor().begin().await?;
        let live = app.live().clone();
        tokio::spawn(async move {
            let (_until_the_end, stopped) = watch::channel(());
            live.run(stopped).await;
        });
        // Unheard, the nodes are waited for until their leases have run out.
        tokio::time::timeout(config.memory_limits().lease, app.live().is_hearing()).await.ok();
        Ok((store, app))
    }
}

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    /// Whatever kept it from being done, for people to read.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command.unwrap_or(Command::Serve(self.serve)) {
            Command::Serve(serve) => wait_for(serve.run()),
            Command::Migrate(source) => wait_for(migrate(source)),
            Command::Person(person) => wait_for(person.run()),
            Command::Workspace(workspace) => wait_for(workspace.run()),
            Command::Audit(audit) => wait_for(audit.run()),
            Command::Clock(clock) => wait_for(clock.run()),
            Command::Cluster(cluster) => wait_for(cluster.run()),
            Command::ScannerRules(rules) => rules.run(),
            Command::Config(config) => config.run(),
            Command::Openapi => output::line(format_args!("{}", openapi::text())),
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), "tokenward", &mut script);
                output::print(format_args!("{}", String::from_utf8_lossy(&script)))
            }
        }
    }
}

fn wait_for(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

async fn migrate(source: Source) -> anyhow::Result<()> {
    let config = source.load(None)?;
    let address = config.database.url.address()?;
    let store = Store::open(&address, config.store_limits()).await?;
    server::migrate(&store).await?;
    say(format_args!("the store at {address} is up to date"));
    store.close().await;
    Ok(())
}
