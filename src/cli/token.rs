//! `tokenward token`: access tokens in the database.

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use uuid::Uuid;

use super::{
    arguments::{parse_lifetime, parse_token_id, parse_workspace},
    invocation::{Invocation, Services},
    output::{ListOptions, Output, Table},
    person::{find_account, no_workspace},
    prompt::{self, Password},
};
use crate::{
    app::App,
    domain::{
        event::RequestContext,
        id::WorkspaceId,
        token::{Description, Lifetime, TokenStatus},
    },
    service::{
        Actor, Error,
        sign_in::{LoginChannel, SignInError},
        tokens::{Idempotency, TokenRequest},
    },
    store::{OwnerScope, Store},
};
use tokenward_guard::AuthError;

/// The subcommands of `tokenward token`.
#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// List the tokens of a person or of a workspace
    List(ListTokens),
    /// Create a token with the password of its owner, and print its value
    Create(CreateToken),
    /// Delete a token: no service accepts it afterwards
    Delete(DeleteToken),
}

#[derive(Debug, Args)]
pub(super) struct ListTokens {
    /// E-mail address of the owner, or service:NAME for a service account; all owners of the workspace if omitted
    #[arg(conflicts_with = "workspace")]
    email: Option<String>,
    /// Workspace ID
    #[arg(long, default_value_t = WorkspaceId::FIRST, value_parser = parse_workspace)]
    workspace: WorkspaceId,
    #[command(flatten)]
    output: ListOptions,
}

#[derive(Debug, Args)]
pub(super) struct CreateToken {
    /// E-mail address of the owner
    email: String,
    /// Lifetime with a unit, such as 90d or 12h, or never
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = parse_lifetime)]
    lifetime: Lifetime,
    /// Description, for example the service that uses the token
    #[arg(long, default_value = "")]
    description: String,
    /// Read the owner's password from standard input
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Args)]
pub(super) struct DeleteToken {
    /// Token ID
    #[arg(value_parser = parse_token_id)]
    id: Uuid,
    /// ID of the token's workspace
    #[arg(long, default_value_t = WorkspaceId::FIRST, value_parser = parse_workspace)]
    workspace: WorkspaceId,
}

impl TokenCommand {
    /// Reads the password that the command needs, if any.
    pub(super) fn read_password(&self) -> anyhow::Result<Option<Password>> {
        match self {
            Self::Create(create) => {
                prompt::read_password(create.password_stdin, &format!("Password of {}: ", create.email)).map(Some)
            }
            Self::List(_) | Self::Delete(_) => Ok(None),
        }
    }

    pub(super) async fn run(
        self,
        Services { store, app, .. }: &Services,
        invocation: &Invocation,
        output: &mut Output,
    ) -> anyhow::Result<()> {
        match self {
            Self::List(list) => list.run(store, app, output).await,
            Self::Create(create) => create.run(app, invocation.password()?, output).await,
            Self::Delete(delete) => delete.run(app, output).await,
        }
    }
}

impl ListTokens {
    async fn run(self, store: &Store, app: &App, output: &mut Output) -> anyhow::Result<()> {
        let scope = match &self.email {
            Some(email) => {
                let owner = find_account(app, email).await?;
                OwnerScope::Person { workspace_id: owner.workspace_id, person_id: owner.id }
            }
            None if store.find_workspace(self.workspace).await?.is_none() => return Err(no_workspace(self.workspace)),
            None => OwnerScope::Workspace(self.workspace),
        };
        let mut table =
            Table::new(&["tokenId", "owner", "description", "status", "createdAt", "expiredAt", "lastUsed"]);
        for listed in app.tokens().list_as_operator(scope).await? {
            let status = match listed.status {
                TokenStatus::Active if listed.is_blocked => "blocked",
                TokenStatus::Active => "active",
                TokenStatus::Expired => "expired",
            };
            let token = listed.token;
            table.push([
                json!(token.id.to_string()),
                json!(listed.email),
                json!(token.description),
                json!(status),
                json!(token.created_at.to_string()),
                json!(token.expires_at.map(|time| time.to_string())),
                json!(token.last_used_at.map(|time| time.to_string())),
            ]);
        }
        table.print(self.output, output);
        Ok(())
    }
}

impl CreateToken {
    async fn run(self, app: &App, password: &str, output: &mut Output) -> anyhow::Result<()> {
        let description = Description::parse(self.description).map_err(|error| anyhow!("description: {error}"))?;
        let request = RequestContext::default();
        let login = app.sign_in().authenticate(&self.email, password, LoginChannel::Request, &request).await;
        let login = match login {
            Err(SignInError::Denied(AuthError::Denied(_)) | SignInError::DirectoryPasswordExpired) => {
                bail!("e-mail or password is wrong, or the account is disabled")
            }
            login => login?,
        };
        let actor = Actor::from_principal(login.principal.clone(), Some(&login), request);
        let actor = actor.context("the sign-in has no credential")?;
        let request =
            TokenRequest { lifetime: Some(self.lifetime), description: Some(description), ..TokenRequest::default() };
        let issued = app.tokens().issue(&actor, request, Idempotency::Disabled).await;
        let (value, token) = issued.context("failed to create the token")?;
        output.notice(format_args!("created token {} of {}; its value is shown once", token.id, self.email));
        output.print_line(format_args!("{}", value.expose()));
        Ok(())
    }
}

impl DeleteToken {
    async fn run(self, app: &App, output: &mut Output) -> anyhow::Result<()> {
        match app.tokens().delete_as_operator(self.workspace, self.id).await {
            Err(Error::TokenNotFound) => bail!("there is no token {} in workspace {}", self.id, self.workspace),
            deleted => deleted.context("failed to delete the token")?,
        }
        output.notice(format_args!("deleted token {}", self.id));
        Ok(())
    }
}
