//! `tokenward sso migrate`: moves people from one identity provider to another.

use std::{collections::HashMap, path::Path, sync::Arc};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::state_name;
use crate::{
    app::App,
    cli::{
        invocation::Invocation,
        output::{ListOptions, Output, Table, printable},
    },
    directory::Lookup,
    domain::{
        allow_rule::grant_in,
        directory::{DirectoryPerson, EntryState},
        external_identity::DIRECTORY_ISSUER,
        id::WorkspaceId,
        person::Person,
    },
    service::{Error, directories::DirectoryProvider, provider_list::RedirectProvider},
    store::FoundIdentity,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct MigratePeople {
    /// Provider that the people are linked to now; it need not be configured any more
    old: String,
    /// Configured provider that they sign in through afterwards
    new: String,
    /// Property that finds the new account of a person
    #[arg(long, required_unless_present = "subjects")]
    by: Option<MatchBy>,
    /// File with a line E-MAIL,SUBJECT for each person: the subjects of the accounts at the new provider
    #[arg(long, value_name = "FILE", conflicts_with = "by")]
    subjects: Option<String>,
    /// Move the people; without it, the list is printed and nothing changes
    #[arg(long)]
    confirm: bool,
    #[command(flatten)]
    list: ListOptions,
}

/// The property that finds the new account of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MatchBy {
    /// The e-mail address, which a directory searches
    Email,
    /// The subject, which is the same at both providers
    Subject,
}

