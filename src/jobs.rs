//! Background jobs: cluster messages, flushes of buffers, purges of old rows, and backups on
//! SIGUSR1.

mod mail;
mod webhooks;

use std::{sync::Arc, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinHandle,
    time::MissedTickBehavior,
};

use crate::{
    app::App,
    config::RetentionConfig,
    domain::causes::Causes,
    service::{
        DeniedAttemptLog, DeviceAuthorizations, DirectorySyncs, Events, Invites, Sessions, SignIn, TokenStatistics,
        Tokens, directories::DirectoryProvider,
    },
    store::Store,
    telemetry::LogBudget,
};

/// The interval of flushes of last-used timestamps. A crash loses at most this much.
const FLUSH_INTERVAL: Duration = Duration::from_secs(10);
/// The interval at which idle memory of the password hasher is released.
const BUFFER_RELEASE_INTERVAL: Duration = Duration::from_secs(30);
/// The interval of flushes of denied attempts. A crash loses at most this much.
const DENIED_ATTEMPTS_FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// The interval at which tokens are counted for the metrics.
const STATISTICS_INTERVAL: Duration = Duration::from_secs(60);
/// The interval at which replaced tokens are deleted. They stop authenticating at their time, whenever
/// that is.
const REPLACED_TOKENS_INTERVAL: Duration = Duration::from_secs(10);
/// The interval of purges.
const PURGE_INTERVAL: Duration = Duration::from_secs(3_600);
/// The time after their expiry for which tokens that were issued by exchange are kept.
const EXCHANGED_TOKENS_RETENTION: Duration = Duration::from_secs(86_400);

/// The interval of purges of sign-ins through identity providers and of device authorizations. They are valid
/// for ten minutes.
const FLOW_PURGE_INTERVAL: Duration = Duration::from_secs(600);

/// The running background jobs.
pub(crate) struct BackgroundJobs {
    stop: watch::Sender<()>,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts all jobs. Without a metrics port, there are no token statistics.
pub(crate) fn start(
    app: &App,
    store: &Store,
    retention: &RetentionConfig,
    log_budget: LogBudget,
    token_statistics: Option<TokenStatistics>,
) -> BackgroundJobs {
    let tokens = app.tokens().clone();
    let RetentionConfig { expired_tokens, deleted_tokens, events } = *retention;
    let (stop, stopped) = watch::channel(());
    let mut tasks = vec![
        tokio::spawn(app.node().clone().run(stopped.clone())),
        tokio::spawn(run_until_stopped(stopped.clone(), app.clock_floor().clone().run())),
        tokio::spawn(run_until_stopped(stopped.clone(), flush_last_used(tokens.clone()))),
        tokio::spawn(flush_denied_attempts(stopped.clone(), app.denied_attempts().clone())),
        tokio::spawn(run_until_stopped(stopped.clone(), purge_revoked_tokens(tokens.clone()))),
        tokio::spawn(run_until_stopped(stopped.clone(), delete_replaced_tokens(tokens.clone()))),
        tokio::spawn(run_until_stopped(stopped.clone(), purge_tombstones(tokens.clone(), deleted_tokens.get()))),
        tokio::spawn(run_until_stopped(stopped.clone(), back_up_on_signal(store.clone()))),
        tokio::spawn(run_until_stopped(stopped.clone(), release_idle_buffers(app.sign_in().clone()))),
        tokio::spawn(run_until_stopped(stopped.clone(), log_budget.report_every_second())),
        tokio::spawn(run_until_stopped(
            stopped.clone(),
            purge_sign_in_rows(app.sessions().clone(), app.sign_in().clone(), app.invites().clone()),
        )),
    ];
    let flows = purge_flows(app.sign_in().clone(), app.device_authorizations().clone());
    tasks.push(tokio::spawn(run_until_stopped(stopped.clone(), flows)));
    warn_of_saml_settings(app.sign_in());
    tasks.extend(webhooks::start(app, &stopped));
    tasks.extend(mail::start(app, &stopped));
    tasks.push(tokio::spawn(run_until_stopped(
        stopped.clone(),
        warn_of_unsynced(app.directory_syncs().clone(), app.sign_in().providers().names()),
    )));
    for provider in app.directory_syncs().directories().iter() {
        let sync = sync_directory(app.directory_syncs().clone(), provider.clone());
        tasks.push(tokio::spawn(run_until_stopped(stopped.clone(), sync)));
    }
    if let Some(statistics) = token_statistics {
        tasks.push(tokio::spawn(run_until_stopped(stopped.clone(), refresh_token_statistics(statistics))));
    }
    if let Some(retention) = expired_tokens {
        tasks.push(tokio::spawn(run_until_stopped(stopped.clone(), purge_expired_tokens(tokens, retention.get()))));
    }
    if let Some(retention) = events {
        tasks.push(tokio::spawn(run_until_stopped(stopped, purge_events(app.events().clone(), retention.get()))));
    }
    BackgroundJobs { stop, tasks }
}

impl BackgroundJobs {
    /// Stops the jobs. Interrupted work is completed by the final flush or after the next start.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a background job failed");
            }
        }
    }
}

