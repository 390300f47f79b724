//! The claim of a sync: one node runs it, and renews the claim while it does.

use std::{convert::Infallible, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::DirectorySyncs;
use crate::{
    domain::{causes::Causes, time::Timestamp},
    service::{Result, directories::DirectoryProvider},
};

/// The time after which another node may begin a sync, if the one that runs it stops renewing its claim.
const CLAIM_SECONDS: i64 = 60;
/// The time between two renewals of a claim.
pub(super) const RENEWAL_INTERVAL: Duration = Duration::from_secs(15);

impl DirectorySyncs {
    /// Claims a sync. Returns the time at which it began, or `None` if it is not due, or claimed.
    pub(super) async fn claim(&self, provider: &DirectoryProvider, interval_seconds: i64) -> Result<Option<Timestamp>> {
        let now = self.clock.now();
        let due_before = now.plus_seconds(-interval_seconds);
        let until = now.plus_seconds(CLAIM_SECONDS);
        let is_claimed = self.store.claim_directory_sync(provider.name(), now, due_before, until).await?;
        Ok(is_claimed.then_some(now))
    }

    /// Does the work of a claimed sync, and renews the claim meanwhile.
    pub(super) async fn while_renewing<T>(
        &self,
        provider: &DirectoryProvider,
        started_at: Timestamp,
        work: impl Future<Output = T>,
    ) -> T {
        // The work goes on during a renewal. It may hold the only connection that writes to SQLite, for which
        // the renewal waits.
        tokio::select! {
            output = work => output,
            never = self.renew_until_dropped(provider, started_at) => match never {},
        }
    }

    async fn renew_until_dropped(&self, provider: &DirectoryProvider, started_at: Timestamp) -> Infallible {
        let mut ticks = interval_at(Instant::now() + self.renewal_interval, self.renewal_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // The work goes on without a claim: its changes do not depend on the node that makes them.
            let until = self.clock.now().plus_seconds(CLAIM_SECONDS);
            match self.store.renew_directory_sync(provider.name(), started_at, until).await {
                Ok(true) => {}
                Ok(false) => tracing::warn!(provider = provider.name(), "another node began the same directory sync"),
                Err(error) => tracing::warn!(
                    provider = provider.name(),
                    error = %Causes(&error),
                    "failed to renew the claim of a directory sync"
                ),
            }
        }
    }
}