/// The provider that people move to.
enum Target<'a> {
    Directory(&'a Arc<DirectoryProvider>),
    /// A provider without a search.
    Redirecting(&'a dyn RedirectProvider),
}

/// The account of a person at the new provider.
struct NewAccount {
    subject: String,
    label: String,
}

impl MigratePeople {
    pub(super) async fn run(self, app: &App, invocation: &Invocation, output: &mut Output) -> anyhow::Result<()> {
        if self.old == self.new {
            bail!("name two providers: the one that people are linked to, and the one that they move to");
        }
        let target = Target::find(app, &self.new)?;
        let subjects =
            self.subjects.as_ref().map(|file| read_subjects(&invocation.directory.join(file))).transpose()?;
        let people = app.identities().list_of_provider(&self.old).await?;
        if people.is_empty() {
            bail!("no person is linked to {}", self.old);
        }
        let mut table = Table::new(&["email", "from", "to", "result"]);
        let (mut moved, mut failed) = (0, 0);
        for found in &people {
            let account = match self.find_account(&target, found, subjects.as_ref()).await? {
                Ok(account) => self.move_person(app, &target, found, account).await?,
                Err(reason) => Err(reason),
            };
            let (to, result) = match account {
                Ok(label) => (json!(printable(&label)), if self.confirm { "moved" } else { "would move" }.to_owned()),
                Err(reason) => (json!(null), format!("stays: {reason}")),
            };
            *if to.is_null() { &mut failed } else { &mut moved } += 1;
            table.push([json!(found.person.email), json!(printable(&found.identity.label)), to, json!(result)]);
        }
        table.print(self.list, output);
        let (old, new) = (&self.old, &self.new);
        if self.confirm {
            output.notice(format_args!("{moved} people moved from {old} to {new}; their sessions ended, tokens stay"));
        } else {
            output
                .notice(format_args!("nothing was changed; check the list, and run the command again with --confirm"));
        }
        if failed > 0 {
            bail!("{failed} of {} people stay linked to {old}", people.len());
        }
        Ok(())
    }

    /// Finds the new account of a person, or the reason why there is none.
    async fn find_account(
        &self,
        target: &Target<'_>,
        found: &FoundIdentity,
        subjects: Option<&HashMap<String, String>>,
    ) -> anyhow::Result<Result<NewAccount, String>> {
        let email = &found.person.email;
        let subject = match subjects {
            Some(subjects) => match subjects.get(&email.to_lowercase()) {
                Some(subject) => subject,
                None => return Ok(Err("the file has no line for this e-mail address".to_owned())),
            },
            None if self.by == Some(MatchBy::Email) => return target.find_by_email(&found.person).await,
            None => &found.identity.subject,
        };
        target.find_by_subject(subject, found.person.workspace_id).await
    }

    /// Moves a person if the command is confirmed; otherwise checks that the account is free. Returns its label, or
    /// the reason why the person stays.
    async fn move_person(
        &self,
        app: &App,
        target: &Target<'_>,
        found: &FoundIdentity,
        account: NewAccount,
    ) -> anyhow::Result<Result<String, String>> {
        let (identities, new) = (app.identities(), target.account());
        let NewAccount { subject, label } = account;
        if let Some(other) = identities.find_linked(new, &subject).await? {
            return Ok(Err(format!("{} is linked to {}", printable(&label), other.email)));
        }
        if !self.confirm {
            return Ok(Ok(label));
        }
        match identities.move_to(found, new, &subject, label.clone()).await {
            Ok(()) => Ok(Ok(label)),
            Err(error @ (Error::IdentityTaken | Error::PersonNotFound)) => Ok(Err(error.to_string())),
            Err(error) => Err(error).context("failed to move a person; run the command again for the others"),
        }
    }
}

impl<'a> Target<'a> {
    fn find(app: &'a App, name: &str) -> anyhow::Result<Self> {
        if let Some(provider) = app.sign_in().providers().iter().find(|provider| provider.name() == name) {
            return Ok(Self::Redirecting(provider));
        }
        Ok(Self::Directory(super::find_provider(app.directory_syncs().directories(), name)?))
    }

    /// Returns the name of the provider and the issuer of its subjects.
    fn account(&self) -> (&str, &str) {
        match self {
            Self::Directory(provider) => (provider.name(), DIRECTORY_ISSUER),
            Self::Redirecting(provider) => (provider.name(), provider.issuer()),
        }
    }

    async fn find_by_email(&self, person: &Person) -> anyhow::Result<Result<NewAccount, String>> {
        let provider = match self {
            Self::Directory(provider) => provider,
            Self::Redirecting(provider) => {
                bail!(
                    "{} has no search by e-mail address: export the subjects of its accounts, and pass them with --subjects FILE",
                    provider.name()
                )
            }
        };
        match provider.directory().find_by_login(&person.email).await? {
            Lookup::One(entry) => admitted(provider, entry, person.workspace_id).await,
            Lookup::None => Ok(Err("no entry has this e-mail address".to_owned())),
            Lookup::Several => Ok(Err("several entries have this e-mail address".to_owned())),
        }
    }

    async fn find_by_subject(
        &self,
        subject: &str,
        workspace_id: WorkspaceId,
    ) -> anyhow::Result<Result<NewAccount, String>> {
        let provider = match self {
            Self::Directory(provider) => provider,
            Self::Redirecting(provider) => {
                let has_rule = provider.rules().iter().any(|rule| rule.workspace_id == workspace_id);
                let account = NewAccount { subject: subject.to_owned(), label: subject.to_owned() };
                return Ok(if has_rule { Ok(account) } else { Err(no_rule(workspace_id)) });
            }
        };
        match provider.directory().find_by_subject(subject).await? {
            Some(entry) => admitted(provider, entry, workspace_id).await,
            None => Ok(Err("the directory has no entry with this subject".to_owned())),
        }
    }
}

/// Returns the account of an entry, unless the next sync would disable the person.
async fn admitted(
    provider: &DirectoryProvider,
    entry: DirectoryPerson,
    workspace_id: WorkspaceId,
) -> anyhow::Result<Result<NewAccount, String>> {
    if entry.state != EntryState::Active {
        return Ok(Err(format!("the entry is {}", state_name(entry.state))));
    }
    let groups = provider.directory().groups_of(&entry).await?;
    let is_granted = grant_in(provider.rules(), &groups, workspace_id).is_some();
    Ok(if is_granted { Ok(entry.into()) } else { Err(no_rule(workspace_id)) })
}

fn no_rule(workspace_id: WorkspaceId) -> String {
    format!("no rule of the new provider admits the account in workspace {workspace_id}")
}

impl From<DirectoryPerson> for NewAccount {
    fn from(entry: DirectoryPerson) -> Self {
        Self { label: entry.label(), subject: entry.subject }
    }
}

/// Reads the lines `E-MAIL,SUBJECT` of a file. The addresses are in lower case.
fn read_subjects(file: &Path) -> anyhow::Result<HashMap<String, String>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let mut subjects = HashMap::new();
    let lines = text.lines().enumerate().map(|(n, line)| (n + 1, line.trim()));
    for (n, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let parts = line.split_once(',').map(|(email, subject)| (email.trim().to_lowercase(), subject.trim()));
        let Some((email, subject)) = parts.filter(|(email, subject)| email.contains('@') && !subject.is_empty()) else {
            bail!("{}, line {n}: write E-MAIL,SUBJECT, such as ada@example.com,248289761001", file.display());
        };
        if subjects.values().any(|known| known == subject) {
            bail!("{}, line {n}: the subject occurs twice", file.display());
        }
        if subjects.insert(email, subject.to_owned()).is_some() {
            bail!("{}, line {n}: the e-mail address occurs twice", file.display());
        }
    }
    Ok(subjects)
}