async fn run_until_stopped(mut stopped: watch::Receiver<()>, work: impl Future<Output = ()>) {
    tokio::select! {
        _ = stopped.changed() => {}
        () = work => {}
    }
}

async fn flush_last_used(tokens: Tokens) {
    let mut timer = tokio::time::interval(FLUSH_INTERVAL);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            () = tokens.wait_for_flush_threshold() => {}
        }
        if let Err(error) = tokens.flush_last_used().await {
            tracing::warn!(error = %Causes(&error), "failed to flush last-used timestamps; retrying");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Flushes denied attempts. A flush that has begun is completed, because it holds what it took from the
/// log.
async fn flush_denied_attempts(mut stopped: watch::Receiver<()>, denied_attempts: DeniedAttemptLog) {
    let mut timer = tokio::time::interval(DENIED_ATTEMPTS_FLUSH_INTERVAL);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            _ = timer.tick() => {}
        }
        if let Err(error) = denied_attempts.flush(false).await {
            tracing::warn!(error = %Causes(&error), "failed to flush denied attempts; retrying");
        }
    }
}

/// Purges rows of revoked tokens: at start, and whenever tokens are revoked in bulk.
async fn purge_revoked_tokens(tokens: Tokens) {
    loop {
        if let Err(error) = tokens.purge_revoked().await {
            tracing::warn!(error = %Causes(&error), "failed to purge revoked tokens");
        }
        tokio::time::timeout(PURGE_INTERVAL, tokens.wait_for_purge()).await.ok();
    }
}

/// Deletes replaced tokens whose grace period has ended.
async fn delete_replaced_tokens(tokens: Tokens) {
    let mut timer = tokio::time::interval(REPLACED_TOKENS_INTERVAL);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        if let Err(error) = tokens.delete_replaced().await {
            tracing::warn!(error = %Causes(&error), "failed to delete replaced tokens");
        }
    }
}

async fn purge_tombstones(tokens: Tokens, retention: Duration) {
    let mut timer = tokio::time::interval(PURGE_INTERVAL / 6);
    loop {
        timer.tick().await;
        if let Err(error) = tokens.purge_tombstones(retention).await {
            tracing::warn!(error = %Causes(&error), "failed to purge tombstones");
        }
        if let Err(error) = tokens.purge_exchanged(EXCHANGED_TOKENS_RETENTION).await {
            tracing::warn!(error = %Causes(&error), "failed to purge expired tokens that were issued by exchange");
        }
    }
}

async fn purge_events(events: Events, retention: Duration) {
    let mut timer = tokio::time::interval(PURGE_INTERVAL);
    loop {
        timer.tick().await;
        match events.prune(retention).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, ?retention, "deleted old events"),
            Err(error) => tracing::warn!(error = %Causes(&error), "failed to purge old events"),
        }
    }
}

/// Backs up the SQLite database on SIGUSR1. Other processes cannot read the file while the service
/// runs.
async fn back_up_on_signal(store: Store) {
    let mut signals = match signal(SignalKind::user_defined1()) {
        Ok(signals) => signals,
        Err(error) => {
            return tracing::error!(%error, "failed to install the SIGUSR1 handler; on-demand backups are disabled");
        }
    };
    while signals.recv().await.is_some() {
        match store.back_up().await {
            Ok(Some(file)) => tracing::info!(file = %file.display(), "backed up"),
            Ok(None) => tracing::warn!("ignored SIGUSR1: use pg_dump or a base backup for PostgreSQL"),
            Err(error) => tracing::error!(error = %Causes(&error), "failed to back up the database"),
        }
    }
}

