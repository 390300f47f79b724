//! E-mail to people: the requests for reset links, and the delivery of the outbox.

mod counters;
mod delivery;
mod text;

use std::{net::IpAddr, sync::Arc};

use crate::{
    domain::{
        event::RequestContext, ip_network::rate_limit_key, mail::RESET_RETRY_SECONDS, person::Email, random::Random,
        rate_limit::Rate, time::Clock,
    },
    mail::Mailer,
    service::{Error, Result, rate_limit::KeyedRateLimiter},
    store::Store,
};
pub use counters::MailCounters;

/// The requests for reset links of one client address: ten at once, then one per minute.
const RESET_RATE: Rate = Rate { burst: 10, interval_millis: 60_000 };
/// Those of a proxy that is not listed as trusted, and thus of all its clients.
const SHARED_RESET_RATE: Rate = Rate { burst: 1_000, interval_millis: 600 };

/// Sends e-mail, if an SMTP server is configured. Cheap to clone.
#[derive(Clone)]
pub struct Mail {
    store: Store,
    clock: Clock,
    random: Random,
    /// `None`: the service sends no e-mail.
    mailer: Option<Mailer>,
    /// The URL that links begin with. It never depends on a request, whose `Host` the client chooses.
    public_url: Arc<str>,
    limiter: KeyedRateLimiter<Option<IpAddr>>,
    shared_limiter: KeyedRateLimiter<Option<IpAddr>>,
    counters: MailCounters,
}

impl Mail {
    /// Creates the service. Links begin with `public_url`.
    #[must_use]
    pub fn new((store, clock, random): (Store, Clock, Random), mailer: Option<Mailer>, public_url: &str) -> Self {
        Self {
            store,
            clock,
            random,
            mailer,
            public_url: public_url.into(),
            limiter: KeyedRateLimiter::new(RESET_RATE),
            shared_limiter: KeyedRateLimiter::new(SHARED_RESET_RATE),
            counters: MailCounters::default(),
        }
    }

    /// Returns whether the service sends e-mail.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.mailer.is_some()
    }

    /// Returns the counters of messages.
    #[must_use]
    pub fn counters(&self) -> &MailCounters {
        &self.counters
    }

    /// Returns how many requests for reset links exceeded the limit per address since the start.
    #[must_use]
    pub fn rate_limit_rejections(&self) -> (&'static str, u64) {
        ("password_resets_per_ip", self.limiter.rejections() + self.shared_limiter.rejections())
    }

    /// Requests a reset link for an e-mail address. The result and the time are the same whether or not an
    /// account has the address: the node that sends the message looks up the account.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if the client address sent too many requests, and [`Error::Unavailable`] if
    /// the database is unreachable or too slow.
    pub async fn request_reset(&self, email: &str, request: &RequestContext) -> Result<()> {
        let now = self.clock.now();
        let limiter = if request.is_client_ip_shared { &self.shared_limiter } else { &self.limiter };
        let address = request.client_ip.map(rate_limit_key);
        limiter.try_acquire(address, now).map_err(|millis| Error::RateLimited { retry_after_millis: millis })?;
        // People type passwords into this field. Only an address is stored.
        let (Ok(email), true) = (Email::parse(email), self.is_on()) else { return Ok(()) };
        let counted_since = now.plus_seconds(-RESET_RETRY_SECONDS);
        let is_queued = self.store.queue_reset_request(&email.key(), request.client_ip, now, counted_since).await?;
        if !is_queued {
            tracing::info!(
                client.address = request.client_ip.map(tracing::field::display),
                "ignored a request for a reset link: too many for this e-mail address"
            );
        }
        Ok(())
    }
}
