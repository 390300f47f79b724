//! `tokenward sso link` and `tokenward sso unlink`.

use anyhow::{Context as _, bail};
use clap::Args;

use super::{find_entry, find_provider, redirect, state_name};
use crate::{
    app::App,
    cli::{
        output::{Output, printable},
        person::find_person,
    },
    domain::{allow_rule::grant_in, directory::EntryState},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct LinkPerson {
    /// E-mail address of the person
    email: String,
    /// Name of the provider
    #[arg(long)]
    provider: String,
    /// Name with which the person signs in at the directory
    #[arg(long, required_unless_present = "subject")]
    user: Option<String>,
    /// Identifier instead of the name: objectGUID, entryUUID or ipaUniqueID; at an OpenID or SAML provider, the subject
    #[arg(long, conflicts_with = "user")]
    subject: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct UnlinkPerson {
    /// E-mail address of the person
    email: String,
}

impl UnlinkPerson {
    pub(super) async fn run(self, app: &App, output: &mut Output) -> anyhow::Result<()> {
        let person = find_person(app, &self.email).await?;
        if !app.identities().unlink(&person).await.context("failed to remove the link")? {
            bail!("{} is not linked to an identity provider", person.email);
        }
        output.notice(format_args!(
            "{} is not linked any more; all sessions ended. Link the person again, or run tokenward person set-password{}",
            person.email,
            if person.is_disabled { ", and tokenward person enable" } else { "" }
        ));
        Ok(())
    }
}

impl LinkPerson {
    pub(super) async fn run(self, app: &App, output: &mut Output) -> anyhow::Result<()> {
        if let Some(provider) = app.sign_in().providers().iter().find(|other| other.name() == self.provider) {
            return redirect::link(provider, &self.email, self.subject.as_deref(), app, output).await;
        }
        let provider = find_provider(app.directory_syncs().directories(), &self.provider)?;
        let person = find_person(app, &self.email).await?;
        let entry = match (&self.subject, &self.user) {
            (Some(subject), _) => {
                let found = provider.directory().find_by_subject(subject).await?;
                found.with_context(|| format!("the directory has no entry {subject}"))?
            }
            (None, Some(user)) => find_entry(provider, user).await?,
            (None, None) => bail!("name the entry by --user or --subject"),
        };
        let groups = provider.directory().groups_of(&entry).await?;
        if entry.state != EntryState::Active || grant_in(provider.rules(), &groups, person.workspace_id).is_none() {
            let reason = match entry.state {
                EntryState::Active => format!("in no group that is allowed in workspace {}", person.workspace_id),
                state => state_name(state).to_owned(),
            };
            bail!("the entry {} is {reason}, so the next sync would disable the account", printable(&entry.login));
        }
        app.identities().link(&person, provider.name(), &entry).await.context("failed to link the person")?;
        output.notice(format_args!(
            "{} signs in as {} of {} from now on; the local password and all sessions ended",
            person.email,
            printable(&entry.login),
            provider.name()
        ));
        Ok(())
    }
}