async fn release_idle_buffers(sign_in: SignIn) {
    let mut timer = tokio::time::interval(BUFFER_RELEASE_INTERVAL);
    loop {
        timer.tick().await;
        sign_in.release_idle_buffers();
    }
}

/// Purges expired sessions, login failures and invite links.
async fn purge_sign_in_rows(sessions: Sessions, sign_in: SignIn, invites: Invites) {
    let mut timer = tokio::time::interval(PURGE_INTERVAL);
    loop {
        timer.tick().await;
        if let Err(error) = sessions.purge_expired().await {
            tracing::warn!(error = %Causes(&error), "failed to purge expired sessions");
        }
        if let Err(error) = sign_in.purge_login_failures().await {
            tracing::warn!(error = %Causes(&error), "failed to purge login failures");
        }
        if let Err(error) = invites.purge_expired().await {
            tracing::warn!(error = %Causes(&error), "failed to purge expired invite links");
        }
    }
}

/// Purges sign-ins through identity providers and device authorizations that were not completed.
async fn purge_flows(sign_in: SignIn, device_authorizations: DeviceAuthorizations) {
    let mut timer = tokio::time::interval(FLOW_PURGE_INTERVAL);
    loop {
        timer.tick().await;
        if let Err(error) = sign_in.purge_sign_in_flows().await {
            tracing::warn!(error = %Causes(&error), "failed to purge sign-ins that were not completed");
        }
        if let Err(error) = device_authorizations.purge_expired().await {
            tracing::warn!(error = %Causes(&error), "failed to purge expired device authorizations");
        }
    }
}

/// Warns of people who are linked to a provider that is not configured any more.
async fn warn_of_unsynced(syncs: DirectorySyncs, others: Vec<String>) {
    match syncs.count_unsynced(&others).await {
        Ok(counts) => {
            for (provider, people) in counts {
                tracing::warn!(
                    provider,
                    people,
                    "people are linked to a provider that is not configured; no sync ends their tokens"
                );
            }
        }
        Err(error) => tracing::warn!(error = %Causes(&error), "failed to read the linked people"),
    }
}

/// Warns of SAML providers with expired certificates, and of those that ask for signed requests without a key.
fn warn_of_saml_settings(sign_in: &SignIn) {
    for provider in sign_in.providers_without_request_key() {
        tracing::warn!(
            provider,
            "the metadata of an identity provider asks for signed requests; if it rejects sign-ins, set sign_requests_key"
        );
    }
    for (provider, count) in sign_in.expired_certificates() {
        tracing::warn!(
            provider,
            count,
            "certificates of an identity provider have expired; their keys are accepted, but store its current metadata"
        );
    }
}

/// Syncs with a directory when it is due. The nodes share the schedule: one of them runs each sync.
async fn sync_directory(syncs: DirectorySyncs, provider: Arc<DirectoryProvider>) {
    let mut timer = tokio::time::interval(DirectorySyncs::poll_interval(&provider));
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        if let Err(error) = syncs.run_if_due(&provider).await {
            tracing::warn!(provider = provider.name(), error = %Causes(&error), "failed to sync with a directory");
        }
    }
}

async fn refresh_token_statistics(statistics: TokenStatistics) {
    let mut timer = tokio::time::interval(STATISTICS_INTERVAL);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        if let Err(error) = statistics.refresh().await {
            tracing::warn!(error = ?anyhow::Error::from(error), "failed to count tokens for the metrics");
        }
    }
}

async fn purge_expired_tokens(tokens: Tokens, retention: Duration) {
    let mut timer = tokio::time::interval(PURGE_INTERVAL);
    loop {
        timer.tick().await;
        match tokens.purge_expired(retention).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, ?retention, "deleted expired tokens"),
            Err(error) => tracing::warn!(error = %Causes(&error), "failed to purge expired tokens"),
        }
    }
}
