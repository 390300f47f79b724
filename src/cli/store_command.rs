//! Commands on the store. They run in this process or, if a running service has the SQLite file
//! open, in that service through the command socket.

use std::time::Duration;

use anyhow::Context as _;
use clap::Subcommand;

use super::{
    audit::AuditCommand,
    backup::Backup,
    global::{self, GlobalOptions},
    invocation::{Invocation, Services},
    output::Output,
    person::PersonCommand,
    prompt::Password,
    scim::ScimCommand,
    socket,
    sso::SsoCommand,
    status::Status,
    token::TokenCommand,
    workspace::WorkspaceCommand,
};
use crate::config::Config;

/// The maximum time of `tokenward status`. Other commands may take as long as they need.
const STATUS_TIMEOUT: Duration = Duration::from_secs(10);

/// The commands on the store.
#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Add, list, update and remove people in the database
    #[command(subcommand)]
    Person(PersonCommand),
    /// List, create and delete access tokens in the database
    #[command(subcommand)]
    Token(TokenCommand),
    /// Add and list workspaces in the database
    #[command(subcommand)]
    Workspace(WorkspaceCommand),
    /// Test identity providers, sync with directories and link people to their entries
    #[command(subcommand)]
    Sso(SsoCommand),
    /// Create, list and revoke the credentials of provisioning clients
    #[command(subcommand)]
    Scim(ScimCommand),
    /// Verify and export the audit log
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Write a copy of a SQLite database; a running service writes it as its own user
    Backup(Backup),
    /// Print the state of the service and its database; exit code 1 if the service is not ready
    Status(Status),
}

impl StoreCommand {
    /// Runs the command and prints its output.
    pub(super) async fn run(self, global: &GlobalOptions) -> anyhow::Result<()> {
        let config = global.load(None)?;
        let this = match self {
            Self::Sso(SsoCommand::Test(test)) => return test.run_without_store(&config).await,
            other => other,
        };
        this.run_on_store(&config).await
    }

    async fn run_on_store(self, config: &Config) -> anyhow::Result<()> {
        // The database is not opened yet: a lock on it would last while a person types.
        let invocation = Invocation::of_process(self.read_password()?)?;
        let service = socket::connect(config).await?;
        if let Self::Status(status) = self {
            let Some(service) = service else { return status.run_without_service(config).await };
            let report = tokio::time::timeout(STATUS_TIMEOUT, service.run(invocation)).await;
            return report.context("the service does not respond on its command socket")?;
        }
        if let Some(service) = service {
            return service.run(invocation).await;
        }
        let (store, app) = match global::open_services(config, self.needs_cluster()).await {
            Ok(opened) => opened,
            Err(error) if global::is_in_use(&error) => {
                // The service may have started in the meantime.
                let service = socket::connect(config).await?.ok_or_else(|| socket::no_response(config))?;
                return service.run(invocation).await;
            }
            Err(error) => return Err(error),
        };
        let services = Services { store, app, running: None };
        let mut output = Output::to_process();
        let result = self.run_with(&services, &invocation, &mut output).await;
        services.store.close().await;
        result
    }

    /// Runs the command with open services, and flushes the output. A failure is reported even if
    /// standard output is closed.
    pub(super) async fn run_with(
        self,
        services: &Services,
        invocation: &Invocation,
        output: &mut Output,
    ) -> anyhow::Result<()> {
        let result = match self {
            Self::Person(person) => person.run(services, invocation, output).await,
            Self::Token(token) => token.run(services, invocation, output).await,
            Self::Workspace(workspace) => workspace.run(services, invocation, output).await,
            Self::Sso(sso) => sso.run(services, invocation, output).await,
            Self::Scim(scim) => scim.run(services, output).await,
            Self::Audit(audit) => audit.run(&services.store, output).await,
            Self::Backup(backup) => backup.run(services, invocation, output).await,
            Self::Status(status) => status.run(services, output).await,
        };
        let flushed = output.flush().await;
        result.and(flushed)
    }

    /// Reads the password that the command needs, if any.
    fn read_password(&self) -> anyhow::Result<Option<Password>> {
        match self {
            Self::Person(person) => person.read_password(),
            Self::Token(token) => token.read_password(),
            Self::Workspace(workspace) => workspace.read_password(),
            Self::Sso(_) | Self::Scim(_) | Self::Audit(_) | Self::Backup(_) | Self::Status(_) => Ok(None),
        }
    }

    /// Returns whether the command may revoke something on other nodes.
    fn needs_cluster(&self) -> bool {
        matches!(self, Self::Person(_) | Self::Token(_) | Self::Workspace(_) | Self::Sso(_))
    }
}
