//! `tokenward workspace`: workspaces, straight in the store.

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::{Source, output, prompt};
use crate::service::people::{Add, By};

/// What can be done with workspaces.
#[derive(Debug, Subcommand)]
pub(super) enum Workspace {
    /// Make a workspace together with its first administrator
    Add(AddWorkspace),
    /// List the workspaces
    List(Source),
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
    source: Source,
}

impl Workspace {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Add(add) => add.run().await,
            Self::List(source) => list(source).await,
        }
    }
}

impl AddWorkspace {
    async fn run(self) -> anyhow::Result<()> {
        let (store, app) = self.source.open().await?;
        let password = prompt::new_password(self.password_stdin)?;
        let add = Add {
            email: &self.admin_email,
            name: &self.admin_name,
            password: &password,
            is_admin: true,
            is_platform_admin: false,
            force_password_change: false,
        };
        let (workspace, admin) =
            app.workspaces().create(By::Operator, &self.name, add).await.context("no workspace was made")?;
        output::line(format_args!("{}\t{}\t{}", workspace.id, workspace.name, admin.email))?;
        store.close().await;
        Ok(())
    }
}

async fn list(source: Source) -> anyhow::Result<()> {
    const AT_ONCE: i64 = 1_000;
    let (store, app) = source.open().await?;
    output::line(format_args!("id\tname\tcreated"))?;
    let mut offset = 0;
    loop {
        let (workspaces, _) = app.workspaces().list(By::Operator, AT_ONCE, offset, false).await?;
        for workspace in &workspaces {
            output::line(format_args!("{}\t{}\t{}", workspace.id, workspace.name, workspace.created_at))?;
        }
        if workspaces.is_empty() {
            break;
        }
        offset += AT_ONCE;
    }
    store.close().await;
    Ok(())
}
