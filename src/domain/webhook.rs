//! Webhooks: the selection of events, the signing secret, and the schedule of retries.
//!
//! Format and signature follow Standard Webhooks 1.0.

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    ValidationError,
    event::Action,
    id::WorkspaceId,
    random::Random,
    time::{Clock, Timestamp},
};

/// The maximum number of webhooks of a workspace.
pub const MAX_WEBHOOKS: i64 = 20;
/// The maximum length of a URL, in bytes.
pub const MAX_URL_BYTES: usize = 2_048;
/// The time during which a delivery is retried, and after which a webhook that accepts nothing is
/// disabled, in seconds.
pub const RETRY_SECONDS: i64 = 3 * 86_400;
/// The shortest delay before a retry, in milliseconds.
const MIN_DELAY_MILLIS: i64 = 5_000;
/// The longest delay before a retry, in milliseconds.
const MAX_DELAY_MILLIS: i64 = 3_600_000;
/// The maximum length of an unknown event name in an error message.
const MAX_ECHOED_CHARS: usize = 40;

/// A webhook without its secret. `Debug` does not print the URL.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    pub id: Uuid,
    pub workspace_id: WorkspaceId,
    /// May contain a secret, so it is not logged.
    pub url: String,
    pub events: EventSelection,
    pub is_enabled: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The first failed attempt after the last successful one; `None`: the last one succeeded, or
    /// there was none.
    pub failing_since: Option<Timestamp>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, workspace_id, events, is_enabled, failing_since, .. } = self;
        f.debug_struct("Webhook")
            .field("id", id)
            .field("workspace_id", workspace_id)
            .field("events", events)
            .field("is_enabled", is_enabled)
            .field("failing_since", failing_since)
            .finish_non_exhaustive()
    }
}

/// The events that a webhook receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventSelection {
    /// All events, those of later versions included.
    All,
    /// These events, in the order of [`Action::ALL`].
    Only(Vec<Action>),
}

impl EventSelection {
    /// The word for all events.
    pub const ALL_WORD: &'static str = "*";

    /// Parses the names of events, or `*` alone. Repeated names count once.
    ///
    /// # Errors
    /// [`ValidationError`] if the list is empty, names an unknown event, or has `*` beside a name.
    pub fn parse<T: AsRef<str>>(names: &[T]) -> Result<Self, ValidationError> {
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        if names.contains(&Self::ALL_WORD) {
            let is_alone = names.iter().all(|name| *name == Self::ALL_WORD);
            return if is_alone { Ok(Self::All) } else { Err(ValidationError::AllEventsBesideNames) };
        }
        if names.is_empty() {
            return Err(ValidationError::NoEvents);
        }
        if let Some(name) = names.iter().find(|name| Action::parse(name).is_none()) {
            return Err(unknown_event(name));
        }
        Ok(Self::Only(Action::ALL.iter().copied().filter(|action| names.contains(&action.as_str())).collect()))
    }

    /// Returns the names, as [`EventSelection::parse`] accepts them.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        match self {
            Self::All => vec![Self::ALL_WORD],
            Self::Only(actions) => actions.iter().map(|action| action.as_str()).collect(),
        }
    }
}

/// Returns the error of an unknown name, with the nearest one. A long name could be a secret and is
/// not repeated.
fn unknown_event(name: &str) -> ValidationError {
    let sent: String = name.chars().take(MAX_ECHOED_CHARS).collect();
    let similarity = |action: &Action| strsim::normalized_damerau_levenshtein(&sent, action.as_str());
    let nearest = Action::ALL.iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_echoed = !name.is_empty() && name.len() <= MAX_ECHOED_CHARS && name.chars().all(is_word);
    ValidationError::UnknownEvent {
        name: if is_echoed { name.to_owned() } else { "an element of events".to_owned() },
        nearest: nearest.map_or("", |action| action.as_str()),
    }
}

/// The key of a webhook's signatures: 32 random bytes. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Zeroizing<[u8; 32]>);

