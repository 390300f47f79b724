//! What the service does by itself: hearing the other nodes, writing uses of tokens, and removing what is long over.

use std::time::Duration;

use tokio::{sync::watch, task::JoinHandle, time::MissedTickBehavior};

use crate::{
    app::App,
    service::{Sessions, SignIn, Tokens},
};

/// A crash may lose this much of `lastUsed`, and no more.
const FLUSH_EVERY: Duration = Duration::from_secs(10);
/// The memory of password hashes is given up when none was made for this long.
const REST_AFTER: Duration = Duration::from_secs(30);
const REMOVE_EVERY: Duration = Duration::from_secs(3_600);

/// The tasks that run beside the requests.
pub(super) struct Background {
    stop: watch::Sender<()>,
    tasks: Vec<JoinHandle<()>>,
}

pub(super) fn start(app: &App, expired_tokens_days: Option<u32>) -> Background {
    let tokens = app.tokens().clone();
    let (stop, stopped) = watch::channel(());
    let mut tasks = vec![
        tokio::spawn(app.live().clone().run(stopped.clone())),
        tokio::spawn(until(stopped.clone(), flush_uses(tokens.clone()))),
        tokio::spawn(until(stopped.clone(), rest(app.sign_in().clone()))),
        tokio::spawn(until(stopped.clone(), remove_what_is_over(app.sessions().clone(), app.sign_in().clone()))),
    ];
    if let Some(days) = expired_tokens_days {
        tasks.push(tokio::spawn(until(stopped, remove_expired(tokens, days))));
    }
    Background { stop, tasks }
}

impl Background {
    /// Stops the tasks; what they had begun is taken up again by whoever flushes last, or at the next start.
    pub(super) async fn stop(self) {
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
