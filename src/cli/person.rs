//! `tokenward person`: people in the database.

mod add;

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    arguments::parse_workspace,
    invocation::{Invocation, Services},
    output::{ListOptions, Output, Table},
    prompt::{self, Password},
};
use crate::{
    app::App,
    domain::{id::WorkspaceId, person::Person, service_account::IDENTITY_PREFIX},
    service::{
        self, Error,
        people::{ActorKind, UpdatePerson},
    },
    store::Store,
};
use add::{AddPerson, InvitePersonByEmail};

/// The subcommands of `tokenward person`.
#[derive(Debug, Subcommand)]
pub(super) enum PersonCommand {
    /// Add a person, with a password or an invite link, or a service account
    Add(AddPerson),
    /// Print a new invite link, with which a person sets the password; an older link is void
    Invite(InvitePersonByEmail),
    /// List the people and service accounts of a workspace
    List(ListPeople),
    /// Set a person's password; tokens are not affected
    SetPassword(SetPassword),
    /// Disable a person: neither password nor tokens authenticate
    Disable(PersonByEmail),
    /// Enable a disabled person
    Enable(PersonByEmail),
    /// Print the fields of a person
    Show(ShowPerson),
    /// Remove a person with all tokens and sessions
    Remove(PersonByEmail),
}

#[derive(Debug, Args)]
pub(super) struct ListPeople {
    /// Workspace ID
    #[arg(long, default_value_t = WorkspaceId::FIRST, value_parser = parse_workspace)]
    workspace: WorkspaceId,
    #[command(flatten)]
    output: ListOptions,
}

#[derive(Debug, Args)]
pub(super) struct SetPassword {
    /// E-mail address
    email: String,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Args)]
pub(super) struct PersonByEmail {
    /// E-mail address, or service:NAME for a service account
    #[arg(value_name = "EMAIL")]
    identity: String,
}

#[derive(Debug, Args)]
pub(super) struct ShowPerson {
    /// E-mail address, or service:NAME for a service account
    #[arg(value_name = "EMAIL")]
    identity: String,
    #[command(flatten)]
    output: ListOptions,
}

impl PersonCommand {
    /// Reads the password that the command needs, if any.
    pub(super) fn read_password(&self) -> anyhow::Result<Option<Password>> {
        match self {
            Self::Add(add) if add.invite || add.is_service_account() => Ok(None),
            Self::Add(AddPerson { password_stdin, .. }) | Self::SetPassword(SetPassword { password_stdin, .. }) => {
                prompt::read_new_password(*password_stdin).map(Some)
            }
            Self::Invite(_) | Self::List(_) | Self::Disable(_) | Self::Enable(_) | Self::Show(_) | Self::Remove(_) => {
                Ok(None)
            }
        }
    }

    pub(super) async fn run(
        self,
        Services { store, app, .. }: &Services,
        invocation: &Invocation,
        output: &mut Output,
    ) -> anyhow::Result<()> {
        match self {
            Self::Add(add) if add.is_service_account() => add.service_account(app, output).await,
            Self::Add(add) if add.invite => add.invite(app, output).await,
            Self::Add(add) => add.run(app, invocation.password()?, output).await,
            Self::Invite(invite) => invite.run(app, output).await,
            Self::List(list) => list.run(store, app, output).await,
            Self::SetPassword(command) => command.run(app, invocation.password()?, output).await,
            Self::Disable(person) => person.set_disabled(app, true, output).await,
            Self::Enable(person) => person.set_disabled(app, false, output).await,
            Self::Show(person) => person.run(app, output).await,
            Self::Remove(person) => person.remove(app, output).await,
        }
    }
}

impl ListPeople {
    async fn run(self, store: &Store, app: &App, output: &mut Output) -> anyhow::Result<()> {
        const PAGE_SIZE: i64 = 1_000;
        if store.find_workspace(self.workspace).await?.is_none() {
            return Err(no_workspace(self.workspace));
        }
        let mut table = Table::new(&["id", "email", "name", "role", "state", "tokenAccess"]);
        let mut after = None;
        loop {
            let people = app.people().list(self.workspace, after, PAGE_SIZE).await?;
            for person in &people {
                let (role, state, access) = (role(person), state(person), person.token_access.as_str());
                let id = person.id.get();
                table.push([
                    json!(id),
                    json!(person.email),
                    json!(person.name),
                    json!(role),
                    json!(state),
                    json!(access),
                ]);
            }
            match people.last() {
                Some(last) => after = Some(last.id),
                None => break,
            }
        }
        table.print(self.output, output);
        Ok(())
    }
}

