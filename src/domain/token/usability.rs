//! The rules for using tokens: whether a presented token authenticates.

use std::net::IpAddr;

use crate::domain::{person::TokenAccess, time::Timestamp, token_limits::AllowedNetworks};

/// The facts that decide whether a presented token authenticates, read in one look-up.
#[derive(Clone, Copy, Debug)]
pub struct TokenFacts<'a> {
    /// When the token stops authenticating: its scheduled deletion or its expiry.
    pub ends_at: Option<Timestamp>,
    pub networks: &'a AllowedNetworks,
    pub is_disabled: bool,
    pub token_access: TokenAccess,
    pub feature_enabled: bool,
    /// When the token pauses until its owner signs in again.
    pub pauses_at: Option<Timestamp>,
}

/// The reason why an existing token does not authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnusableReason {
    Expired,
    PersonDisabled,
    AccessDisabled,
    /// The owner has not signed in through the identity provider for too long.
    Paused,
    /// The client's address is in none of the token's networks.
    OutsideNetworks,
    /// The token has networks, and the client's address is not known.
    ClientAddressUnknown,
    /// The feature is switched off in the workspace. Checked last: it is reported only for a token
    /// that would otherwise authenticate.
    FeatureOff,
}

impl TokenFacts<'_> {
    /// Checks whether the token authenticates at a time, for a client with this address. The address is
    /// determined only for a token with networks.
    ///
    /// # Errors
    /// The reason of the first rule that rejects the token.
    pub fn ensure_usable(&self, now: Timestamp, client: impl FnOnce() -> Option<IpAddr>) -> Result<(), UnusableReason> {
        if is_expired(self.ends_at, now) {
            return Err(UnusableReason::Expired);
        }
        if self.is_disabled {
            return Err(UnusableReason::PersonDisabled);
        }
        if !self.token_access.allows_use() {
            return Err(UnusableReason::AccessDisabled);
        }
        if is_expired(self.pauses_at, now) {
            return Err(UnusableReason::Paused);
        }
        if !self.networks.is_any() {
            let client = client().ok_or(UnusableReason::ClientAddressUnknown)?;
            if !self.networks.allow(Some(client)) {
                return Err(UnusableReason::OutsideNetworks);
            }
        }
        if !self.feature_enabled {
            return Err(UnusableReason::FeatureOff);
        }
        Ok(())
    }
}

/// Returns `true` from the given time on.
pub(super) fn is_expired(expires_at: Option<Timestamp>, now: Timestamp) -> bool {
    expires_at.is_some_and(|expires_at| now >= expires_at)
}
