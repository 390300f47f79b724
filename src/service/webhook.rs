//! Telling a program of the operator's what cannot wait until somebody looks: a token had become known to others, and is deleted.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{domain::time::Timestamp, store::TokenLabel};

/// How long one try may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait before each further try; then it is given up, and the event stays.
const AGAIN_AFTER: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];
/// The most that are being told at once; what comes beyond it is not told.
const AT_ONCE: usize = 64;

/// Where to tell it, if anywhere. Cheap to clone.
#[derive(Clone, Default)]
pub struct Webhook(Option<Arc<Inner>>);

struct Inner {
    client: reqwest::Client,
    /// May hold a secret, so it is not printed.
    url: String,
    under_way: Arc<Semaphore>,
}

/// What is told.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Leaked {
    event: &'static str,
    token_id: Uuid,
    hint: String,
    person_id: i64,
    workspace_id: i64,
    time: String,
}

impl Webhook {
    /// One that posts to this URL.
    ///
    /// # Errors
    /// Where there is no way to make requests.
    pub fn new(url: String) -> Result<Self, reqwest::Error> {
        // The first that installs a provider of cryptography wins; whichever it is will do.
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self(Some(Arc::new(Inner { client, url, under_way: Arc::new(Semaphore::new(AT_ONCE)) }))))
    }

    /// Tells of a leaked token, without being waited for.
    pub(super) fn tell(&self, token: &TokenLabel, at: Timestamp) {
        let Some(inner) = self.0.clone() else { return };
        let Ok(place) = Arc::clone(&inner.under_way).try_acquire_owned() else {
            tracing::warn!(token.id = %token.id, "too much is being told already: the webhook does not hear of a leaked token");
            return;
        };
        let leaked = Leaked {
            event: "token.leaked",
            token_id: token.id,
            hint: token.hint.clone(),
            person_id: token.person_id,
            workspace_id: token.workspace_id,
            time: at.to_string(),
        };
        tokio::spawn(async move {
            let _place = place;
            inner.send(&leaked).await;
        });
    }
}

impl Inner {
    async fn send(&self, leaked: &Leaked) {
        let mut waits = AGAIN_AFTER.into_iter();
        loop {
            let sent =
                self.client.post(&self.url).json(leaked).send().await.and_then(reqwest::Response::error_for_status);
            let Err(error) = sent.map_err(reqwest::Error::without_url) else { return };
            let Some(wait) = waits.next() else {
                tracing::error!(token.id = %leaked.token_id, %error, "the webhook could not be told of a leaked token");
                return;
            };
            tokio::time::sleep(wait).await;
        }
    }
}
