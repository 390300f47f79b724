//! Values of tokens that have become known to others.

use std::net::IpAddr;

use zeroize::Zeroizing;

use crate::{
    domain::{ip_network::counted_by, rate_limit::Rate, time::Clock},
    service::{Refusal, Result, Tokens, rate_limit::Budgets, request_context, webhook::Webhook},
};
use tokenward_guard::token_format::{BearerToken, TokenFormat};

/// How many times the budget of one address a proxy has that was not named: it stands for all its clients.
const SHARED_TIMES: u32 = 100;
/// The most values of one report.
pub const MOST_VALUES: u32 = 100;

fn rate(per_minute: u32) -> Rate {
    let rate = Rate::per_minute(per_minute);
    if per_minute == 0 { rate } else { Rate { burst: rate.burst.max(MOST_VALUES), ..rate } }
}

/// Where leaked values are reported.
#[derive(Clone)]
pub struct Leaks {
    tokens: Tokens,
    clock: Clock,
    format: TokenFormat,
    reports: Budgets<Option<IpAddr>>,
    shared_reports: Budgets<Option<IpAddr>>,
    webhook: Webhook,
}

impl Leaks {
    /// Each address may report so many values a minute, and at least [`MOST_VALUES`] at once; 0: any number.
    #[must_use]
    pub fn new(tokens: Tokens, clock: Clock, format: TokenFormat, per_minute: u32, webhook: Webhook) -> Self {
        let shared_reports = Budgets::new(rate(per_minute.saturating_mul(SHARED_TIMES)));
        Self { tokens, clock, format, reports: Budgets::new(rate(per_minute)), shared_reports, webhook }
    }

    /// What values look like.
    #[must_use]
    pub fn format(&self) -> &TokenFormat {
        &self.format
    }

    /// The whole report or nothing: whoever sends it again need not know how far it came.
    fn spend(&self, values: usize) -> Result<()> {
        let origin = request_context::origin();
        let reports = if origin.is_shared { &self.shared_reports } else { &self.reports };
        let from = origin.address.map(counted_by);
        for spent in 0..values {
            if let Err(millis) = reports.spend(from, self.clock.now()) {
                (0..spent).for_each(|_| reports.give_back(from));
                return Err(Refusal::TooFast { millis });
            }
        }
        Ok(())
    }

    /// Deletes the tokens of these values, as far as they live; whether any did the reporter does not learn. What cannot be a token costs
    /// nothing. Events tell the owners, and a
    /// webhook the operator.
    ///
    /// # Errors
    /// [`Refusal::TooFast`]: none was deleted. [`Refusal::Unavailable`]: some may still be good.
    pub async fn report(&self, values: &[Zeroizing<String>]) -> Result<()> {
        let shaped: Vec<BearerToken<'_>> = values
            .iter()
            .filter_map(|value| BearerToken::parse(value.trim()))
            .filter(|presented| self.format.parse_digest(*presented).is_some())
            .collect();
        self.spend(shaped.len())?;
        for presented in shaped {
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
