//! Who is calling: a bearer goes through the guard, e-mail and password through the sign-in. One of the two decides; no
//! other header, parameter or cookie is read.

use axum::{
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tower::ServiceExt as _;
use tower_layer::Layer as _;
use utoipa_axum::router::OpenApiRouter;
use zeroize::Zeroizing;

use super::ApiError;
use crate::{
    app::App,
    guard::{BasicCredential, Cause, Credential, Denied, GuardLayer, Principal},
    service::{SignIn, Tokens, sign_in::SignedIn},
};

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

#[derive(Clone)]
struct Doors {
    bearer: GuardLayer<Tokens, Response>,
    password: SignIn,
}

/// Puts routes behind the two doors. Paths and methods that do not exist stay outside.
pub fn guarded(routes: OpenApiRouter<App>, app: &App, switched_off: SwitchedOff) -> OpenApiRouter<App> {
    let refuse = move |denied: &Denied| refuse(*denied, switched_off).into_response();
    let doors =
        Doors { bearer: GuardLayer::with_refusal(app.tokens().clone(), refuse), password: app.sign_in().clone() };
    routes.route_layer(middleware::from_fn_with_state(doors, authenticate))
}

fn refuse(denied: Denied, switched_off: SwitchedOff) -> ApiError {
    match denied {
        Denied::Invalid(Cause::FeatureOff) if switched_off == SwitchedOff::IsNotThere => ApiError::RouteNotFound,
        denied => ApiError::Unauthenticated(denied),
    }
}

async fn authenticate(State(doors): State<Doors>, mut request: Request, next: Next) -> Response {
    let Ok(Credential::Basic(basic)) = Credential::read(request.headers()) else {
        return match doors.bearer.layer(next).oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
    };
    request.extensions_mut().remove::<Principal>();
    match by_password(&doors.password, &basic).await {
        Ok(SignedIn { principal, must_change_password }) => {
            request.extensions_mut().insert(principal);
            if must_change_password {
                request.extensions_mut().insert(MustChangePassword);
            }
            next.run(request).await
        }
        Err(denied) => ApiError::WrongPassword(denied).into_response(),
    }
}

/// Decodes Basic credentials (RFC 7617, section 2): base64 of UTF-8, the name up to the first colon.
async fn by_password(sign_in: &SignIn, basic: &BasicCredential) -> Result<SignedIn, Denied> {
    let shape = Denied::Invalid(Cause::Shape);
    let bytes = Zeroizing::new(STANDARD.decode(basic.expose()).map_err(|_| shape)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| shape)?;
    let (email, password) = text.split_once(':').ok_or(shape)?;
    sign_in.by_password(email, password).await
}
