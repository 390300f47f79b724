//! Callers and ids as parameters of handlers: reading the signature is reading the policy.

use axum::{
    extract::{FromRef, FromRequestParts, Path, rejection::PathRejection},
    http::request::Parts,
};
use uuid::Uuid;

use super::{
    ApiError,
    authenticate::{MustChangePassword, Proof},
};
use crate::{
    app::App,
    http::authenticate::note_in_log,
    service::{Actor, Refusal, Tokens, sign_in::SignedIn},
};
use tokenward_guard::{AuthError, Principal};

/// Anybody authenticated.
pub struct Caller(pub Actor);

/// An administrator of the own workspace.
pub struct Admin(pub Actor);

/// Whoever manages the service's workspaces.
pub struct PlatformAdmin(pub Actor);

/// Anybody authenticated whose workspace has tokens; for the others the route does not exist.
pub struct TokenCaller(pub Actor);

/// Anybody authenticated, also those who must change their password first.
pub struct PasswordChanger {
    pub actor: Actor,
    pub must_change_password: bool,
    /// What the password has proven, if it was by one.
    pub proof: Option<SignedIn>,
}

impl<S: Send + Sync> FromRequestParts<S> for PasswordChanger {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // A route that forgot to stand behind the doors refuses everybody.
        let principal = parts.extensions.get::<Principal>().cloned();
        let principal = principal.ok_or(ApiError::Unauthenticated(AuthError::Missing))?;
        note_in_log(&principal);
        let proof = parts.extensions.get::<Proof>().and_then(|Proof(proof)| proof.clone());
        let actor = Actor::of(principal, proof.as_ref()).ok_or(ApiError::Unauthenticated(AuthError::Missing))?;
        Ok(Self { actor, must_change_password: parts.extensions.get::<MustChangePassword>().is_some(), proof })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let PasswordChanger { actor, must_change_password, .. } =
            PasswordChanger::from_request_parts(parts, state).await?;
        if must_change_password {
            return Err(Refusal::PasswordChangeRequired { person_id: actor.person_id }.into());
        }
        Ok(Self(actor))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Caller(principal) = Caller::from_request_parts(parts, state).await?;
        if principal.is_admin { Ok(Self(principal)) } else { Err(Refusal::NotAdministrator.into()) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PlatformAdmin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Caller(principal) = Caller::from_request_parts(parts, state).await?;
        if principal.is_platform_admin { Ok(Self(principal)) } else { Err(Refusal::NotPlatformAdministrator.into()) }
    }
}

impl<S> FromRequestParts<S> for TokenCaller
where
    S: Send + Sync,
    Tokens: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Caller(principal) = Caller::from_request_parts(parts, state).await?;
        // A bearer has been checked against the switch already.
        if principal.token().is_none() {
            Tokens::from_ref(state).ensure_enabled(&principal).await?;
        }
        Ok(Self(principal))
    }
}

/// A token's id in the path. What is no UUID names no token.
pub struct TokenId(pub Uuid);

impl FromRequestParts<App> for TokenId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &App) -> Result<Self, ApiError> {
        let text = segment(parts, state).await.map_err(|_| Refusal::TokenNotFound)?;
        // Only the hyphenated form; the parser would take others, too.
        let id = if text.len() == 36 { Uuid::try_parse(&text).ok() } else { None };
        id.map(Self).ok_or(Refusal::TokenNotFound.into())
    }
}

/// A person's id in the path.
pub struct PersonId(pub i64);

impl FromRequestParts<App> for PersonId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &App) -> Result<Self, ApiError> {
        number(parts, state, Refusal::PersonNotFound).await.map(Self)
    }
}

/// A workspace's id in the path.
pub struct WorkspaceId(pub i64);

impl FromRequestParts<App> for WorkspaceId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &App) -> Result<Self, ApiError> {
        number(parts, state, Refusal::WorkspaceNotFound).await.map(Self)
    }
}

/// The administrator's own workspace, named in the path by its id or as `current`; any other does not exist.
pub struct OwnWorkspace {
    pub id: i64,
    pub administrator: Actor,
}

impl FromRequestParts<App> for OwnWorkspace {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &App) -> Result<Self, ApiError> {
        let Caller(principal) = Caller::from_request_parts(parts, state).await?;
        let text = segment(parts, state).await.map_err(|_| Refusal::WorkspaceNotFound)?;
        let own = text == "current" || text.parse() == Ok(principal.workspace_id);
        if !own {
            return Err(Refusal::WorkspaceNotFound.into());
        }
        if !principal.is_admin {
            return Err(Refusal::NotAdministrator.into());
        }
        Ok(Self { id: principal.workspace_id, administrator: principal })
    }
}

/// A number as we write it: no sign in front of a positive one, no leading zeros.
async fn number(parts: &mut Parts, state: &App, absent: Refusal) -> Result<i64, ApiError> {
    let Ok(text) = segment(parts, state).await else { return Err(absent.into()) };
    text.parse().ok().filter(|id: &i64| id.to_string() == text).ok_or(absent.into())
}

/// The one parameter of the path, decoded; an error where that gives no UTF-8.
async fn segment(parts: &mut Parts, state: &App) -> Result<String, PathRejection> {
    Path::<String>::from_request_parts(parts, state).await.map(|Path(text)| text)
}
