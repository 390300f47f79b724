//! Polls of programs, and the token that an approval creates.

use tokenward_guard::token_format::TokenValue;

use super::DeviceAuthorizations;
use crate::{
    domain::{
        device_authorization::{DeviceAuthorization, DeviceCode, DeviceState},
        event::RequestContext,
        token::{Description, Token},
        token_limits::RequestedLimits,
    },
    service::{
        Actor, Error, Result,
        sign_in::principal_of_person,
        tokens::{Idempotency, TokenRequest},
    },
    store::DeviceGrant,
};

/// The result of a poll.
#[derive(Debug)]
pub enum DevicePoll {
    /// This poll created the token.
    Issued(Box<(TokenValue, Token)>),
    /// No person has decided.
    Pending,
    /// The poll came too early. The interval is longer from now on.
    TooEarly,
    /// The person denied, or the session that approved has ended.
    Denied,
    /// A rule does not allow the token.
    NotAllowed(Error),
    Expired,
    /// The device code is unknown, or was used before.
    Unknown,
}

impl DeviceAuthorizations {
    /// Answers a poll of the program. If a person has approved, creates the token.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if the address sends too many unknown codes, the program polls far too often, or
    /// the person creates too many tokens; [`Error::Unavailable`] if the database is unreachable or too slow. A
    /// later poll gets the token, unless the transaction was committed and only its response was lost.
    pub async fn poll(&self, device_code: &str, context: &RequestContext) -> Result<DevicePoll> {
        let now = self.clock.now();
        let found = match DeviceCode::parse(device_code) {
            Some(code) => {
                let digest = code.digest();
                self.limits.count_poll(digest, now)?;
                self.store.find_polled_device_authorization(&digest).await?
            }
            None => None,
        };
        let Some(authorization) = found else {
            self.limits.unknown_codes.acquire(context, now)?;
            return Ok(DevicePoll::Unknown);
        };
        match authorization.state {
            DeviceState::Redeemed => Ok(DevicePoll::Unknown),
            DeviceState::Denied => Ok(DevicePoll::Denied),
            DeviceState::Pending | DeviceState::Approved if authorization.is_expired(now) => Ok(DevicePoll::Expired),
            DeviceState::Pending => {
                let (next, is_early) = authorization.poll.next(now);
                self.store.record_device_poll(authorization.id, next).await?;
                Ok(if is_early { DevicePoll::TooEarly } else { DevicePoll::Pending })
            }
            DeviceState::Approved => self.redeem(authorization, context).await,
        }
    }

    /// Creates the token of an approved authorization, if the rules allow it now.
    async fn redeem(&self, authorization: DeviceAuthorization, context: &RequestContext) -> Result<DevicePoll> {
        let id = authorization.id;
        let error = match self.issue(authorization, context).await {
            Ok(issued) => {
                self.counters.record("issued");
                return Ok(DevicePoll::Issued(Box::new(issued)));
            }
            // The approval stays: the next poll tries again.
            Err(
                error @ (Error::Unavailable(_) | Error::Internal(_) | Error::OlderNodes | Error::RateLimited { .. }),
            ) => return Err(error),
            // Another poll was faster.
            Err(Error::DeviceAuthorizationSpent) => return Ok(DevicePoll::Unknown),
            Err(error) => error,
        };
        tracing::info!(cause = %error, "denied a device authorization that a person had approved");
        self.store.reject_device_authorization(id).await?;
        self.counters.record("not_allowed");
        Ok(match error {
            // The account or the session has ended, of which the program learns nothing.
            Error::CallerRevoked | Error::PasswordChangeRequired { .. } => DevicePoll::Denied,
            error => DevicePoll::NotAllowed(error),
        })
    }

    async fn issue(&self, authorization: DeviceAuthorization, context: &RequestContext) -> Result<(TokenValue, Token)> {
        let reviewer = authorization.reviewer.ok_or(Error::CallerRevoked)?;
        let person = self.store.find_person(reviewer.workspace_id, reviewer.person_id).await?;
        let principal = principal_of_person(person.ok_or(Error::CallerRevoked)?);
        let actor = Actor::from_session(principal, reviewer.session_id, context.clone());
        let scopes = Some(authorization.scopes).filter(|scopes| !scopes.is_unrestricted());
        let request = TokenRequest {
            lifetime: authorization.lifetime,
            description: Some(Description::parse(authorization.description)?),
            limits: RequestedLimits { scopes, networks: None },
            ..TokenRequest::default()
        };
        let grant = DeviceGrant { id: authorization.id, session_id: reviewer.session_id };
        self.tokens.issue(&actor, request, Idempotency::Device(grant)).await
    }
}
