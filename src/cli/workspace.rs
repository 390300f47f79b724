//! `tokenward workspace`: workspaces in the database.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    GlobalOptions,
    output::{self, ListOptions, Table},
    prompt,
};
use crate::service::people::{ActorKind, CreatePerson};

/// The subcommands of `tokenward workspace`.
#[derive(Debug, Subcommand)]
pub(super) enum WorkspaceCommand {
    /// Add a workspace with its first administrator
    Add(AddWorkspace),
    /// List workspaces
    List(ListOptions),
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
}

impl WorkspaceCommand {
    pub(super) async fn run(self, global: &GlobalOptions) -> anyhow::Result<()> {
        match self {
            Self::Add(command) => command.run(global).await,
            Self::List(options) => list(global, options).await,
        }
    }
}

impl AddWorkspace {
    async fn run(self, global: &GlobalOptions) -> anyhow::Result<()> {
        let (store, app) = global.open_services().await?;
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

async fn list(global: &GlobalOptions, options: ListOptions) -> anyhow::Result<()> {
    const PAGE_SIZE: i64 = 1_000;
    let (store, app) = global.open_services().await?;
    let mut table = Table::new(&["id", "name", "createdAt"]);
    let mut offset = 0;
    loop {
        let (workspaces, _) = app.workspaces().list(ActorKind::Operator, PAGE_SIZE, offset, false).await?;
        for workspace in &workspaces {
            let created_at = workspace.created_at.to_string();
            table.push([json!(workspace.id.get()), json!(workspace.name), json!(created_at)]);
        }
        if workspaces.is_empty() {
            break;
        }
        offset += PAGE_SIZE;
    }
    store.close().await;
    table.print(options)
}
