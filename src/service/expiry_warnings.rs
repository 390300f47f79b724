//! Events that announce the expiry of tokens, on the days that the workspace's settings name.

use crate::{
    domain::{
        event::AuditContext,
        expiry_warning::ExpiryWarningDays,
        id::WorkspaceId,
        setting::{SettingKey, SettingValue},
        time::{Clock, Timestamp},
    },
    service::Result,
    store::{Error as StoreError, Store, WarningQuery},
};

/// The number of tokens that one statement finds.
const BATCH_SIZE: i64 = 500;

/// Records events of tokens that expire soon. Cheap to clone.
#[derive(Clone)]
pub struct ExpiryWarnings {
    store: Store,
    clock: Clock,
    /// The days in workspaces that have not set them.
    default_days: ExpiryWarningDays,
}

impl ExpiryWarnings {
    /// Creates the service.
    #[must_use]
    pub fn new(store: Store, clock: Clock, default_days: ExpiryWarningDays) -> Self {
        Self { store, clock, default_days }
    }

    /// Records the events that are due. A token that passed several days since the last time has one
    /// event. Returns the number of events.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::service::Error::Unavailable) if the database is unreachable or too
    /// slow.
    pub async fn record_due(&self) -> Result<u64> {
        let now = self.clock.now();
        let mut recorded = self.record_in(None, self.default_days, now).await?;
        for (workspace_id, text) in self.store.list_setting_overrides(SettingKey::ExpiryWarningDays).await? {
            if let Some(SettingValue::DayList(days)) = SettingKey::ExpiryWarningDays.parse_value(&text) {
                recorded += self.record_in(Some(workspace_id), days, now).await?;
            }
        }
        Ok(recorded)
    }

    async fn record_in(
        &self,
        workspace_id: Option<WorkspaceId>,
        days: ExpiryWarningDays,
        now: Timestamp,
    ) -> Result<u64> {
        let mut recorded = 0;
        for (more_than_days, days) in days.ranges() {
            let query = WarningQuery { workspace_id, days, more_than_days, now };
            loop {
                let batch = self.record_batch(&query).await?;
                recorded += batch;
                // An event that another node recorded is not found again.
                if batch == 0 {
                    break;
                }
            }
        }
        Ok(recorded)
    }

    async fn record_batch(&self, query: &WarningQuery) -> Result<u64> {
        let context = AuditContext::for_system(query.now);
        let mut recorded = 0;
        for token in self.store.list_expiring_tokens(query, BATCH_SIZE).await? {
            match self.store.warn_of_expiry(&token, query.days, &context).await {
                Ok(true) => recorded += 1,
                // Another node recorded it, or the token was deleted meanwhile.
                Ok(false) | Err(StoreError::Corrupt(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(recorded)
    }
}
