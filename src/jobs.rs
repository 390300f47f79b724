//! What the service does beside answering: hearing the other nodes, writing uses of tokens, removing what is long over, and backups when it
//! is told to.

use std::time::Duration;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinHandle,
    time::MissedTickBehavior,
};

use crate::{
    app::App,
    config::Retention,
    service::{Events, Refusals, Sessions, SignIn, Tokens},
    store::Store,
    telemetry::LineBudget,
};

/// A crash may lose this much of `lastUsed`, and no more.
const FLUSH_EVERY: Duration = Duration::from_secs(10);
/// The memory of password hashes is given up when none was made for this long.
const REST_AFTER: Duration = Duration::from_secs(30);
/// A crash may lose this much of what is told of refusals.
const TELL_EVERY: Duration = Duration::from_secs(1);
const REMOVE_EVERY: Duration = Duration::from_secs(3_600);

/// The tasks that run beside the requests.
pub(crate) struct Background {
    stop: watch::Sender<()>,
    tasks: Vec<JoinHandle<()>>,
}

pub(crate) fn start(app: &App, store: &Store, retention: &Retention, lines: LineBudget) -> Background {
    let tokens = app.tokens().clone();
    let Retention { expired_tokens_days, deleted_tokens_days, events_days } = *retention;
    let (stop, stopped) = watch::channel(());
    let mut tasks = vec![
        tokio::spawn(app.live().clone().run(stopped.clone())),
        tokio::spawn(until(stopped.clone(), app.clock_floor().clone().keep())),
        tokio::spawn(until(stopped.clone(), flush_uses(tokens.clone()))),
        tokio::spawn(until(stopped.clone(), tell_refusals(app.refusals().clone()))),
        tokio::spawn(until(stopped.clone(), remove_dead(tokens.clone()))),
        tokio::spawn(until(stopped.clone(), forget(tokens.clone(), deleted_tokens_days))),
        tokio::spawn(until(stopped.clone(), back_up_when_told(store.clone()))),
        tokio::spawn(until(stopped.clone(), rest(app.sign_in().clone()))),
        tokio::spawn(until(stopped.clone(), lines.summarize())),
        tokio::spawn(until(stopped.clone(), remove_what_is_over(app.sessions().clone(), app.sign_in().clone()))),
    ];
    if let Some(days) = expired_tokens_days {
        tasks.push(tokio::spawn(until(stopped.clone(), remove_expired(tokens, days))));
    }
    if let Some(days) = events_days {
        tasks.push(tokio::spawn(until(stopped, prune_events(app.events().clone(), days))));
    }
    Background { stop, tasks }
}

impl Background {
    /// Stops the tasks; what they had begun is taken up again by whoever flushes last, or at the next start.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a background task had failed");
            }
        }
    }
}

async fn until(mut stopped: watch::Receiver<()>, work: impl Future<Output = ()>) {
    tokio::select! {
        _ = stopped.changed() => {}
        () = work => {}
    }
}

async fn flush_uses(tokens: Tokens) {
    let mut timer = tokio::time::interval(FLUSH_EVERY);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            () = tokens.uses_are_many() => {}
        }
        if let Err(error) = tokens.flush_uses().await {
            tracing::warn!(error = ?anyhow::Error::from(error), "uses of tokens could not be written; they wait");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn tell_refusals(refusals: Refusals) {
    let mut timer = tokio::time::interval(TELL_EVERY);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        if let Err(error) = refusals.flush(false).await {
            tracing::warn!(error = ?anyhow::Error::from(error), "refusals could not be written; they wait");
        }
    }
}

/// Removes the rows of tokens that are dead: what an earlier process left, and whenever there are more.
async fn remove_dead(tokens: Tokens) {
    loop {
        if let Err(error) = tokens.remove_dead().await {
            tracing::warn!(error = ?anyhow::Error::from(error), "the rows of dead tokens could not be removed");
        }
        tokio::time::timeout(REMOVE_EVERY, tokens.some_are_dead()).await.ok();
    }
}

async fn forget(tokens: Tokens, days: u32) {
    let mut timer = tokio::time::interval(REMOVE_EVERY / 6);
    loop {
        timer.tick().await;
        if let Err(error) = tokens.forget(days).await {
            tracing::warn!(error = ?anyhow::Error::from(error), "tokens that are gone could not be forgotten");
        }
    }
}

async fn prune_events(events: Events, days: u32) {
    let mut timer = tokio::time::interval(REMOVE_EVERY);
    loop {
        timer.tick().await;
        match events.prune(days).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed events that happened more than {days} days ago"),
            Err(error) => tracing::warn!(error = ?anyhow::Error::from(error), "old events could not be removed"),
        }
    }
}

/// SIGUSR1 asks for a backup of the SQLite file, which nobody else can read.
async fn back_up_when_told(store: Store) {
    let mut told = match signal(SignalKind::user_defined1()) {
        Ok(told) => told,
        Err(error) => return tracing::error!(%error, "SIGUSR1 cannot be heard: there will be no backups"),
    };
    while told.recv().await.is_some() {
        match store.back_up().await {
            Ok(Some(file)) => tracing::info!(file = %file.display(), "backed up"),
            Ok(None) => tracing::warn!("PostgreSQL is backed up by its own programs"),
            Err(error) => tracing::error!(error = ?anyhow::Error::from(error), "the backup failed"),
        }
    }
}

async fn rest(sign_in: SignIn) {
    let mut timer = tokio::time::interval(REST_AFTER);
    loop {
        timer.tick().await;
        sign_in.rest();
    }
}

async fn remove_what_is_over(sessions: Sessions, sign_in: SignIn) {
    let mut timer = tokio::time::interval(REMOVE_EVERY);
    loop {
        timer.tick().await;
        if let Err(error) = sessions.remove_over().await {
            tracing::warn!(error = ?anyhow::Error::from(error), "web sessions that are over could not be removed");
        }
        if let Err(error) = sign_in.forget_tries().await {
            tracing::warn!(error = ?anyhow::Error::from(error), "old wrong passwords could not be forgotten");
        }
    }
}

async fn remove_expired(tokens: Tokens, days: u32) {
    let mut timer = tokio::time::interval(REMOVE_EVERY);
    loop {
        timer.tick().await;
        match tokens.remove_expired(days).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed tokens that expired more than {days} days ago"),
            Err(error) => tracing::warn!(error = ?anyhow::Error::from(error), "expired tokens could not be removed"),
        }
    }
}
