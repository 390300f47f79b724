//! The webhook that notifies the operator of a leaked token.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{
    domain::{
        id::{PersonId, WorkspaceId},
        time::Timestamp,
    },
    store::TokenLabel,
};

/// The timeout of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The delays before the retries. After the last one the notification is dropped; the event remains
/// in the audit log.
const RETRY_DELAYS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];
/// The maximum number of notifications in flight. Further ones are dropped.
const MAX_IN_FLIGHT: usize = 64;

/// A webhook, or none. Cheap to clone.
#[derive(Clone, Default)]
pub struct Webhook(Option<Arc<Inner>>);

struct Inner {
    client: reqwest::Client,
    /// May contain a secret, so it is not logged.
    url: String,
    in_flight: Arc<Semaphore>,
}

/// The body of a notification.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LeakNotification {
    event: &'static str,
    token_id: Uuid,
    hint: String,
    person_id: PersonId,
    workspace_id: WorkspaceId,
    time: String,
}

impl Webhook {
    /// Creates a webhook that posts to `url`.
    ///
    /// # Errors
    /// [`reqwest::Error`] if the HTTP client cannot be created.
    pub fn new(url: String) -> Result<Self, reqwest::Error> {
        // The installation fails if a provider is installed already, and any provider is suitable.
        rustls::crypto::ring::default_provider().install_default().ok();
        let client =
            reqwest::Client::builder().timeout(REQUEST_TIMEOUT).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self(Some(Arc::new(Inner { client, url, in_flight: Arc::new(Semaphore::new(MAX_IN_FLIGHT)) }))))
    }

    /// Sends a notification in the background.
    pub(super) fn notify_leak(&self, token: &TokenLabel, at: Timestamp) {
        let Some(inner) = self.0.clone() else { return };
        let Ok(permit) = Arc::clone(&inner.in_flight).try_acquire_owned() else {
            tracing::warn!(token.id = %token.id, "too many webhook notifications in flight; dropping the notification of a leaked token");
            return;
        };
        let notification = LeakNotification {
            event: "token.leaked",
            token_id: token.id,
            hint: token.display_prefix.clone(),
            person_id: token.person_id,
            workspace_id: token.workspace_id,
            time: at.to_string(),
        };
        tokio::spawn(async move {
            let _permit = permit;
            inner.send(&notification).await;
        });
    }
}

impl Inner {
    async fn send(&self, notification: &LeakNotification) {
        let mut delays = RETRY_DELAYS.into_iter();
        loop {
            let result = self
                .client
                .post(&self.url)
                .json(notification)
                .send()
                .await
                .and_then(reqwest::Response::error_for_status);
            let Err(error) = result.map_err(reqwest::Error::without_url) else { return };
            let Some(delay) = delays.next() else {
                tracing::error!(token.id = %notification.token_id, %error, "failed to notify the webhook of a leaked token");
                return;
            };
            tokio::time::sleep(delay).await;
        }
    }
}
