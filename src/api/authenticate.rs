//! Puts routes behind the doors: a bearer goes through the guard, which other services use, too; e-mail and password through
//! the sign-in.

use axum::{
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tower::ServiceExt as _;
use tower_layer::Layer as _;
use utoipa_axum::router::OpenApiRouter;

use super::{
    ApiError,
    known_parameters::{self, Switch},
};
use crate::{
    app::App,
    http::authenticate::{Admitted, Doors},
    service::{Tokens, sign_in::SignedIn},
};
use tokenward_guard::{AuthError, Credential, DenialReason, GuardLayer, Principal};

/// What a token answers that would be good but for its workspace's switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwitchedOff {
    /// 404: on the token routes its holder is a known caller for whom they do not exist.
    IsNotThere,
    /// 401, as for any token that opens nothing.
    IsRefused,
}

/// Marks a caller who may do nothing but change the password.
#[derive(Clone, Copy, Debug)]
pub(super) struct MustChangePassword;

/// What a password has proven, for those who change it.
#[derive(Clone)]
pub(super) struct Proof(pub(super) Option<SignedIn>);

#[derive(Clone)]
struct Gate {
    bearer: GuardLayer<Tokens, Response>,
    doors: Doors,
}

/// Puts routes behind the two doors, and then behind the check of what they take. Paths and methods that do not exist stay outside.
pub fn guarded(routes: OpenApiRouter<App>, app: &App, switched_off: SwitchedOff) -> OpenApiRouter<App> {
    let refuse = move |denied: &AuthError| refuse(*denied, switched_off).into_response();
    let gate = Gate { bearer: GuardLayer::with_rejection(app.tokens().clone(), refuse), doors: Doors::new(app) };
    let switch = match switched_off {
        SwitchedOff::IsNotThere => Switch::Tokens(Box::new(app.tokens().clone())),
        SwitchedOff::IsRefused => Switch::None,
    };
    known_parameters::checked(routes, switch).route_layer(middleware::from_fn_with_state(gate, authenticate))
}

fn refuse(denied: AuthError, switched_off: SwitchedOff) -> ApiError {
    match denied {
        AuthError::Denied(DenialReason::FeatureOff) if switched_off == SwitchedOff::IsNotThere => {
            ApiError::RouteNotFound
        }
        denied => ApiError::Unauthenticated(denied),
    }
}

async fn authenticate(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let admitted = match Credential::from_headers(request.headers()) {
        Ok(Credential::Basic(basic)) => Box::pin(gate.doors.admit_by_password(&basic)).await,
        _ => {
            return match gate.bearer.layer(next).oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
        }
    };
    request.extensions_mut().remove::<Principal>();
    match admitted {
        Ok(Admitted { principal, must_change_password, proof }) => {
            request.extensions_mut().insert(principal);
            request.extensions_mut().insert(Proof(proof));
            if must_change_password {
                request.extensions_mut().insert(MustChangePassword);
            }
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}
