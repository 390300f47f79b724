//! Device authorizations (RFC 8628): a program without a browser asks for a token, and a signed-in
//! person approves it on a page.

use std::fmt;

use tokenward_guard::Scopes;
use uuid::Uuid;

use super::{
    id::{PersonId, WorkspaceId},
    random::Random,
    sign_in_flow::TextDigest,
    time::Timestamp,
    token::Lifetime,
};

/// The time in which a person can approve, and the program can fetch the token, in seconds.
pub const EXPIRES_IN_SECONDS: i64 = 600;
/// The time between two polls at first, in seconds.
pub const POLL_INTERVAL_SECONDS: i64 = 5;
/// The time that each poll that comes too early adds to the interval, in seconds (RFC 8628, section 3.5).
const SLOW_DOWN_SECONDS: i64 = 5;
/// The time by which a poll may be early, in milliseconds. The clocks and delays of clients vary.
const POLL_TOLERANCE_MILLIS: i64 = 1_000;
/// The lifetime of a token for which the program asks without one, in days.
const DEFAULT_LIFETIME_DAYS: i64 = 30;
const DAY_SECONDS: i64 = 86_400;

/// 62^43 is just above 2^256.
const DEVICE_CODE_CHARS: usize = 43;
/// The letters of user codes: no vowels, so that no words appear (RFC 8628, section 6.1).
const USER_CODE_LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const USER_CODE_CHARS: usize = 8;
/// The longest text that is read as a user code, in bytes. People may type spaces and dashes.
const MAX_TYPED_BYTES: usize = 64;

/// The secret with which a program fetches the token: 43 base62 characters, 256 random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceCode(String);

impl DeviceCode {
    /// Generates an unpredictable code.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        Self(random.base62(DEVICE_CODE_CHARS))
    }

    /// Reads a presented code. Returns `None` if it does not have the format of one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_well_formed = text.len() == DEVICE_CODE_CHARS && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_well_formed.then(|| Self(text.to_owned()))
    }

    /// Returns the secret text, for the response.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the digest, which is stored instead of the code.
    #[must_use]
    pub fn digest(&self) -> TextDigest {
        TextDigest::of(&self.0)
    }
}

impl fmt::Debug for DeviceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceCode([hidden])")
    }
}

/// The short code that a person types on the page. `Display` writes it as `XXXX-XXXX`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UserCode([u8; USER_CODE_CHARS]);

impl UserCode {
    /// Generates a code, each equally likely.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        // The largest multiple of the number of letters in a byte.
        const LIMIT: u8 = 240;
        let letters = std::iter::repeat_with(|| random.bytes::<1>()[0])
            .filter(|byte| *byte < LIMIT)
            .map(|byte| USER_CODE_LETTERS[usize::from(byte) % USER_CODE_LETTERS.len()]);
        let mut code = [0; USER_CODE_CHARS];
        code.iter_mut().zip(letters).for_each(|(place, letter)| *place = letter);
        Self(code)
    }

    /// Reads a typed code: letters in any case, with spaces and dashes anywhere. Returns `None` for any
    /// other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_TYPED_BYTES {
            return None;
        }
        let letters: Vec<u8> = text
            .bytes()
            .filter(|byte| *byte != b'-' && !byte.is_ascii_whitespace())
            .map(|byte| byte.to_ascii_uppercase())
            .collect();
        let code: [u8; USER_CODE_CHARS] = letters.try_into().ok()?;
        code.iter().all(|letter| USER_CODE_LETTERS.contains(letter)).then_some(Self(code))
    }

    /// Returns the digest, which is stored instead of the code.
    #[must_use]
    pub fn digest(&self) -> TextDigest {
        TextDigest::of(&self.to_string())
    }
}

impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, letter) in self.0.iter().enumerate() {
            let dash = if n == USER_CODE_CHARS / 2 { "-" } else { "" };
            write!(f, "{dash}{}", char::from(*letter))?;
        }
        Ok(())
    }
}

impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCode([hidden])")
    }
}

/// The state of a device authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// No person has decided yet.
    Pending,
    /// A person approved. The next poll creates the token.
    Approved,
    /// A person denied, or the rules did not allow the token.
    Denied,
    /// The token was created.
    Redeemed,
}

impl DeviceState {
    const ALL: [Self; 4] = [Self::Pending, Self::Approved, Self::Denied, Self::Redeemed];

    /// Returns the stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Redeemed => "redeemed",
        }
    }

    /// Finds a state by its stored name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// A stored device authorization: all of it except the codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceAuthorization {
    pub id: Uuid,
    pub state: DeviceState,
    /// The description of the token, as the program sent it.
    pub description: String,
    /// `None`: the program asked for no lifetime.
    pub lifetime: Option<Lifetime>,
    pub scopes: Scopes,
    /// The client address of the program; `None`: unknown.
    pub address: Option<String>,
    /// The `User-Agent` of the program.
    pub user_agent: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// The session in which a person entered the user code; `None`: none has.
    pub reviewer: Option<Reviewer>,
    pub poll: PollState,
}

