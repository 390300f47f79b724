//! The sync with directories: disables the accounts of people who left, and enables again only what a
//! directory disabled.
//!
//! A sync changes nothing unless every search was answered completely. It also changes nothing if it
//! would disable many people at once, because that is more often a mistake in the directory or the
//! configuration than a wave of leavers.

mod claim;
mod plan;
mod taken_emails;

use std::{collections::HashSet, sync::Arc, time::Duration};

use parking_lot::Mutex;

use crate::{
    cluster::Node,
    domain::{
        authority::Mutation,
        causes::Causes,
        directory_sync::{SyncOutcome, SyncReport, SyncState},
        event::{Action, AuditContext, RequestContext},
        id::PersonId,
        time::{Clock, Timestamp},
    },
    service::{
        Directories, Error, Result,
        denied_attempts::{DeniedAttempt, DeniedAttemptLog},
        directories::DirectoryProvider,
    },
    store::{self, ProviderChange, ProviderChangeOutcome, Store},
};
pub use plan::{PlannedChange, SyncPlan, TakenEmail};

/// Syncs accounts with directories. Cheap to clone.
#[derive(Clone)]
pub struct DirectorySyncs {
    store: Store,
    node: Node,
    clock: Clock,
    directories: Directories,
    denied_attempts: DeniedAttemptLog,
    latest: Arc<Mutex<Vec<SyncState>>>,
    /// The people and addresses that the log has named as taken.
    reported_emails: Arc<Mutex<HashSet<(PersonId, String)>>>,
    renewal_interval: Duration,
}

/// The extent of a sync that the operator requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// Changes nothing and returns what a sync would change.
    DryRun,
    /// Like the syncs on schedule.
    Normal,
    /// Disables any number of people.
    Confirmed,
}

/// The result of a sync.
#[derive(Clone, Debug)]
pub struct SyncResult {
    pub outcome: SyncOutcome,
    pub report: SyncReport,
    pub plan: SyncPlan,
}

impl DirectorySyncs {
    /// Creates the service.
    #[must_use]
    pub fn new(
        (store, node, clock): (Store, Node, Clock),
        directories: Directories,
        denied_attempts: DeniedAttemptLog,
    ) -> Self {
        Self {
            store,
            node,
            clock,
            directories,
            denied_attempts,
            latest: Arc::default(),
            reported_emails: Arc::default(),
            renewal_interval: claim::RENEWAL_INTERVAL,
        }
    }

