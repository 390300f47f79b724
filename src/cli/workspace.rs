//! `tokenward workspace`: workspaces in the database.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    invocation::{Invocation, Services},
    output::{ListOptions, Output, Table},
    prompt::{self, Password},
};
use crate::{
    app::App,
    service::people::{ActorKind, CreatePerson},
};

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
    /// Reads the password that the command needs, if any.
    pub(super) fn read_password(&self) -> anyhow::Result<Option<Password>> {
        match self {
            Self::Add(add) => prompt::read_new_password(add.password_stdin).map(Some),
            Self::List(_) => Ok(None),
        }
    }

    pub(super) async fn run(
        self,
        Services { app, .. }: &Services,
        invocation: &Invocation,
        output: &mut Output,
    ) -> anyhow::Result<()> {
        match self {
            Self::Add(command) => command.run(app, invocation.password()?, output).await,
            Self::List(options) => list(app, options, output).await,
        }
    }
}

impl AddWorkspace {
    async fn run(self, app: &App, password: &str, output: &mut Output) -> anyhow::Result<()> {
        let admin_data = CreatePerson {
            email: &self.admin_email,
            name: &self.admin_name,
            password,
            is_admin: true,
            is_platform_admin: false,
            force_password_change: false,
        };
        let (workspace, admin) = app
            .workspaces()
            .create(ActorKind::Operator, &self.name, admin_data)
            .await
            .context("failed to add the workspace")?;
        output.print_line(format_args!("{}\t{}\t{}", workspace.id, workspace.name, admin.email));
        Ok(())
    }
}

async fn list(app: &App, options: ListOptions, output: &mut Output) -> anyhow::Result<()> {
    const PAGE_SIZE: i64 = 1_000;
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
    table.print(options, output);
    Ok(())
}