impl DeviceAuthorization {
    /// Returns whether the time to decide, and to fetch the token, is over.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }

    /// Returns the lifetime of the token in a workspace with this maximum in days.
    #[must_use]
    pub fn lifetime_within(&self, max_days: Option<i64>) -> Lifetime {
        let days = max_days.map_or(DEFAULT_LIFETIME_DAYS, |max| max.min(DEFAULT_LIFETIME_DAYS));
        self.lifetime.unwrap_or(Lifetime::Seconds(days * DAY_SECONDS))
    }
}

/// The session of the person who decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reviewer {
    pub workspace_id: WorkspaceId,
    pub person_id: PersonId,
    pub session_id: Uuid,
}

/// The polls of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollState {
    /// The time between two polls, in seconds.
    pub interval_seconds: i64,
    pub last_at: Option<Timestamp>,
}

impl PollState {
    /// The state before the first poll.
    pub const NONE: Self = Self { interval_seconds: POLL_INTERVAL_SECONDS, last_at: None };

    /// Returns the state after a poll, and whether the poll came too early.
    #[must_use]
    pub fn next(self, now: Timestamp) -> (Self, bool) {
        let earliest = |last: Timestamp| last.as_millis() + self.interval_seconds * 1_000 - POLL_TOLERANCE_MILLIS;
        let is_early = self.last_at.is_some_and(|last| now.as_millis() < earliest(last));
        let added = if is_early { SLOW_DOWN_SECONDS } else { 0 };
        let interval_seconds = (self.interval_seconds + added).min(EXPIRES_IN_SECONDS);
        (Self { interval_seconds, last_at: Some(now) }, is_early)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_code_is_read_as_people_type_it() {
        let code = UserCode::parse("BCDFGHJK").unwrap();
        assert_eq!(code.to_string(), "BCDF-GHJK");
        for typed in ["BCDF-GHJK", "bcdfghjk", " bcdf ghjk\t", "B-C-D-F-G-H-J-K", "bcdf--ghjk"] {
            assert_eq!(UserCode::parse(typed), Some(code), "{typed}");
        }
        let padded = format!("{}BCDFGHJK", " ".repeat(60));
        for other in ["", "BCDFGHJ", "BCDFGHJKL", "ACDFGHJK", "BCDFGHJ0", "BCDF_GHJK", "BCDFGHJÉ", &padded] {
            assert_eq!(UserCode::parse(other), None, "{other}");
        }
    }

    #[test]
    fn generated_codes_parse_and_are_hidden_in_debug_output() {
        let random = Random::system();
        let (user, device) = (UserCode::generate(&random), DeviceCode::generate(&random));
        assert_eq!(UserCode::parse(&user.to_string()), Some(user));
        assert_eq!(DeviceCode::parse(device.expose()), Some(device.clone()));
        let debug = format!("{user:?} {device:?}");
        assert!(!debug.contains(&user.to_string()) && !debug.contains(device.expose()), "{debug}");
        for other in ["", "x", &"a".repeat(44), &format!("{}-", "a".repeat(42))] {
            assert_eq!(DeviceCode::parse(other), None, "{other}");
        }
    }

    #[test]
    fn each_letter_of_a_user_code_is_equally_likely() {
        let counter = std::sync::atomic::AtomicU8::new(0);
        let random = Random::from_fn(move |bytes| {
            bytes.fill_with(|| counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        });
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..30 {
            UserCode::generate(&random).0.iter().for_each(|letter| *counts.entry(*letter).or_insert(0) += 1);
        }
        assert_eq!(counts.into_values().collect::<Vec<_>>(), [12; 20]);
    }

    #[test]
    fn an_early_poll_lengthens_the_interval() {
        let at = Timestamp::from_millis;
        let (first, is_early) = PollState::NONE.next(at(0));
        assert_eq!((first.interval_seconds, is_early), (5, false));
        assert_eq!(first.next(at(4_000)), (PollState { interval_seconds: 5, last_at: Some(at(4_000)) }, false));
        let (slower, is_early) = first.next(at(3_999));
        assert_eq!((slower.interval_seconds, is_early), (10, true));
        assert!(!slower.next(at(12_999)).1 && slower.next(at(12_998)).1);
        let slowest = PollState { interval_seconds: 599, last_at: Some(at(0)) }.next(at(0)).0;
        assert_eq!(slowest.interval_seconds, EXPIRES_IN_SECONDS);
    }

    #[test]
    fn every_stored_state_parses_to_itself() {
        for state in DeviceState::ALL {
            assert_eq!(DeviceState::parse(state.as_str()), Some(state));
        }
        assert_eq!(DeviceState::parse("claimed"), None);
    }
}
