//! `tokenward person`: people, straight in the store.

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};

use super::{Source, output, prompt};
use crate::{
    domain::workspace::FIRST,
    service::{
        Refusal,
        people::{Add, By, Change},
    },
    telemetry::say,
};

/// What can be done with people.
#[derive(Debug, Subcommand)]
pub(super) enum Person {
    /// Add somebody
    Add(AddPerson),
    /// List the people of a workspace
    List(List),
    /// Set somebody's password
    SetPassword(SetPassword),
    /// Let somebody in neither by password nor by token
    Disable(Named),
    /// Let somebody in again
    Enable(Named),
}

#[derive(Debug, Args)]
pub(super) struct AddPerson {
    /// E-mail address
    email: String,
    /// Name
    #[arg(long, default_value = "")]
    name: String,
    /// Workspace id
    #[arg(long, default_value_t = FIRST)]
    workspace: i64,
    /// Make them administrator of the workspace
    #[arg(long)]
    admin: bool,
    /// Make them platform administrator, who manages workspaces (workspace 1 only)
    #[arg(long)]
    platform_admin: bool,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Workspace id
    #[arg(long, default_value_t = FIRST)]
    workspace: i64,
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, Args)]
pub(super) struct SetPassword {
    /// E-mail address
    email: String,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// E-mail address
    email: String,
    #[command(flatten)]
    source: Source,
}

impl Person {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Add(add) => add.run().await,
            Self::List(list) => list.run().await,
            Self::SetPassword(set) => set.run().await,
            Self::Disable(named) => named.set_disabled(true).await,
            Self::Enable(named) => named.set_disabled(false).await,
        }
    }
}

impl AddPerson {
    async fn run(self) -> anyhow::Result<()> {
        let (store, app) = self.source.open().await?;
        let password = prompt::new_password(self.password_stdin)?;
        let add = Add {
            email: &self.email,
            name: &self.name,
            password: &password,
            is_admin: self.admin || self.platform_admin,
            is_platform_admin: self.platform_admin,
            force_password_change: false,
        };
        let person = app.people().add(By::Operator, self.workspace, add).await.context("nobody was added")?;
        output::line(format_args!("{}\t{}", person.id, person.email))?;
        store.close().await;
        Ok(())
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        const AT_ONCE: i64 = 1_000;
        let (store, app) = self.source.open().await?;
        output::line(format_args!("id\temail\tname\trole\tstate\ttokens"))?;
        let mut after = 0;
        loop {
            let people = app.people().list(self.workspace, after, AT_ONCE).await?;
            for person in &people {
                let role = match (person.manages_workspaces(), person.is_admin) {
                    (true, _) => "platform administrator",
                    (false, true) => "administrator",
                    (false, false) => "user",
                };
                let state = if person.is_disabled { "disabled" } else { "enabled" };
                let access = person.token_access.as_str();
                output::line(format_args!(
                    "{}\t{}\t{}\t{role}\t{state}\t{access}",
                    person.id, person.email, person.name
                ))?;
            }
            match people.last() {
                Some(last) => after = last.id,
                None => break,
            }
        }
        store.close().await;
        Ok(())
    }
}

impl SetPassword {
    async fn run(self) -> anyhow::Result<()> {
        let password = prompt::new_password(self.password_stdin)?;
        change(&self.source, &self.email, &Change { password: Some(&password), ..Change::default() }).await?;
        say(format_args!("the password of {} is set; tokens go on working", self.email));
        Ok(())
    }
}

impl Named {
    async fn set_disabled(self, is_disabled: bool) -> anyhow::Result<()> {
        change(&self.source, &self.email, &Change { is_disabled: Some(is_disabled), ..Change::default() }).await?;
        say(format_args!("{} is {}", self.email, if is_disabled { "disabled" } else { "enabled" }));
        Ok(())
    }
}

async fn change(source: &Source, email: &str, change: &Change<'_>) -> anyhow::Result<()> {
    let (store, app) = source.open().await?;
    let person = match app.people().find_by_email(email).await {
        Err(Refusal::PersonNotFound) => bail!("nobody has the e-mail {email}"),
        found => found?,
    };
    let changed = app.people().change(By::Operator, person.workspace_id, person.id, change).await;
    changed.context("nothing was changed")?;
    store.close().await;
    Ok(())
}
