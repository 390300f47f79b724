//! `tokenward person`: people in the database.

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};

use super::{ConfigSource, output, prompt};
use crate::{
    domain::id::WorkspaceId,
    service::{
        Error,
        people::{ActorKind, CreatePerson, UpdatePerson},
    },
    telemetry::print_notice,
};

/// The subcommands of `tokenward person`.
#[derive(Debug, Subcommand)]
pub(super) enum PersonCommand {
    /// Add a person
    Add(AddPerson),
    /// List the people of a workspace
    List(ListPeople),
    /// Set a person's password; tokens are not affected
    SetPassword(SetPassword),
    /// Disable a person: neither password nor tokens authenticate
    Disable(PersonByEmail),
    /// Enable a disabled person
    Enable(PersonByEmail),
}

#[derive(Debug, Args)]
pub(super) struct AddPerson {
    /// E-mail address
    email: String,
    /// Name
    #[arg(long, default_value = "")]
    name: String,
    /// Workspace ID
    #[arg(long, default_value_t = WorkspaceId::FIRST)]
    workspace: WorkspaceId,
    /// Make the person an administrator of the workspace
    #[arg(long)]
    admin: bool,
    /// Make the person a platform administrator, who manages workspaces; workspace 1 only
    #[arg(long)]
    platform_admin: bool,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    source: ConfigSource,
}

#[derive(Debug, Args)]
pub(super) struct ListPeople {
    /// Workspace ID
    #[arg(long, default_value_t = WorkspaceId::FIRST)]
    workspace: WorkspaceId,
    #[command(flatten)]
    source: ConfigSource,
}

#[derive(Debug, Args)]
pub(super) struct SetPassword {
    /// E-mail address
    email: String,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    source: ConfigSource,
}

#[derive(Debug, Args)]
pub(super) struct PersonByEmail {
    /// E-mail address
    email: String,
    #[command(flatten)]
    source: ConfigSource,
}

impl PersonCommand {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Add(add) => add.run().await,
            Self::List(list) => list.run().await,
            Self::SetPassword(command) => command.run().await,
            Self::Disable(person) => person.set_disabled(true).await,
            Self::Enable(person) => person.set_disabled(false).await,
        }
    }
}

impl AddPerson {
    async fn run(self) -> anyhow::Result<()> {
        let (store, app) = self.source.open_services().await?;
        let password = prompt::read_new_password(self.password_stdin)?;
        let person_data = CreatePerson {
            email: &self.email,
            name: &self.name,
            password: &password,
            is_admin: self.admin || self.platform_admin,
            is_platform_admin: self.platform_admin,
            force_password_change: false,
        };
        let person = app
            .people()
            .add(ActorKind::Operator, self.workspace, person_data)
            .await
            .context("failed to add the person")?;
        output::print_line(format_args!("{}\t{}", person.id, person.email))?;
        store.close().await;
        Ok(())
    }
}

impl ListPeople {
    async fn run(self) -> anyhow::Result<()> {
        const PAGE_SIZE: i64 = 1_000;
        let (store, app) = self.source.open_services().await?;
        output::print_line(format_args!("id\temail\tname\trole\tstate\ttokens"))?;
        let mut after = None;
        loop {
            let people = app.people().list(self.workspace, after, PAGE_SIZE).await?;
            for person in &people {
                let role = match (person.can_manage_workspaces(), person.is_admin) {
                    (true, _) => "platform administrator",
                    (false, true) => "administrator",
                    (false, false) => "user",
                };
                let state = if person.is_disabled { "disabled" } else { "enabled" };
                let access = person.token_access.as_str();
                output::print_line(format_args!(
                    "{}\t{}\t{}\t{role}\t{state}\t{access}",
                    person.id, person.email, person.name
                ))?;
            }
            match people.last() {
                Some(last) => after = Some(last.id),
                None => break,
            }
        }
        store.close().await;
        Ok(())
    }
}

impl SetPassword {
    async fn run(self) -> anyhow::Result<()> {
        let password = prompt::read_new_password(self.password_stdin)?;
        update_person(
            &self.source,
            &self.email,
            &UpdatePerson { password: Some(&password), ..UpdatePerson::default() },
        )
        .await?;
        print_notice(format_args!("set the password of {}; tokens are not affected", self.email));
        Ok(())
    }
}

impl PersonByEmail {
    async fn set_disabled(self, is_disabled: bool) -> anyhow::Result<()> {
        update_person(
            &self.source,
            &self.email,
            &UpdatePerson { is_disabled: Some(is_disabled), ..UpdatePerson::default() },
        )
        .await?;
        print_notice(format_args!("{} is {}", self.email, if is_disabled { "disabled" } else { "enabled" }));
        Ok(())
    }
}

async fn update_person(source: &ConfigSource, email: &str, update: &UpdatePerson<'_>) -> anyhow::Result<()> {
    let (store, app) = source.open_services().await?;
    let person = match app.people().find_by_email(email).await {
        Err(Error::PersonNotFound) => bail!("no person has the e-mail {email}"),
        result => result?,
    };
    let updated = app.people().update(ActorKind::Operator, person.workspace_id, person.id, update).await;
    updated.context("failed to update the person")?;
    store.close().await;
    Ok(())
}
