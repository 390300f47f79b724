//! Jobs of e-mail: the delivery of the outbox, and the purge of old messages.

use tokio::{sync::watch, task::JoinHandle};

use super::{PURGE_INTERVAL, run_until_stopped};
use crate::{app::App, domain::causes::Causes, service::Mail};

/// Starts the jobs.
pub(super) fn start(app: &App, stopped: &watch::Receiver<()>) -> Vec<JoinHandle<()>> {
    let mail = app.mail();
    vec![
        tokio::spawn(run_until_stopped(stopped.clone(), mail.clone().run())),
        tokio::spawn(run_until_stopped(stopped.clone(), mail.clone().keep_announced())),
        tokio::spawn(run_until_stopped(stopped.clone(), purge(mail.clone()))),
    ]
}

async fn purge(mail: Mail) {
    let mut timer = tokio::time::interval(PURGE_INTERVAL);
    loop {
        timer.tick().await;
        if let Err(error) = mail.purge().await {
            tracing::warn!(error = %Causes(&error), "failed to purge old e-mail");
        }
    }
}
