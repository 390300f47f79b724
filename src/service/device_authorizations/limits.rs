//! The limits on programs without a credential, and on guesses of codes.

use std::net::IpAddr;

use crate::{
    domain::{
        event::RequestContext, id::PersonId, ip_network::rate_limit_key, rate_limit::Rate, sign_in_flow::TextDigest,
        time::Timestamp,
    },
    service::{Error, Result, rate_limit::KeyedRateLimiter},
};

/// The requests of one client address: ten at once, then one every six seconds.
const REQUEST_RATE: Rate = Rate { burst: 10, interval_millis: 6_000 };
/// The same for an address that several clients share, or that is not known.
const SHARED_REQUEST_RATE: Rate = Rate { burst: 100, interval_millis: 1_000 };
/// The unknown device codes of one client address.
const UNKNOWN_CODE_RATE: Rate = Rate { burst: 30, interval_millis: 2_000 };
/// The same for an address that several clients share, or that is not known.
const SHARED_UNKNOWN_CODE_RATE: Rate = Rate { burst: 1_200, interval_millis: 50 };
/// The polls of one device code that reach the database: ten at once, then one per second.
const POLL_RATE: Rate = Rate { burst: 10, interval_millis: 1_000 };
/// The wrong user codes of one person, in all sessions: ten at once, then one per minute.
const PERSON_GUESS_RATE: Rate = Rate { burst: 10, interval_millis: 60_000 };
/// The wrong user codes of one client address, which several people may share.
const ADDRESS_GUESS_RATE: Rate = Rate { burst: 50, interval_millis: 12_000 };

/// The limits on programs, and on guesses of codes.
#[derive(Clone)]
pub(super) struct Limits {
    pub(super) requests: AddressLimiter,
    pub(super) unknown_codes: AddressLimiter,
    polls: KeyedRateLimiter<TextDigest>,
    guesses_by_person: KeyedRateLimiter<PersonId>,
    guesses_by_address: KeyedRateLimiter<IpAddr>,
}

/// A limit by client address, with another one for addresses that several clients share.
#[derive(Clone)]
pub(super) struct AddressLimiter {
    own: KeyedRateLimiter<Option<IpAddr>>,
    shared: KeyedRateLimiter<Option<IpAddr>>,
}

impl AddressLimiter {
    fn new(own: Rate, shared: Rate) -> Self {
        Self { own: KeyedRateLimiter::new(own), shared: KeyedRateLimiter::new(shared) }
    }

    /// Takes one request of the client.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if the address has sent too many.
    pub(super) fn acquire(&self, request: &RequestContext, now: Timestamp) -> Result<()> {
        let limiter = if request.unshared_client_ip().is_some() { &self.own } else { &self.shared };
        let acquired = limiter.try_acquire(request.client_ip.map(rate_limit_key), now);
        acquired.map_err(|retry_after_millis| Error::RateLimited { retry_after_millis })
    }

    fn rejections(&self) -> u64 {
        self.own.rejections() + self.shared.rejections()
    }
}

/// A guess that was counted.
pub(super) struct Guess {
    person_id: PersonId,
    address: Option<IpAddr>,
}

impl Limits {
    pub(super) fn new() -> Self {
        Self {
            requests: AddressLimiter::new(REQUEST_RATE, SHARED_REQUEST_RATE),
            unknown_codes: AddressLimiter::new(UNKNOWN_CODE_RATE, SHARED_UNKNOWN_CODE_RATE),
            polls: KeyedRateLimiter::new(POLL_RATE),
            guesses_by_person: KeyedRateLimiter::new(PERSON_GUESS_RATE),
            guesses_by_address: KeyedRateLimiter::new(ADDRESS_GUESS_RATE),
        }
    }

    /// Counts a poll with a device code.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if the program polls far too often.
    pub(super) fn count_poll(&self, device_code: TextDigest, now: Timestamp) -> Result<()> {
        let acquired = self.polls.try_acquire(device_code, now);
        acquired.map_err(|retry_after_millis| Error::RateLimited { retry_after_millis })
    }

    /// Counts a user code that a person typed, before it is looked up: tries at the same time all count.
    ///
    /// # Errors
    /// [`Error::RateLimited`] after too many wrong codes of the person or the address.
    pub(super) fn count_guess(&self, person_id: PersonId, request: &RequestContext, now: Timestamp) -> Result<Guess> {
        let limited = |retry_after_millis| Error::RateLimited { retry_after_millis };
        let address = request.unshared_client_ip().map(rate_limit_key);
        // The person first: one who has no guesses left does not use up those of colleagues.
        self.guesses_by_person.try_acquire(person_id, now).map_err(limited)?;
        if let Some(address) = address
            && let Err(wait) = self.guesses_by_address.try_acquire(address, now)
        {
            self.guesses_by_person.refund(person_id);
            return Err(limited(wait));
        }
        Ok(Guess { person_id, address })
    }

    /// Takes back a guess that was right.
    pub(super) fn refund(&self, guess: &Guess) {
        self.guesses_by_person.refund(guess.person_id);
        if let Some(address) = guess.address {
            self.guesses_by_address.refund(address);
        }
    }

    /// Returns how often each limit was exceeded since the start: requests, and guesses of codes.
    pub(super) fn rejections(&self) -> [(&'static str, u64); 2] {
        let Self { requests, unknown_codes, polls, guesses_by_person, guesses_by_address } = self;
        let guesses = unknown_codes.rejections() + guesses_by_person.rejections() + guesses_by_address.rejections();
        let requests = requests.rejections() + polls.rejections();
        [("device_authorizations", requests), ("device_code_guesses", guesses)]
    }
}
