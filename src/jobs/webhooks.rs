//! Jobs of webhooks: the delivery of events, the purge of old deliveries, and the events of tokens
//! that expire soon.

use std::time::Duration;

use tokio::{sync::watch, task::JoinHandle, time::MissedTickBehavior};

use super::{PURGE_INTERVAL, run_until_stopped};
use crate::{
    app::App,
    domain::causes::Causes,
    service::{ExpiryWarnings, Webhooks},
};

/// The interval at which tokens that expire soon are looked for.
const WARNING_INTERVAL: Duration = Duration::from_secs(600);

/// Starts the jobs.
pub(super) fn start(app: &App, stopped: &watch::Receiver<()>) -> Vec<JoinHandle<()>> {
    let (webhooks, warnings) = (app.webhooks(), app.expiry_warnings().clone());
    vec![
        tokio::spawn(run_until_stopped(stopped.clone(), webhooks.clone().run())),
        tokio::spawn(run_until_stopped(stopped.clone(), purge_deliveries(webhooks.clone()))),
        tokio::spawn(run_until_stopped(stopped.clone(), warn_of_expiry(warnings, webhooks.clone()))),
    ]
}

async fn purge_deliveries(webhooks: Webhooks) {
    let mut timer = tokio::time::interval(PURGE_INTERVAL);
    loop {
        timer.tick().await;
        if let Err(error) = webhooks.purge_deliveries().await {
            tracing::warn!(error = %Causes(&error), "failed to purge deliveries of webhooks");
        }
    }
}

/// Records events of tokens that expire soon. All nodes run it; each event is recorded once.
async fn warn_of_expiry(warnings: ExpiryWarnings, webhooks: Webhooks) {
    let mut timer = tokio::time::interval(WARNING_INTERVAL);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        match warnings.record_due().await {
            Ok(count) => webhooks.counters().record_expiry_warnings(count),
            Err(error) => tracing::warn!(error = %Causes(&error), "failed to look for tokens that expire soon"),
        }
    }
}