impl SigningSecret {
    /// Generates a secret.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        Self(Zeroizing::new(random.bytes()))
    }

    /// Reads a stored secret. Returns `None` unless it has 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// Returns the bytes that are stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// Returns the text for the receiver: `whsec_` and the Base64 of the bytes.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("whsec_{}", STANDARD.encode(self.0.as_slice())))
    }

    /// Returns the value of `webhook-signature`: `v1,` and the Base64 of the HMAC-SHA256 over
    /// `id.timestamp.body`. The timestamp is in seconds since 1970.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        // A key of any length is accepted.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.as_slice()) else { return String::new() };
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body.as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret([hidden])")
    }
}

/// Returns the time of the next attempt: after as much time as has passed since the first failed one,
/// at least five seconds and at most one hour, with a jitter of up to a quarter in either direction.
/// The delays thus grow with the time for which the webhook has failed, up to one hour.
#[must_use]
pub fn next_attempt(now: Timestamp, failing_since: Timestamp, random: &Random) -> Timestamp {
    let elapsed = now.as_millis().saturating_sub(failing_since.as_millis());
    let delay = elapsed.clamp(MIN_DELAY_MILLIS, MAX_DELAY_MILLIS);
    let jitter = i64::from(u16::from_be_bytes(random.bytes())) * (delay / 2) / i64::from(u16::MAX);
    Timestamp::from_millis(now.as_millis() + delay * 3 / 4 + jitter)
}

/// The outcome of one attempt to deliver an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptOutcome {
    /// The receiver responded with a status of 2xx.
    Succeeded,
    /// The receiver responded with another status.
    Rejected,
    /// There was no response in time.
    TimedOut,
    /// No connection was established, or it broke.
    ConnectionFailed,
    /// The name has no address, or the resolver failed.
    NameNotResolved,
    /// No address of the host may be connected to.
    AddressNotAllowed,
    /// The event was purged before it was delivered.
    EventPurged,
}

impl AttemptOutcome {
    pub const ALL: [Self; 7] = [
        Self::Succeeded,
        Self::Rejected,
        Self::TimedOut,
        Self::ConnectionFailed,
        Self::NameNotResolved,
        Self::AddressNotAllowed,
        Self::EventPurged,
    ];

    /// Returns the name in the API, the database and the metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Rejected => "rejected",
            Self::TimedOut => "timed_out",
            Self::ConnectionFailed => "connection_failed",
            Self::NameNotResolved => "name_not_resolved",
            Self::AddressNotAllowed => "address_not_allowed",
            Self::EventPurged => "event_purged",
        }
    }

    /// Finds an outcome by its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }
}

/// A finished attempt to deliver an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub began_at: Timestamp,
    pub duration: Duration,
    pub outcome: AttemptOutcome,
    /// The status of the response; `None`: no response.
    pub status: Option<u16>,
}

/// The state of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Not delivered yet.
    Pending,
    Succeeded,
    /// Given up.
    Failed,
}

impl DeliveryState {
    pub const ALL: [Self; 3] = [Self::Pending, Self::Succeeded, Self::Failed];

    /// Returns the name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// The delivery of one event to one webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub id: i64,
    /// The event; `None`: it was purged.
    pub event_id: Option<i64>,
    /// The kind of event; `None`: it was purged.
    pub action: Option<String>,
    pub created_at: Timestamp,
    pub state: DeliveryState,
    /// The number of attempts that began.
    pub attempts: i64,
    pub attempted_at: Option<Timestamp>,
    pub duration_millis: Option<i64>,
    pub response_status: Option<i64>,
    /// The outcome of the last attempt.
    pub outcome: Option<AttemptOutcome>,
    /// `None`: there is no further attempt, or the webhook is disabled.
    pub next_attempt_at: Option<Timestamp>,
}

/// Returns the header value that identifies an event. Retries have the same.
#[must_use]
pub fn message_id(event_id: i64) -> String {
    format!("evt_{event_id}")
}

/// Returns the time of a request as `webhook-timestamp` has it: seconds since 1970.
#[must_use]
pub fn message_timestamp(clock: &Clock) -> i64 {
    clock.now().as_millis().div_euclid(1_000)
}

#[cfg(test)]
mod tests;
