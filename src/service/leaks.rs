//! Reports of leaked token values.

use std::net::IpAddr;

use zeroize::Zeroizing;

use crate::{
    domain::{
        event::RequestContext, ip_network::rate_limit_key, rate_limit::Rate, scim::credential_format, time::Clock,
    },
    service::{Error, Result, Scim, Tokens, rate_limit::KeyedRateLimiter, webhook::Webhook},
};
use tokenward_guard::token_format::{BearerToken, TokenFormat};

/// The factor for the limit of a shared address: that of a proxy that is not listed as trusted, and
/// thus of all its clients.
const SHARED_ADDRESS_FACTOR: u32 = 100;
/// The maximum number of values in one report.
pub const MAX_REPORTED_VALUES: u32 = 100;

/// Returns the rate for reports, with a burst of at least one full report. 0 is unlimited.
fn report_rate(per_minute: u32) -> Rate {
    let rate = Rate::per_minute(per_minute);
    if per_minute == 0 { rate } else { Rate { burst: rate.burst.max(MAX_REPORTED_VALUES), ..rate } }
}

/// Accepts reports of leaked tokens.
#[derive(Clone)]
pub struct Leaks {
    tokens: Tokens,
    scim: Scim,
    clock: Clock,
    format: TokenFormat,
    limiter: KeyedRateLimiter<Option<IpAddr>>,
    shared_limiter: KeyedRateLimiter<Option<IpAddr>>,
    webhook: Webhook,
}

impl Leaks {
    /// Creates the service. Each address may report `per_minute` values per minute, and at least
    /// [`MAX_REPORTED_VALUES`] at once. 0 disables the limit.
    #[must_use]
    pub fn new(
        (tokens, scim): (Tokens, Scim),
        clock: Clock,
        format: TokenFormat,
        per_minute: u32,
        webhook: Webhook,
    ) -> Self {
        let shared_limiter = KeyedRateLimiter::new(report_rate(per_minute.saturating_mul(SHARED_ADDRESS_FACTOR)));
        let limiter = KeyedRateLimiter::new(report_rate(per_minute));
        Self { tokens, scim, clock, format, limiter, shared_limiter, webhook }
    }

    /// Returns the token format.
    #[must_use]
    pub fn format(&self) -> &TokenFormat {
        &self.format
    }

    /// Returns how many reports exceeded the limit since the start.
    #[must_use]
    pub fn rate_limit_rejections(&self) -> (&'static str, u64) {
        ("leak_reports", self.limiter.rejections() + self.shared_limiter.rejections())
    }

    /// Takes one rate-limit token per value, or none if the limit does not allow all. A rejected
    /// report can thus be sent again as a whole.
    fn acquire(&self, values: usize, request: &RequestContext) -> Result<()> {
        let limiter = if request.is_client_ip_shared { &self.shared_limiter } else { &self.limiter };
        let address = request.client_ip.map(rate_limit_key);
        for acquired in 0..values {
            if let Err(millis) = limiter.try_acquire(address, self.clock.now()) {
                (0..acquired).for_each(|_| limiter.refund(address));
                return Err(Error::RateLimited { retry_after_millis: millis });
            }
        }
        Ok(())
    }

    /// Deletes the tokens and the SCIM credentials with these values. The reporter does not learn whether any existed.
    /// Values without the form of a token do not count against the limit. Owners see the deletion
    /// in their events, and a webhook notifies the operator.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if the limit is exceeded; no token was deleted.
    /// [`Error::Unavailable`] if the database is unreachable or too slow; some tokens may still be
    /// valid.
    pub async fn report(&self, values: &[Zeroizing<String>], request: &RequestContext) -> Result<()> {
        let tokens: Vec<BearerToken<'_>> = values
            .iter()
            .filter_map(|value| BearerToken::parse(value.trim()))
            .filter(|bearer| {
                let digest = self.format.parse_digest(*bearer).or_else(|| credential_format().parse_digest(*bearer));
                digest.is_some()
            })
            .collect();
        self.acquire(tokens.len(), request)?;
        for bearer in tokens {
            if let Some(credential) = self.scim.revoke_leaked(bearer, request).await? {
                tracing::warn!(
                    credential.id = %credential.id,
                    workspace.id = credential.workspace_id.get(),
                    "revoked a SCIM credential that was reported as leaked"
                );
            }
            if let Some(token) = self.tokens.revoke_leaked(bearer, request).await? {
                tracing::warn!(
                    token.id = %token.id,
                    person.id = token.person_id.get(),
                    workspace.id = token.workspace_id.get(),
                    "deleted a token that was reported as leaked"
                );
                self.webhook.notify_leak(&token, self.clock.now());
            }
        }
        Ok(())
    }
}
