//! Authentication of API requests, as a layer around routes.

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use utoipa_axum::router::OpenApiRouter;

use super::{
    ApiError,
    known_parameters::{self, FeatureGate},
    required_scope::RequiredScope,
};
use crate::{
    app::App,
    domain::event::RequestContext,
    http::{
        authenticate::{Authenticated, Authenticator},
        token_headers,
    },
};
use tokenward_guard::{AuthError, DenialReason, Principal};

/// The response to a valid token whose workspace has the feature switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureOffStatus {
    /// 404: the token routes do not exist in that workspace.
    NotFound,
    /// 401, as for any token that does not authenticate.
    Unauthorized,
}

#[derive(Clone)]
struct AuthState {
    authenticator: Authenticator,
    feature_off: FeatureOffStatus,
}

/// Requires authentication for routes, and then checks their parameters. Unknown paths and methods
/// need no authentication.
pub fn with_authentication(routes: OpenApiRouter<App>, app: &App, feature_off: FeatureOffStatus) -> OpenApiRouter<App> {
    let gate = match feature_off {
        FeatureOffStatus::NotFound => FeatureGate::Tokens(Box::new(app.tokens().clone())),
        FeatureOffStatus::Unauthorized => FeatureGate::None,
    };
    let state = AuthState { authenticator: Authenticator::new(app), feature_off };
    known_parameters::with_parameter_checks(routes, gate)
        .route_layer(middleware::from_fn_with_state(state, authenticate))
}

/// Authenticates a request, checks the scopes of its token, and adds the caller to its extensions.
async fn authenticate(
    State(state): State<AuthState>,
    template: MatchedPath,
    mut request: Request,
    next: Next,
) -> Response {
    // No earlier layer may assert a caller.
    request.extensions_mut().remove::<Principal>();
    request.extensions_mut().remove::<Authenticated>();
    let context = request.extensions().get::<RequestContext>().cloned().unwrap_or_default();
    match state.authenticator.authenticate(request.headers(), &context).await {
        Ok(authenticated) => {
            let token = authenticated.principal.token().cloned();
            let required = RequiredScope::of(request.method(), template.as_str());
            let mut response = match required.authorize(authenticated, request.uri()) {
                Ok(authenticated) => {
                    request.extensions_mut().insert(authenticated);
                    next.run(request).await
                }
                Err(error) => error.into_response(),
            };
            if let Some(token) = token {
                token_headers::add(&token, &mut response);
            }
            response
        }
        Err(ApiError::Unauthenticated(AuthError::Denied(DenialReason::FeatureOff)))
            if state.feature_off == FeatureOffStatus::NotFound =>
        {
            ApiError::RouteNotFound.into_response()
        }
        Err(error) => error.into_response(),
    }
}