impl SetPassword {
    async fn run(self, app: &App, password: &str, output: &mut Output) -> anyhow::Result<()> {
        let person = find_person(app, &self.email).await?;
        let update = UpdatePerson { password: Some(password), ..UpdatePerson::default() };
        update_person(app, &person, &update).await?;
        output.notice(format_args!("set the password of {}; tokens are not affected", person.email));
        Ok(())
    }
}

impl PersonByEmail {
    async fn set_disabled(self, app: &App, is_disabled: bool, output: &mut Output) -> anyhow::Result<()> {
        let person = find_account(app, &self.identity).await?;
        let update = UpdatePerson { is_disabled: Some(is_disabled), ..UpdatePerson::default() };
        update_person(app, &person, &update).await?;
        output.notice(format_args!("{} is {}", person.email, if is_disabled { "disabled" } else { "enabled" }));
        Ok(())
    }

    async fn remove(self, app: &App, output: &mut Output) -> anyhow::Result<()> {
        let person = find_account(app, &self.identity).await?;
        app.people().remove_as_operator(&person).await.context("failed to remove the person")?;
        // If the tokens are many, they are already revoked, but their rows are left.
        app.tokens().purge_revoked().await.context("failed to delete the rows of the tokens")?;
        output.notice(format_args!("removed {} with all tokens and sessions", person.email));
        Ok(())
    }
}

impl ShowPerson {
    async fn run(self, app: &App, output: &mut Output) -> anyhow::Result<()> {
        let person = find_account(app, &self.identity).await?;
        let mut table = Table::new(&[
            "id",
            "workspace",
            "email",
            "name",
            "role",
            "state",
            "tokenAccess",
            "forcePasswordChange",
            "lastLogin",
            "createdAt",
            "provider",
            "ssoPrincipal",
            "disabledBy",
            "kind",
            "custodians",
        ]);
        table.push([
            json!(person.id.get()),
            json!(person.workspace_id.get()),
            json!(person.email),
            json!(person.name),
            json!(role(&person)),
            json!(state(&person)),
            json!(person.token_access.as_str()),
            json!(person.force_password_change),
            json!(person.last_login_at.map(|time| time.to_string())),
            json!(person.created_at.to_string()),
            json!(person.provider),
            json!(person.sso_principal),
            json!(person.disabled_by.names().collect::<Vec<_>>().join(", ")),
            json!(person.kind.as_str()),
            json!(person.custodians.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        ]);
        table.print_single(self.output, output);
        Ok(())
    }
}

fn role(person: &Person) -> &'static str {
    match (person.can_manage_workspaces(), person.is_admin) {
        (true, _) => "platform administrator",
        (false, true) => "administrator",
        (false, false) => "user",
    }
}

fn state(person: &Person) -> &'static str {
    match (person.is_disabled, person.has_password) {
        (true, _) => "disabled",
        (false, true) => "enabled",
        (false, false) if person.provider.is_some() || person.is_service_account() => "enabled",
        (false, false) => "invited",
    }
}

/// Returns the error of a workspace that does not exist. On the command line, every workspace is
/// accessible.
pub(super) fn no_workspace(id: WorkspaceId) -> anyhow::Error {
    anyhow!("there is no workspace {id}; tokenward workspace list prints them")
}

/// Finds a person by e-mail address, or a service account by its identity, in any workspace.
pub(super) async fn find_account(app: &App, identity: &str) -> anyhow::Result<Person> {
    match app.people().find_by_identity(identity).await {
        Err(Error::PersonNotFound) if identity.starts_with(IDENTITY_PREFIX) => {
            bail!("there is no service account {identity}")
        }
        Err(Error::PersonNotFound) => bail!("no person has the e-mail {identity}"),
        person => Ok(person?),
    }
}

/// Finds a person of any workspace by e-mail address.
pub(super) async fn find_person(app: &App, email: &str) -> anyhow::Result<Person> {
    match app.people().find_by_email(email).await {
        Err(Error::PersonNotFound) => bail!("no person has the e-mail {email}"),
        person => Ok(person?),
    }
}

async fn update_person(app: &App, person: &Person, update: &UpdatePerson<'_>) -> anyhow::Result<()> {
    let updated: service::Result<_> =
        app.people().update(ActorKind::Operator, person.workspace_id, person.id, update).await;
    updated.context("failed to update the person")?;
    Ok(())
}
