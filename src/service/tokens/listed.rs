//! Tokens in lists.

use crate::{
    domain::{
        time::Timestamp,
        token::{Token, TokenStatus},
    },
    store::TokenOwner,
};

/// A token with its owner's e-mail address and its current status.
#[derive(Clone, Debug)]
pub struct ListedToken {
    pub token: Token,
    pub email: String,
    pub status: TokenStatus,
    /// The owner may not use tokens at present, whatever the status of the token.
    pub is_blocked: bool,
}

impl ListedToken {
    pub(in crate::service) fn new((token, owner): (Token, TokenOwner), now: Timestamp) -> Self {
        Self {
            status: token.status(now),
            token,
            is_blocked: owner.is_disabled || !owner.token_access.allows_use(),
            email: owner.email,
        }
    }
}
