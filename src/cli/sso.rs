//! `tokenward sso`: the identity providers, their syncs and the accounts linked to them.

use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    invocation::Services,
    output::{ListOptions, Output, Table, printable},
    person::find_person,
};
use crate::{
    app::App,
    config::Config,
    directory::Lookup,
    domain::{
        allow_rule::{grant, grant_in},
        directory::{DirectoryPerson, EntryState},
        directory_sync::SyncOutcome,
    },
    service::{
        Directories,
        directories::DirectoryProvider,
        directory_sync::{PlannedChange, SyncMode, SyncResult},
    },
};

/// The subcommands of `tokenward sso`.
#[derive(Debug, Subcommand)]
pub(super) enum SsoCommand {
    /// Connect to a directory, and print its server, an entry, its groups and the rights it would get
    Test(TestProvider),
    /// Disable the accounts of people who left a directory now, without waiting for the schedule
    Sync(SyncProvider),
    /// Print the last sync of each directory
    Status(ListOptions),
    /// Link a person to an entry of a directory; the local password and all sessions end
    Link(LinkPerson),
    /// Remove the link of a person; tokens stay, and the person needs a local password or another link
    Unlink(UnlinkPerson),
}

#[derive(Debug, Args)]
pub(super) struct TestProvider {
    /// Name of the provider: NAME of [sso.NAME]
    provider: String,
    /// Name with which a person signs in
    #[arg(long)]
    user: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct SyncProvider {
    /// Name of the provider; without it, all directories
    provider: Option<String>,
    /// Print what a sync would change, and change nothing
    #[arg(long, conflicts_with = "confirm")]
    dry_run: bool,
    /// Disable as many people as the directory says
    #[arg(long)]
    confirm: bool,
}

#[derive(Debug, Args)]
pub(super) struct LinkPerson {
    /// E-mail address of the person
    email: String,
    /// Name of the provider
    #[arg(long)]
    provider: String,
    /// Name with which the person signs in at the directory
    #[arg(long, required_unless_present = "subject")]
    user: Option<String>,
    /// Identifier of the entry instead of its name: objectGUID, entryUUID or ipaUniqueID
    #[arg(long, conflicts_with = "user")]
    subject: Option<String>,
}

impl SsoCommand {
    pub(super) async fn run(self, Services { app, .. }: &Services, output: &mut Output) -> anyhow::Result<()> {
        match self {
            Self::Test(test) => test.run(app.directory_syncs().directories(), output).await,
            Self::Sync(sync) => sync.run(app, output).await,
            Self::Status(options) => print_status(app, options, output).await,
            Self::Link(link) => link.run(app, output).await,
            Self::Unlink(unlink) => unlink.run(app, output).await,
        }
    }
}

/// Finds a configured directory.
fn find_provider<'a>(directories: &'a Directories, name: &str) -> anyhow::Result<&'a Arc<DirectoryProvider>> {
    directories.find(name).ok_or_else(|| match &directories.names()[..] {
        [] => anyhow!("no identity provider is configured; add a section [sso.{name}]"),
        names => anyhow!("there is no identity provider {name}; configured: {}", names.join(", ")),
    })
}

impl TestProvider {
    /// Runs the command with the configuration of this process, before the service has a database, and
    /// before it restarts with a changed configuration.
    pub(super) async fn run_without_store(self, config: &Config) -> anyhow::Result<()> {
        let directories = Directories::new(config.directories()?)?;
        let mut output = Output::to_process();
        let result = self.run(&directories, &mut output).await;
        let flushed = output.flush().await;
        result.and(flushed)
    }

    async fn run(self, directories: &Directories, output: &mut Output) -> anyhow::Result<()> {
        let provider = find_provider(directories, &self.provider)?;
        let report = provider.directory().probe().await?;
        output.print_line(format_args!("server: {}", report.server));
        output.print_line(format_args!("certificate names: {}", printable(&report.certificate_names.join(", "))));
        let vendor = if report.vendor.is_empty() { "unknown" } else { &report.vendor };
        output.print_line(format_args!("product: {vendor}"));
        if let Some(detected) = report.detected_kind.filter(|detected| *detected != provider.directory().kind()) {
            output.notice(format_args!(
                "the server looks like {}, but kind is {}",
                detected.as_str(),
                provider.directory().kind().as_str()
            ));
        }
        match self.user {
            Some(user) => print_user(directories, &user, provider, output).await,
            None => Ok(()),
        }
    }
}

/// Prints the entry of a typed name and what the rules grant to it.
async fn print_user(
    directories: &Directories,
    user: &str,
    provider: &DirectoryProvider,
    output: &mut Output,
) -> anyhow::Result<()> {
    let login = match directories.route(user) {
        Some((found, login)) if found.name() == provider.name() => login,
        Some((found, _)) => bail!("{user} belongs to {}; see its domains", found.name()),
        None => bail!("{user} belongs to no directory: set domains, or default = true for names without a domain"),
    };
    let entry = find_entry(provider, login).await?;
    let groups = provider.directory().groups_of(&entry).await?;
    output.print_line(format_args!("entry: {}", printable(&entry.dn)));
    output.print_line(format_args!("subject: {}", entry.subject));
    output.print_line(format_args!("e-mail: {}", entry.email.as_ref().map_or("none", |email| email.as_str())));
    output.print_line(format_args!("state: {}", state(entry.state)));
    output.print_line(format_args!(
        "allowed groups: {}",
        if groups.is_empty() { "none".to_owned() } else { groups.join("; ") }
    ));
    match grant(provider.rules(), &groups) {
        None => output.print_line(format_args!("result: rejected, because the entry is in no allowed group")),
        Some(_) if entry.state != EntryState::Active => {
            output.print_line(format_args!("result: rejected, because the entry is {}", state(entry.state)));
        }
        Some(grant) => output.print_line(format_args!(
            "result: {} of workspace {}, tokenAccess {}{}",
            if grant.is_admin { "administrator" } else { "member" },
            grant.workspace_id,
            grant.token_access.as_str(),
            if grant.creates { "" } else { "; only if linked, because create = false" }
        )),
    }
    Ok(())
}