    /// Renews claims more often. For tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_renewal_interval(self, renewal_interval: Duration) -> Self {
        Self { renewal_interval, ..self }
    }

    /// Returns the directories.
    #[must_use]
    pub fn directories(&self) -> &Directories {
        &self.directories
    }

    /// Lists the last syncs.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn states(&self) -> Result<Vec<SyncState>> {
        Ok(self.store.list_directory_syncs().await?)
    }

    /// Returns providers that are not configured any more with the number of people who are linked to
    /// them. No sync ends the tokens of these people.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn count_unsynced(&self, others: &[String]) -> Result<Vec<(String, i64)>> {
        let mut counts = self.store.count_identities().await?;
        counts.retain(|(provider, _)| self.directories.find(provider).is_none() && !others.contains(provider));
        Ok(counts)
    }

    /// Runs the sync of a directory if it is due and no other node runs it. Returns `None` otherwise.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow. A directory that does not
    /// answer is an outcome.
    pub async fn run_if_due(&self, provider: &Arc<DirectoryProvider>) -> Result<Option<SyncOutcome>> {
        let interval = i64::try_from(provider.sync_interval.as_secs()).unwrap_or(i64::MAX);
        let outcome = match self.claim(provider, interval).await? {
            Some(started_at) => Some(self.run_claimed(provider, SyncMode::Normal, started_at).await?.outcome),
            None => None,
        };
        let states = self.states().await?;
        *self.latest.lock() = states;
        Ok(outcome)
    }

    /// Returns the last syncs of all nodes as of the last look at the schedule, for the metrics.
    #[must_use]
    pub fn latest_states(&self) -> Vec<SyncState> {
        self.latest.lock().clone()
    }

    /// Runs a sync that the operator requests.
    ///
    /// # Errors
    /// [`Error::SyncInProgress`] if a node runs one, [`Error::Unavailable`] if the database is
    /// unreachable or too slow.
    pub async fn run(&self, provider: &Arc<DirectoryProvider>, mode: SyncMode) -> Result<SyncResult> {
        if mode == SyncMode::DryRun {
            return self.dry_run(provider).await;
        }
        let started_at = self.claim(provider, 0).await?.ok_or(Error::SyncInProgress)?;
        self.run_claimed(provider, mode, started_at).await
    }

    async fn dry_run(&self, provider: &DirectoryProvider) -> Result<SyncResult> {
        Ok(match self.plan(provider).await? {
            Ok(plan) => {
                let report = SyncReport { entries: plan.entries, ..SyncReport::default() };
                let outcome = if plan.hold_reason().is_some() { SyncOutcome::Held } else { SyncOutcome::Success };
                SyncResult { outcome, report: plan.complete(report), plan }
            }
            Err(message) => failed(message),
        })
    }

    /// Runs a claimed sync, and records its result.
    async fn run_claimed(
        &self,
        provider: &DirectoryProvider,
        mode: SyncMode,
        started_at: Timestamp,
    ) -> Result<SyncResult> {
        let work = async {
            Ok::<_, Error>(match self.plan(provider).await? {
                Err(message) => failed(message),
                Ok(plan) => match plan.hold_reason().filter(|_| mode != SyncMode::Confirmed) {
                    Some(reason) => self.hold(provider, plan, &reason),
                    None => self.apply(provider, plan).await?,
                },
            })
        };
        let result = self.while_renewing(provider, started_at, work).await?;
        let SyncResult { outcome, report, .. } = &result;
        let times = (started_at, self.clock.now());
        self.store.finish_directory_sync(provider.name(), times, *outcome, report).await?;
        let SyncReport { message, entries, disabled, enabled, held } = report;
        let provider = provider.name();
        if *outcome == SyncOutcome::Success {
            tracing::info!(provider, entries, disabled, enabled, "synced with a directory");
        } else {
            tracing::warn!(
                provider,
                outcome = outcome.as_str(),
                held,
                reason = message,
                "a directory sync changed nothing"
            );
        }
        Ok(result)
    }

    /// Compares the linked accounts with the directory. The inner error is the text of an incomplete
    /// answer.
    async fn plan(&self, provider: &DirectoryProvider) -> Result<std::result::Result<SyncPlan, String>> {
        for rule in &provider.rules {
            let id = rule.workspace_id;
            if self.store.find_workspace(id).await?.is_none() {
                return Ok(Err(format!("an allow rule names workspace {id}, which does not exist; correct workspace")));
            }
        }
        let linked = self.store.list_identities(provider.name()).await?;
        let listed = match provider.directory.list_people().await {
            Ok(listed) => listed,
            Err(error) => return Ok(Err(Causes(&error).to_string())),
        };
        if listed.is_empty() {
            return Ok(Err("the directory returned no people; check base and user_filter".to_owned()));
        }
        let mut plan = SyncPlan::new(&provider.rules, linked, &listed);
        // The listing did not have these entries. A second search decides.
        for change in plan.missing_mut() {
            match provider.directory.find_by_subject(&change.found.identity.subject).await {
                Ok(None) => {}
                Ok(Some(_)) => change.is_confirmed = false,
                Err(error) => return Ok(Err(Causes(&error).to_string())),
            }
        }
        plan.drop_unconfirmed();
        self.keep_taken_emails(&mut plan).await?;
        Ok(Ok(plan))
    }

    fn hold(&self, provider: &DirectoryProvider, plan: SyncPlan, reason: &str) -> SyncResult {
        let name = provider.name();
        self.denied_attempts.record(
            DeniedAttempt {
                workspace_id: provider.first_workspace(),
                action: Action::DirectorySyncHeld,
                person_id: None,
                target: name.to_owned(),
                label: name.to_owned(),
                reason: reason.to_owned(),
                address: None,
            },
            RequestContext::default(),
        );
        let report = SyncReport { entries: plan.entries, message: reason.to_owned(), ..SyncReport::default() };
        SyncResult { outcome: SyncOutcome::Held, report: plan.complete(report), plan }
    }

    async fn apply(&self, provider: &DirectoryProvider, plan: SyncPlan) -> Result<SyncResult> {
        let mut report = SyncReport { entries: plan.entries, ..SyncReport::default() };
        self.report_taken_emails(provider, &plan);
        for planned in &plan.changes {
            let outcome = self.apply_change(planned).await?;
            if outcome == ProviderChangeOutcome::ChangedLastAdministrator {
                tracing::warn!(
                    provider = provider.name(),
                    workspace.id = planned.found.person.workspace_id.get(),
                    "the workspace has no enabled administrator any more; add one with tokenward person add --admin"
                );
            }
            if outcome != ProviderChangeOutcome::Unchanged {
                report.disabled += i64::from(planned.disables());
                report.enabled += i64::from(planned.enables() && !planned.stays_disabled());
            }
        }
        self.store.record_identities_seen(&plan.seen, self.clock.now()).await?;
        Ok(SyncResult { outcome: SyncOutcome::Success, report, plan })
    }

    /// Applies one change, and waits until it is effective on every node.
    async fn apply_change(&self, planned: &PlannedChange) -> Result<ProviderChangeOutcome> {
        let mutation = || {
            Mutation::without_caller(AuditContext::for_named_actor(
                "directory",
                self.clock.now(),
                RequestContext::default(),
            ))
        };
        let applied = self.store.apply_provider_change(&planned.found, &planned.change, &mutation()).await;
        match self.node.revoke_and_wait(&RequestContext::default(), applied).await {
            Err(store::Error::Conflict) => {
                // Another account has the new address. This one keeps the old address.
                tracing::warn!(
                    person.id = planned.found.person.id.get(),
                    "kept an e-mail address, because another account has the new one of the directory entry"
                );
                let change = ProviderChange { email: None, ..planned.change.clone() };
                let applied = self.store.apply_provider_change(&planned.found, &change, &mutation()).await;
                Ok(self.node.revoke_and_wait(&RequestContext::default(), applied).await?)
            }
            result => Ok(result?),
        }
    }

    /// Returns the time until the next look at the schedule of a directory: a tenth of its interval.
    #[must_use]
    pub fn poll_interval(provider: &DirectoryProvider) -> Duration {
        (provider.sync_interval / 10).max(Duration::from_secs(1))
    }
}

fn failed(message: String) -> SyncResult {
    let report = SyncReport { message, ..SyncReport::default() };
    SyncResult { outcome: SyncOutcome::Failed, report, plan: SyncPlan::default() }
}
