//! Extractors for callers and path IDs. The callers that a route allows are visible in the
//! signature of its handler.

use axum::{
    extract::{FromRef, FromRequestParts, Path, rejection::PathRejection},
    http::request::Parts,
};
use uuid::Uuid;

use super::ApiError;
use crate::{
    app::App,
    domain::{
        event::RequestContext,
        id::{PersonId, WorkspaceId, parse_uuid},
    },
    http::authenticate::{Authenticated, record_principal},
    service::{Actor, Error, Login, Tokens},
};
use tokenward_guard::AuthError;

/// Any authenticated caller.
pub struct AnyCaller(pub Actor);

/// An administrator of the caller's workspace.
pub struct AdminCaller(pub Actor);

/// A platform administrator, who manages the service's workspaces.
pub struct PlatformAdminCaller(pub Actor);

/// Any authenticated caller whose workspace has the feature switched on. For other callers the
/// route does not exist.
pub struct TokenCaller(pub Actor);

/// Any authenticated caller, including one who must change the password first.
pub struct PasswordChanger {
    pub actor: Actor,
    pub must_change_password: bool,
    /// The verified password login; `None` if the caller presented a token.
    pub proof: Option<Login>,
}

impl<S: Send + Sync> FromRequestParts<S> for PasswordChanger {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // A route without the authentication layer rejects every request.
        const UNAUTHENTICATED: ApiError = ApiError::Unauthenticated(AuthError::Missing);
        let authenticated = parts.extensions.get::<Authenticated>().cloned().ok_or(UNAUTHENTICATED)?;
        record_principal(&authenticated.principal);
        let context = parts.extensions.get::<RequestContext>().cloned().unwrap_or_default();
        let Authenticated { principal, password_login, must_change_password, .. } = authenticated;
        let actor = Actor::from_principal(principal, password_login.as_ref(), context).ok_or(UNAUTHENTICATED)?;
        Ok(Self { actor, must_change_password, proof: password_login })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AnyCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let PasswordChanger { actor, must_change_password, .. } =
            PasswordChanger::from_request_parts(parts, state).await?;
        if must_change_password {
            return Err(Error::PasswordChangeRequired { person_id: PersonId::of(&actor) }.into());
        }
        Ok(Self(actor))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AdminCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let AnyCaller(actor) = AnyCaller::from_request_parts(parts, state).await?;
        if actor.is_admin { Ok(Self(actor)) } else { Err(Error::NotAdministrator.into()) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PlatformAdminCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let AnyCaller(actor) = AnyCaller::from_request_parts(parts, state).await?;
        if actor.is_platform_admin { Ok(Self(actor)) } else { Err(Error::NotPlatformAdministrator.into()) }
    }
}

impl<S> FromRequestParts<S> for TokenCaller
where
    S: Send + Sync,
    Tokens: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let AnyCaller(actor) = AnyCaller::from_request_parts(parts, state).await?;
        // The authentication of a bearer token includes this check.
        if actor.token().is_none() {
            Tokens::from_ref(state).ensure_enabled(&actor).await?;
        }
        Ok(Self(actor))
    }
}

/// A token ID in the path. Text that is not a UUID names no token.
pub struct TokenIdPath(pub Uuid);

impl FromRequestParts<App> for TokenIdPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &App) -> Result<Self, ApiError> {
        let text = path_segment(parts, state).await.map_err(|_| Error::TokenNotFound)?;
        parse_uuid(&text).map(Self).ok_or(Error::TokenNotFound.into())
    }
}

/// A webhook ID in the path. Text that is not a UUID names no webhook.
pub struct WebhookIdPath(pub Uuid);

impl FromRequestParts<App> for WebhookIdPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &App) -> Result<Self, ApiError> {
        let text = path_segment(parts, state).await.map_err(|_| Error::WebhookNotFound)?;
        parse_uuid(&text).map(Self).ok_or(Error::WebhookNotFound.into())
    }
}

/// A person ID in the path.
pub struct PersonIdPath(pub PersonId);

impl FromRequestParts<App> for PersonIdPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &App) -> Result<Self, ApiError> {
        parse_id_segment(parts, state, Error::PersonNotFound).await.map(|id| Self(PersonId::new(id)))
    }
}

/// A service account and one of its trust rules in the path.
pub struct TrustRulePath {
    pub account_id: PersonId,
    pub rule_id: Uuid,
}

impl FromRequestParts<App> for TrustRulePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &App) -> Result<Self, ApiError> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((account, rule)) = path.map_err(|_| Error::PersonNotFound)?;
        let account_id = parse_id(&account).map(PersonId::new).ok_or(Error::PersonNotFound)?;
        let rule_id = parse_uuid(&rule).ok_or(Error::TrustRuleNotFound)?;
        Ok(Self { account_id, rule_id })
    }
}

/// A workspace ID in the path.
pub struct WorkspaceIdPath(pub WorkspaceId);

impl FromRequestParts<App> for WorkspaceIdPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &App) -> Result<Self, ApiError> {
        parse_id_segment(parts, state, Error::WorkspaceNotFound).await.map(|id| Self(WorkspaceId::new(id)))
    }
}

/// The caller's own workspace, for its administrators. The path names it by its ID or as `current`;
/// for the caller other workspaces do not exist.
pub struct OwnWorkspace {
    pub id: WorkspaceId,
    pub administrator: Actor,
}

impl FromRequestParts<App> for OwnWorkspace {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &App) -> Result<Self, ApiError> {
        let AnyCaller(actor) = AnyCaller::from_request_parts(parts, state).await?;
        let text = path_segment(parts, state).await.map_err(|_| Error::WorkspaceNotFound)?;
        let is_own = text == "current" || text.parse() == Ok(WorkspaceId::of(&actor));
        if !is_own {
            return Err(Error::WorkspaceNotFound.into());
        }
        if !actor.is_admin {
            return Err(Error::NotAdministrator.into());
        }
        Ok(Self { id: WorkspaceId::of(&actor), administrator: actor })
    }
}

/// Parses a numeric ID in its canonical form: no plus sign, no leading zeros. Returns `not_found`
/// for any other text.
async fn parse_id_segment(parts: &mut Parts, state: &App, not_found: Error) -> Result<i64, ApiError> {
    let Ok(text) = path_segment(parts, state).await else { return Err(not_found.into()) };
    parse_id(&text).ok_or(not_found.into())
}

fn parse_id(text: &str) -> Option<i64> {
    text.parse().ok().filter(|id: &i64| id.to_string() == text)
}

/// Returns the path's only parameter, percent-decoded. Fails if it is not UTF-8.
async fn path_segment(parts: &mut Parts, state: &App) -> Result<String, PathRejection> {
    Path::<String>::from_request_parts(parts, state).await.map(|Path(text)| text)
}
