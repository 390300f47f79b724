//! `tokenward person add` and `tokenward person invite`.

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::{find_person, no_workspace};
use crate::{
    app::App,
    cli::{
        arguments::parse_workspace,
        output::{ListOptions, Output},
    },
    domain::{id::WorkspaceId, person::Person},
    service::{
        Error,
        invites::{InviteLink, InvitePerson},
        people::{ActorKind, CreatePerson, CreateServiceAccount},
    },
};

#[derive(Debug, Args)]
pub(in crate::cli) struct AddPerson {
    /// E-mail address
    #[arg(required_unless_present = "service")]
    email: Option<String>,
    /// Add a service account with this name, which has custodians instead of e-mail and password
    #[arg(long, value_name = "NAME", requires = "custodian",
        conflicts_with_all = ["email", "name", "platform_admin", "password_stdin", "invite"])]
    service: Option<String>,
    /// E-mail address of a person who manages the tokens of the service account; may be repeated
    #[arg(long, value_name = "EMAIL", requires = "service")]
    custodian: Vec<String>,
    /// Name
    #[arg(long, default_value = "")]
    name: String,
    /// Workspace ID
    #[arg(long, default_value_t = WorkspaceId::FIRST, value_parser = parse_workspace)]
    workspace: WorkspaceId,
    /// Make the person an administrator of the workspace
    #[arg(long)]
    admin: bool,
    /// Make the person a platform administrator, who manages workspaces; workspace 1 only
    #[arg(long)]
    platform_admin: bool,
    /// Read the password from standard input
    #[arg(long)]
    pub(super) password_stdin: bool,
    /// Print an invite link, with which the person sets the password, instead of asking for one
    #[arg(long, conflicts_with = "password_stdin")]
    pub(super) invite: bool,
    #[command(flatten)]
    output: ListOptions,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct InvitePersonByEmail {
    /// E-mail address
    email: String,
    #[command(flatten)]
    output: ListOptions,
}

impl AddPerson {
    pub(super) async fn run(self, app: &App, password: &str, output: &mut Output) -> anyhow::Result<()> {
        let person_data = CreatePerson {
            email: self.email.as_deref().unwrap_or_default(),
            name: &self.name,
            password,
            is_admin: self.admin || self.platform_admin,
            is_platform_admin: self.platform_admin,
            force_password_change: false,
        };
        let person = match app.people().add(ActorKind::Operator, self.workspace, person_data).await {
            Err(Error::WorkspaceNotFound) => return Err(no_workspace(self.workspace)),
            person => person.context("failed to add the person")?,
        };
        if self.output.json {
            let person = json!({"id": person.id.get(), "email": person.email});
            output.print_line(format_args!("{person:#}"));
        } else {
            output.print_line(format_args!("{}\t{}", person.id, person.email));
        }
        Ok(())
    }

    /// Returns whether the command adds a service account.
    pub(super) fn is_service_account(&self) -> bool {
        self.service.is_some()
    }

    pub(super) async fn service_account(self, app: &App, output: &mut Output) -> anyhow::Result<()> {
        let mut custodians = Vec::with_capacity(self.custodian.len());
        for email in &self.custodian {
            custodians.push(find_person(app, email).await?.id.get());
        }
        let name = self.service.as_deref().unwrap_or_default();
        let request = CreateServiceAccount { name, custodians: &custodians, is_admin: self.admin };
        let added = app.people().add_service_account(ActorKind::Operator, self.workspace, request).await;
        let account = match added {
            Err(Error::WorkspaceNotFound) => return Err(no_workspace(self.workspace)),
            account => account.context("failed to add the service account")?,
        };
        if self.output.json {
            let account = json!({"id": account.id.get(), "kind": account.kind.as_str(), "name": account.name});
            output.print_line(format_args!("{account:#}"));
        } else {
            output.print_line(format_args!("{}\t{}", account.id, account.email));
        }
        Ok(())
    }

    pub(super) async fn invite(self, app: &App, output: &mut Output) -> anyhow::Result<()> {
        let request = InvitePerson {
            email: self.email.as_deref().unwrap_or_default(),
            name: &self.name,
            is_admin: self.admin || self.platform_admin,
            is_platform_admin: self.platform_admin,
        };
        let (person, link) = match app.invites().add_person(ActorKind::Operator, self.workspace, request).await {
            Err(Error::WorkspaceNotFound) => return Err(no_workspace(self.workspace)),
            added => added.context("failed to add the person")?,
        };
        output.notice(format_args!("added person {}, {}", person.id, person.email));
        print_link(app, &person, &link, self.output, output);
        Ok(())
    }
}

impl InvitePersonByEmail {
    pub(super) async fn run(self, app: &App, output: &mut Output) -> anyhow::Result<()> {
        let person = find_person(app, &self.email).await?;
        let created = app.invites().create(ActorKind::Operator, person.workspace_id, person.id).await;
        let (person, link) = created.context("failed to create an invite link")?;
        print_link(app, &person, &link, self.output, output);
        Ok(())
    }
}

/// Prints a new invite link.
fn print_link(app: &App, person: &Person, link: &InviteLink, options: ListOptions, output: &mut Output) {
    if !app.invites().reaches_other_machines() {
        output.notice(format_args!(
            "public_url is not configured, so the link works on this machine only; set it to the URL of the service"
        ));
    }
    output.notice(format_args!(
        "anyone who has the link can set the password of {}, once, until {}; it is shown once",
        person.email, link.expires_at
    ));
    if options.json {
        let link = json!({
            "id": person.id.get(),
            "email": person.email,
            "inviteUrl": link.url,
            "inviteExpiresAt": link.expires_at.to_string(),
        });
        output.print_line(format_args!("{link:#}"));
    } else {
        output.print_line(format_args!("{}", link.url));
    }
}
