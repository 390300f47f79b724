//! The command line, one file per command.

mod arguments;
mod audit;
mod backup;
mod clock;
mod cluster;
mod config;
mod first_start;
mod global;
mod health;
mod invocation;
mod login;
mod mail;
mod manual;
mod output;
mod parse;
mod person;
mod prompt;
mod scanner_rules;
mod scim;
mod serve;
mod socket;
mod sso;
mod status;
mod store_command;
mod token;
mod workspace;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::{api::openapi, http::server, store::OpenError, telemetry::print_notice};
use global::GlobalOptions;
pub use output::StdoutClosed;

/// The version of the package, with the commit in a release build from a repository.
const VERSION: &str = match option_env!("TOKENWARD_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

/// Issue API access tokens and tell services who a token belongs to
///
/// Without a command, runs the server.
#[derive(Debug, Parser)]
#[command(
    version = VERSION,
    about,
    after_help = "Documentation: docs/ in the source code. `tokenward config default` describes every configuration key; \
                  each has an environment variable, such as TOKENWARD_LISTEN__HTTP for listen.http."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Serve,
    #[command(flatten)]
    global: GlobalOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (default)
    Serve(serve::Serve),
    /// Migrate the database schema to this version
    Migrate,
    #[command(flatten)]
    Store(store_command::StoreCommand),
    /// Create a token for a program on this machine, approved in a browser
    Login(login::Login),
    /// Check whether the service on this machine is ready; the exit code is the result
    Health,
    /// Reset the latest time in the database
    #[command(subcommand)]
    Clock(clock::ClockCommand),
    /// Manage secrets shared by all nodes
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// Print detection rules for a secret scanner
    ScannerRules(scanner_rules::ScannerRules),
    /// Test the SMTP server of [mail]
    #[command(subcommand)]
    Mail(mail::MailCommand),
    /// Check and print the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print the OpenAPI document
    Openapi,
    /// Print a shell completion script
    Completions {
        /// Shell, for example bash
        shell: clap_complete::Shell,
    },
    /// Print the manual page, for example: tokenward man | man -l -
    Man(manual::Manual),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// If the command fails; the chain of causes is meant for people.
    pub fn run(self) -> anyhow::Result<()> {
        let Self { command, serve, global } = self;
        match command.unwrap_or(Command::Serve(serve::Serve::default())) {
            Command::Serve(inner) => block_on(inner.or(serve).run(&global)),
            Command::Migrate => block_on(migrate(&global)),
            Command::Store(command) => block_on(command.run(&global)),
            Command::Login(login) => block_on(login.run()),
            Command::Health => health::run(&global),
            Command::Clock(clock) => block_on(clock.run(&global)),
            Command::Cluster(cluster) => block_on(cluster.run(&global)),
            Command::ScannerRules(rules) => rules.run(&global),
            Command::Mail(mail) => block_on(mail.run(&global)),
            Command::Config(config) => config.run(&global),
            Command::Openapi => {
                let public_url = global.load(None)?.public_url();
                output::print_line(format_args!("{}", openapi::document_json_for(&public_url)))
            }
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), "tokenward", &mut script);
                output::print(format_args!("{}", String::from_utf8_lossy(&script)))
            }
            Command::Man(manual) => manual.run(Self::command()),
        }
    }
}

/// Runs a command in a multi-threaded runtime.
fn block_on(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(command)
}

async fn migrate(global: &GlobalOptions) -> anyhow::Result<()> {
    let config = global.load(None)?;
    let opened = server::wait_for_store(&config, |error| print_notice(format_args!("waiting: {error}"))).await;
    let store = opened.map_err(|error| match error.downcast_ref() {
        Some(OpenError::InUse { file }) => anyhow::anyhow!(
            "{file} is in use by another process: stop it first, or restart it, because the service migrates the \
             schema at its start"
        ),
        _ => error,
    })?;
    server::migrate(&store).await?;
    print_notice(format_args!("the database schema at {} is up to date", config.database.url));
    store.close().await;
    Ok(())
}
