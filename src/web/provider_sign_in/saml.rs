//! Sign-in through a SAML provider: the metadata of this service, the response, and its completion.

use axum::{
    extract::{Path, State},
    http::header::CONTENT_TYPE,
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;

use super::{Returning, Visit, failure::failure_page, finish};
use crate::{
    domain::event::RequestContext,
    service::sign_in::FailedSignIn,
    web::{
        error::{PageError, PageResult, see_other},
        extract::{LenientQuery, PageForm},
        sign_in::return_path,
        state::WebState,
    },
};

/// The form that a provider has the browser post. `RelayState` is not used: the page to open is stored with
/// the flow.
#[derive(Deserialize)]
pub(super) struct ResponseForm {
    #[serde(rename = "SAMLResponse")]
    response: String,
}

#[derive(Default, Deserialize)]
pub(super) struct DoneQuery {
    response: Option<String>,
}

/// Shows the metadata of this service.
pub(super) async fn metadata(State(state): State<WebState>, Path(provider): Path<String>) -> PageResult<Response> {
    let provider = state.sign_in.providers().saml.find(&provider).ok_or(PageError::not_found())?;
    Ok(([(CONTENT_TYPE, "application/samlmetadata+xml")], provider.own_metadata()).into_response())
}

/// Receives the response of a provider. The browser sends no cookie with a form of another site, so the
/// sign-in is completed by the request to which it is redirected.
pub(super) async fn receive(
    State(state): State<WebState>,
    context: axum::Extension<RequestContext>,
    Path(provider): Path<String>,
    PageForm(form): PageForm<ResponseForm>,
) -> PageResult<Response> {
    match state.sign_in.receive_saml_response(&provider, &form.response, &context).await {
        // The value has only characters that need no escape.
        Ok(reference) => Ok(see_other(&format!("/sign-in/{provider}/done?response={reference}"))),
        Err(error) => failure_page(&state, &provider, &FailedSignIn::from(error), return_path(None)),
    }
}

/// Completes a sign-in, or a confirmation, with the response that was received before.
pub(super) async fn complete(
    State(state): State<WebState>,
    visit: Visit,
    LenientQuery(query): LenientQuery<DoneQuery>,
) -> PageResult<Response> {
    let returning = Returning::of(&state, &visit).await?;
    let reference = query.response.as_deref();
    let result = state.sign_in.complete_saml(&visit.provider, reference, returning.browser(), &visit.context).await;
    finish(state, visit, returning, result).await
}
