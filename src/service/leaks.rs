//! Values of tokens that have become known to others.

use std::net::IpAddr;

use zeroize::Zeroizing;

use crate::{
    domain::{budget::Rate, network::counted_by, time::Clock},
    service::{Refusal, Result, Tokens, act, budgets::Budgets, webhook::Webhook},
    value::{Format, Presented},
};

/// Where leaked values are reported.
#[derive(Clone)]
pub struct Leaks {
    tokens: Tokens,
    clock: Clock,
    format: Format,
    reports: Budgets<Option<IpAddr>>,
    webhook: Webhook,
}

impl Leaks {
    /// Each address may report so many values at once, and then a minute; 0: any number.
    #[must_use]
    pub fn new(tokens: Tokens, clock: Clock, format: Format, per_minute: u32, webhook: Webhook) -> Self {
        Self { tokens, clock, format, reports: Budgets::new(Rate::per_minute(per_minute)), webhook }
    }

    /// What values look like.
    #[must_use]
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// Deletes the tokens of these values, as far as they live; whether any did the reporter does not learn. What cannot be a token costs
    /// nothing. Events tell the owners, and a
    /// webhook the operator.
    ///
    /// # Errors
    /// [`Refusal::TooFast`]: those before were deleted. [`Refusal::Unavailable`]: some may still be good.
    pub async fn report(&self, values: &[Zeroizing<String>]) -> Result<()> {
        let from = act::origin().address.map(counted_by);
        for value in values {
            let Some(presented) = Presented::parse(value.trim()) else { continue };
            if self.format.recognise(presented).is_none() {
                continue;
            }
            self.reports.spend(from, self.clock.now()).map_err(|millis| Refusal::TooFast { millis })?;
            if let Some(token) = self.tokens.revoke_leaked(presented).await? {
                tracing::warn!(
                    token.id = %token.id,
                    person.id = token.person_id,
                    workspace.id = token.workspace_id,
                    "a token was reported as leaked, and is deleted"
                );
                self.webhook.tell(&token, self.clock.now());
            }
        }
        Ok(())
    }
}