async fn find_entry(provider: &DirectoryProvider, login: &str) -> anyhow::Result<DirectoryPerson> {
    match provider.directory().find_by_login(login).await? {
        Lookup::One(entry) => Ok(entry),
        Lookup::None => bail!("the directory has no person {login}; check base and user_filter"),
        Lookup::Several => bail!("several entries have the name {login}, so none of them can sign in with it"),
    }
}

fn state(state: EntryState) -> &'static str {
    match state {
        EntryState::Active => "active",
        EntryState::Disabled => "disabled",
        EntryState::Expired => "expired",
    }
}

impl SyncProvider {
    async fn run(self, app: &App, output: &mut Output) -> anyhow::Result<()> {
        let directories = app.directory_syncs().directories();
        let providers = match &self.provider {
            Some(name) => vec![find_provider(directories, name)?],
            None if directories.is_empty() => bail!("no identity provider is configured; add a section [sso.NAME]"),
            None => directories.iter().collect(),
        };
        let mode = match (self.dry_run, self.confirm) {
            (true, _) => SyncMode::DryRun,
            (false, true) => SyncMode::Confirmed,
            (false, false) => SyncMode::Normal,
        };
        let mut failures = Vec::new();
        for provider in providers {
            let result = app.directory_syncs().run(provider, mode).await.context("failed to sync")?;
            print_result(provider.name(), mode, &result, output);
            if result.outcome != SyncOutcome::Success {
                failures.push(format!("{}: {}", provider.name(), result.report.message));
            }
        }
        if failures.is_empty() { Ok(()) } else { bail!("nothing was changed: {}", failures.join("; ")) }
    }
}

fn print_result(provider: &str, mode: SyncMode, result: &SyncResult, output: &mut Output) {
    let is_planned = mode == SyncMode::DryRun || result.outcome != SyncOutcome::Success;
    for planned in &result.plan.changes {
        output.print_line(format_args!("{provider}: {} {}", planned.found.person.email, describe(planned, is_planned)));
    }
    if mode == SyncMode::DryRun && result.plan.changes.is_empty() && result.outcome == SyncOutcome::Success {
        output.notice(format_args!("{provider}: {} entries, nothing would change", result.report.entries));
    }
    if mode != SyncMode::DryRun && result.outcome == SyncOutcome::Success {
        let report = &result.report;
        output.notice(format_args!(
            "{provider}: {} entries, {} disabled, {} enabled",
            report.entries, report.disabled, report.enabled
        ));
    }
}

/// Describes what a change does to a person.
fn describe(planned: &PlannedChange, is_planned: bool) -> String {
    match (planned.change.disabled_for, planned.enables()) {
        (Some(reason), _) if planned.disables() => {
            format!("{} disabled: {reason}", if is_planned { "would be" } else { "is" })
        }
        (None, true) if is_planned => "would be enabled again".to_owned(),
        (None, true) => "is enabled again".to_owned(),
        _ if is_planned => "would change role or e-mail".to_owned(),
        _ => "changes role or e-mail".to_owned(),
    }
}

async fn print_status(app: &App, options: ListOptions, output: &mut Output) -> anyhow::Result<()> {
    let states = app.directory_syncs().states().await?;
    let mut table = Table::new(&[
        "provider",
        "outcome",
        "finishedAt",
        "succeededAt",
        "entries",
        "disabled",
        "enabled",
        "held",
        "message",
    ]);
    for name in app.directory_syncs().directories().names() {
        let state = states.iter().find(|state| state.provider == name);
        let report = state.map(|state| state.report.clone()).unwrap_or_default();
        let time = |time: Option<crate::domain::time::Timestamp>| json!(time.map(|time| time.to_string()));
        table.push([
            json!(name),
            json!(state.and_then(|state| state.outcome).map(SyncOutcome::as_str)),
            time(state.and_then(|state| state.finished_at)),
            time(state.and_then(|state| state.succeeded_at)),
            json!(report.entries),
            json!(report.disabled),
            json!(report.enabled),
            json!(report.held),
            json!(report.message),
        ]);
    }
    for (provider, people) in app.directory_syncs().count_unsynced().await? {
        let message = format!("not configured; no sync ends the tokens of its {people} linked people");
        let none = serde_json::Value::Null;
        table.push([
            json!(provider),
            none.clone(),
            none.clone(),
            none,
            json!(0),
            json!(0),
            json!(0),
            json!(0),
            json!(message),
        ]);
    }
    table.print(options, output);
    Ok(())
}

#[derive(Debug, Args)]
pub(super) struct UnlinkPerson {
    /// E-mail address of the person
    email: String,
}

impl UnlinkPerson {
    async fn run(self, app: &App, output: &mut Output) -> anyhow::Result<()> {
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
    async fn run(self, app: &App, output: &mut Output) -> anyhow::Result<()> {
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
                state => self::state(state).to_owned(),
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
