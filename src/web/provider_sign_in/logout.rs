//! Sign-outs that `OpenID` providers report.

use axum::{
    Extension,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;

use crate::{
    domain::event::RequestContext,
    http::ApiError,
    service::{Error, sign_in::ProviderSignInError},
    web::state::WebState,
};
use tokenward_guard::AuthError;

/// Ends sessions for a provider (`OpenID` Connect Back-Channel Logout 1.0, section 2.5).
pub(super) async fn end_sessions(
    State(state): State<WebState>,
    Extension(context): Extension<RequestContext>,
    Path(provider): Path<String>,
    axum::Form(form): axum::Form<LogoutForm>,
) -> Result<StatusCode, ApiError> {
    let ended = state.sign_in.end_provider_sessions(&provider, &form.logout_token, &context).await;
    let count = ended.map_err(|error| match error {
        ProviderSignInError::UnknownProvider => ApiError::RouteNotFound,
        ProviderSignInError::RateLimited { retry_after_millis } => Error::RateLimited { retry_after_millis }.into(),
        ProviderSignInError::Unavailable => ApiError::Unauthenticated(AuthError::Unavailable),
        ProviderSignInError::SignIn(error) => error.into(),
        ProviderSignInError::Rejected
        | ProviderSignInError::UnknownFlow
        | ProviderSignInError::AnotherPerson
        | ProviderSignInError::NotLinked(_) => ApiError::BadRequest("The logout token was not accepted.".to_owned()),
    })?;
    tracing::info!(provider, count, "ended sessions for a provider");
    Ok(StatusCode::OK)
}

#[derive(Deserialize)]
pub(super) struct LogoutForm {
    logout_token: String,
}
