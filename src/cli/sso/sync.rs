//! `tokenward sso sync` and `tokenward sso status`.

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;

use super::find_provider;
use crate::{
    app::App,
    cli::output::{ListOptions, Output, Table},
    domain::{directory_sync::SyncOutcome, time::Timestamp},
    service::directory_sync::{PlannedChange, SyncMode, SyncResult, TakenEmail},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct SyncProvider {
    /// Name of the provider; without it, all directories
    provider: Option<String>,
    /// Print what a sync would change, and change nothing
    #[arg(long, conflicts_with = "confirm")]
    dry_run: bool,
    /// Disable as many people as the directory says
    #[arg(long)]
    confirm: bool,
}

impl SyncProvider {
    pub(super) async fn run(self, app: &App, output: &mut Output) -> anyhow::Result<()> {
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
    for TakenEmail { person, email } in &result.plan.taken_emails {
        output.print_line(format_args!(
            "{provider}: {} keeps this e-mail address: another account has {email}, that of the entry",
            person.email
        ));
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
        (None, true) if planned.stays_disabled() => {
            let verb = if is_planned { "would be" } else { "is" };
            format!(
                "{verb} admitted by the directory again; an administrator disabled the account, so it stays disabled"
            )
        }
        (None, true) if is_planned => "would be enabled again".to_owned(),
        (None, true) => "is enabled again".to_owned(),
        _ if is_planned => "would change role or e-mail".to_owned(),
        _ => "changes role or e-mail".to_owned(),
    }
}

pub(super) async fn print_status(app: &App, options: ListOptions, output: &mut Output) -> anyhow::Result<()> {
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
    let mut failures = Vec::new();
    for name in app.directory_syncs().directories().names() {
        let state = states.iter().find(|state| state.provider == name);
        let report = state.map(|state| state.report.clone()).unwrap_or_default();
        if let Some(outcome) = state.and_then(|state| state.outcome).filter(|outcome| *outcome != SyncOutcome::Success)
        {
            failures.push(format!("{name} ({}): {}", outcome.as_str(), report.message));
        }
        let time = |time: Option<Timestamp>| json!(time.map(|time| time.to_string()));
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
    for (provider, people) in app.directory_syncs().count_unsynced(&app.sign_in().providers().names()).await? {
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
    if failures.is_empty() { Ok(()) } else { bail!("the last sync changed nothing: {}", failures.join("; ")) }
}
