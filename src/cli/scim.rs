//! `tokenward scim`: the credentials of provisioning clients.

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use uuid::Uuid;

use super::{
    arguments::{parse_credential_id, parse_workspace},
    invocation::Services,
    output::{ListOptions, Output, Table},
    person::no_workspace,
};
use crate::{app::App, domain::id::WorkspaceId, service::Error, store::Store};

/// The subcommands of `tokenward scim`.
#[derive(Debug, Subcommand)]
pub(super) enum ScimCommand {
    /// Create a credential for a provisioning client, and print its value
    ///
    /// The client creates, changes, disables and deletes people of one workspace at /scim/v2. The
    /// credential is good for nothing else.
    Credential(Credential),
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Credential {
    #[command(subcommand)]
    command: Option<CredentialCommand>,
    #[command(flatten)]
    create: CreateCredential,
}

#[derive(Debug, Subcommand)]
enum CredentialCommand {
    /// List the credentials of a workspace
    List(ListCredentials),
    /// Revoke a credential: no request with it is accepted afterwards
    Revoke(RevokeCredential),
}

#[derive(Debug, Args)]
struct CreateCredential {
    /// Workspace ID
    #[arg(long, default_value_t = WorkspaceId::FIRST, value_parser = parse_workspace)]
    workspace: WorkspaceId,
    /// Name of the identity provider whose subjects the client sends as externalId; no link if omitted
    #[arg(long)]
    provider: Option<String>,
    /// Name in the audit log [default: the name of the provider, or scim]
    #[arg(long)]
    name: Option<String>,
}

#[derive(Debug, Args)]
struct ListCredentials {
    /// Workspace ID
    #[arg(long, default_value_t = WorkspaceId::FIRST, value_parser = parse_workspace)]
    workspace: WorkspaceId,
    #[command(flatten)]
    output: ListOptions,
}

#[derive(Debug, Args)]
struct RevokeCredential {
    /// Credential ID
    #[arg(value_parser = parse_credential_id)]
    id: Uuid,
    /// ID of the credential's workspace
    #[arg(long, default_value_t = WorkspaceId::FIRST, value_parser = parse_workspace)]
    workspace: WorkspaceId,
}

impl ScimCommand {
    pub(super) async fn run(self, Services { store, app, .. }: &Services, output: &mut Output) -> anyhow::Result<()> {
        let Self::Credential(Credential { command, create }) = self;
        match command {
            None => create.run(app, output).await,
            Some(CredentialCommand::List(list)) => list.run(store, app, output).await,
            Some(CredentialCommand::Revoke(revoke)) => revoke.run(app, output).await,
        }
    }
}

impl CreateCredential {
    async fn run(self, app: &App, output: &mut Output) -> anyhow::Result<()> {
        let Self { workspace, provider, name } = self;
        if let Some(provider) = &provider {
            match &app.scim().provider_names()[..] {
                names if names.contains(provider) => {}
                [] => {
                    bail!("no identity provider is configured; add a section [sso.{provider}], or leave --provider out")
                }
                names => bail!("there is no identity provider {provider}; configured: {}", names.join(", ")),
            }
        }
        let created = app.scim().create_credential(workspace, provider.as_deref(), name.as_deref()).await;
        let (credential, value) = created.map_err(|error| match error {
            Error::WorkspaceNotFound => no_workspace(workspace),
            error => anyhow::Error::from(error).context("failed to create the credential"),
        })?;
        output.notice(format_args!(
            "created SCIM credential {} ({}) for workspace {workspace}; its value is shown once",
            credential.id, credential.name
        ));
        output.print_line(format_args!("{}", value.expose()));
        Ok(())
    }
}

impl ListCredentials {
    async fn run(self, store: &Store, app: &App, output: &mut Output) -> anyhow::Result<()> {
        if store.find_workspace(self.workspace).await?.is_none() {
            return Err(no_workspace(self.workspace));
        }
        let mut table = Table::new(&["id", "name", "provider", "displayPrefix", "createdAt", "lastUsed"]);
        for credential in app.scim().list_credentials(self.workspace).await? {
            table.push([
                json!(credential.id.to_string()),
                json!(credential.name),
                json!(credential.provider.map(|provider| provider.name)),
                json!(credential.display_prefix),
                json!(credential.created_at.to_string()),
                json!(credential.last_used_at.map(|time| time.to_string())),
            ]);
        }
        table.print(self.output, output);
        Ok(())
    }
}

impl RevokeCredential {
    async fn run(self, app: &App, output: &mut Output) -> anyhow::Result<()> {
        match app.scim().revoke_credential(self.workspace, self.id).await {
            Err(Error::ScimCredentialNotFound) => {
                return Err(anyhow!("there is no SCIM credential {} in workspace {}", self.id, self.workspace));
            }
            revoked => revoked.context("failed to revoke the credential")?,
        }
        output.notice(format_args!("revoked SCIM credential {}", self.id));
        Ok(())
    }
}
