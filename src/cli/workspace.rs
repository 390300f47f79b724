//! `tokenward workspace`: workspaces in the database.

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::{ConfigSource, output, prompt};
use crate::service::people::{ActorKind, CreatePerson};

/// The subcommands of `tokenward workspace`.
#[derive(Debug, Subcommand)]
pub(super) enum WorkspaceCommand {
    /// Add a workspace with its first administrator
    Add(AddWorkspace),
    /// List workspaces
    List(ConfigSource),
}

#[derive(Debug, Args)]
pub(super) struct AddWorkspace {
    /// Name of the workspace
    name: String,
    /// E-mail address of the first administrator
    #[arg(long)]
    admin_email: String,
    /// Name of the first administrator
    #[arg(long, default_value = "")]
    admin_name: String,
    /// Read the administrator's password from standard input
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    source: ConfigSource,
}

impl WorkspaceCommand {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Add(command) => command.run().await,
            Self::List(source) => list(source).await,
        }
    }
}

impl AddWorkspace {
    async fn run(self) -> anyhow::Result<()> {
        let (store, app) = self.source.open_services().await?;
        let password = prompt::read_new_password(self.password_stdin)?;
        let admin_data = CreatePerson {
            email: &self.admin_email,
            name: &self.admin_name,
            password: &password,
            is_admin: true,
            is_platform_admin: false,
            force_password_change: false,
        };
        let (workspace, admin) = app
            .workspaces()
            .create(ActorKind::Operator, &self.name, admin_data)
            .await
            .context("failed to add the workspace")?;
        output::print_line(format_args!("{}\t{}\t{}", workspace.id, workspace.name, admin.email))?;
        store.close().await;
        Ok(())
    }
}

async fn list(source: ConfigSource) -> anyhow::Result<()> {
    const PAGE_SIZE: i64 = 1_000;
    let (store, app) = source.open_services().await?;
    output::print_line(format_args!("id\tname\tcreated"))?;
    let mut offset = 0;
    loop {
        let (workspaces, _) = app.workspaces().list(ActorKind::Operator, PAGE_SIZE, offset, false).await?;
        for workspace in &workspaces {
            output::print_line(format_args!("{}\t{}\t{}", workspace.id, workspace.name, workspace.created_at))?;
        }
        if workspaces.is_empty() {
            break;
        }
        offset += PAGE_SIZE;
    }
    store.close().await;
    Ok(())
}
