//! Token to be created, and the result.

use uuid::Uuid;

use crate::domain::{
    authority::Mutation,
    id::{PersonId, WorkspaceId},
    token::{GracePeriod, Lifetime, Token},
    token_limits::RequestedLimits,
};
use tokenward_guard::token_format::TokenDigest;

/// Token to be created.
#[derive(Clone, Debug)]
pub struct NewToken {
    pub id: Uuid,
    pub workspace_id: WorkspaceId,
    pub person_id: PersonId,
    pub digest: TokenDigest,
    pub display_prefix: String,
    /// `None`: that of the replaced token, or empty.
    pub description: Option<String>,
    /// `None`: that of the replaced token. Required if none is replaced.
    pub lifetime: Option<Lifetime>,
    /// Scopes and networks that the request asks for.
    pub limits: RequestedLimits,
    /// Token of the same owner that the new one replaces.
    pub replaces: Option<Replaces>,
    /// Caller and time.
    pub mutation: Mutation,
    /// Form that requested the token. Each form creates one token at most.
    pub form: Option<ConsumedForm>,
    /// Approved device authorization that requested the token. Each creates one token at most.
    pub device: Option<DeviceGrant>,
    /// Record that gives repeated requests the same response.
    pub idempotency: Option<IdempotentRequest>,
    /// Maximum number of active tokens of the person, the new one included.
    pub max_active: Option<u32>,
}

/// Token to replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaces {
    pub token_id: Uuid,
    /// Time until its deletion.
    pub grace: GracePeriod,
}

/// Form of a page, as rendered for one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumedForm {
    pub session_id: Uuid,
    pub id: Uuid,
}

/// Device authorization, as approved in one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceGrant {
    pub id: Uuid,
    pub session_id: Uuid,
}

/// Result of an allowed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssueOutcome {
    /// The token was created.
    Created(Token),
    /// The same request created a token before.
    Replayed(ReplayedToken),
}

/// Token that the same request created before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayedToken {
    pub token: Token,
    pub encrypted_value: Vec<u8>,
}

/// Request with an `Idempotency-Key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotentRequest {
    /// SHA-256 of the caller and the key.
    pub key_digest: [u8; 32],
    /// SHA-256 of the request body.
    pub body_digest: [u8; 32],
    /// Token value, encrypted under a key that is derived from the idempotency key.
    pub encrypted_value: Vec<u8>,
}
