//! Sign-in through an identity provider to which the browser is redirected.

mod failure;
mod link;
mod logout;
mod saml;

use axum::{
    Router,
    extract::{FromRequestParts, Path, State},
    http::{HeaderMap, Method, request::Parts},
    response::Response,
    routing::{get, post},
};
use serde::Deserialize;

use super::{
    cookie::Cookies,
    error::{PageError, PageResult, see_other},
    extract::LenientQuery,
    response_cookies::ResponseCookies,
    session_user::SessionUser,
    sign_in::{replace_session, return_path, user_agent},
    state::WebState,
};
use crate::{
    domain::{event::RequestContext, sign_in_flow::FlowPurpose, source::DeviceValue},
    service::{
        completion::run_to_completion,
        sessions::ActiveSession,
        sign_in::{BrowserState, Callback, CompletedSignIn, FailedSignIn},
    },
};
use failure::failure_page;

#[derive(Default, Deserialize)]
struct BeginQuery {
    next: Option<String>,
}

/// The parameters that a provider adds to the callback. Any of them may be missing, but not repeated.
#[derive(Default, Deserialize)]
struct CallbackQuery {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

/// A GET request below the path of a provider. HEAD must not use up a sign-in.
struct Visit {
    provider: String,
    headers: HeaderMap,
    context: RequestContext,
    /// The cookies of the response.
    cookies: ResponseCookies,
}

impl FromRequestParts<WebState> for Visit {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, PageError> {
        let provider = Path::<String>::from_request_parts(parts, state).await;
        let (Ok(Path(provider)), &Method::GET) = (provider, &parts.method) else { return Err(PageError::not_found()) };
        Ok(Self {
            provider,
            headers: parts.headers.clone(),
            context: parts.extensions.get().cloned().unwrap_or_default(),
            cookies: parts.extensions.get().cloned().unwrap_or_default(),
        })
    }
}

pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route("/sign-in/{provider}", get(begin))
        .route("/sign-in/{provider}/confirm", get(confirm))
        .route("/sign-in/{provider}/callback", get(complete))
        .route("/sign-in/{provider}/done", get(saml::complete))
        .merge(link::routes())
}

/// Returns the routes for providers, to which the protection of forms does not apply: no browser sends logout
/// tokens, and responses of SAML providers are forms of another site.
pub(super) fn routes_for_providers() -> Router<WebState> {
    Router::new()
        .route("/sign-in/{provider}/logout", post(logout::end_sessions))
        .route("/sign-in/{provider}/metadata", get(saml::metadata))
        .route("/sign-in/{provider}/acs", post(saml::receive))
}

/// Redirects the browser to the provider.
async fn begin(
    State(state): State<WebState>,
    Visit { provider, headers, context, cookies }: Visit,
    LenientQuery(query): LenientQuery<BeginQuery>,
) -> PageResult<Response> {
    let next = return_path(query.next.as_deref());
    let begun = match state.sign_in.begin_at_provider(&provider, next, FlowPurpose::SignIn, &context).await {
        Ok(begun) => begun,
        Err(error) => return failure_page(&state, &provider, &FailedSignIn::from(error), next),
    };
    cookies.append([Cookies::set_flow(&begun.cookie, state.transport(&headers))]);
    Ok(see_other(&begun.url))
}

/// Redirects a signed-in user to the provider, to authenticate again.
async fn confirm(
    user: SessionUser,
    State(state): State<WebState>,
    Visit { provider, headers, .. }: Visit,
    LenientQuery(query): LenientQuery<BeginQuery>,
) -> PageResult<Response> {
    if user.session.provider.as_deref() != Some(&provider) {
        return Err(PageError::not_found());
    }
    let next = return_path(query.next.as_deref());
    let purpose = FlowPurpose::Confirmation(user.session.id);
    let begun = match state.sign_in.begin_at_provider(&provider, next, purpose, &user.request).await {
        Ok(begun) => begun,
        Err(error) => return failure_page(&state, &provider, &FailedSignIn::from(error), next),
    };
    user.cookies.append([Cookies::set_flow(&begun.cookie, state.transport(&headers))]);
    Ok(see_other(&begun.url))
}

/// Completes a sign-in, or a confirmation, with which an `OpenID` provider sends the browser back.
async fn complete(
    State(state): State<WebState>,
    visit: Visit,
    LenientQuery(query): LenientQuery<CallbackQuery>,
) -> PageResult<Response> {
    let returning = Returning::of(&state, &visit).await?;
    let callback = Callback {
        state: query.state.as_deref(),
        code: query.code.as_deref(),
        error: query.error.as_deref(),
        issuer: query.iss.as_deref(),
    };
    let result = state.sign_in.complete_openid(&visit.provider, callback, returning.browser(), &visit.context).await;
    finish(state, visit, returning, result).await
}

/// The state of a browser that comes back from a provider.
struct Returning {
    flow: Option<String>,
    device: DeviceValue,
    current: Option<ActiveSession>,
}

impl Returning {
    /// Reads the cookies, and removes the one of the flow.
    async fn of(state: &WebState, Visit { headers, context, cookies, .. }: &Visit) -> PageResult<Self> {
        let flow = state.cookies.read_flow(headers);
        cookies.append(Cookies::clear_flow());
        let device = state.cookies.read_device(headers).unwrap_or_else(|| state.sign_in.generate_device_value());
        let current = match state.cookies.read_session(headers) {
            Some(value) => state.sessions.find(&value, context.client_ip).await?,
            None => None,
        };
        Ok(Self { flow, device, current })
    }

    fn browser(&self) -> BrowserState<'_> {
        BrowserState { flow: self.flow.as_deref(), session: self.current.as_ref(), device: &self.device }
    }
}

/// Starts the session of a sign-in or renews the confirmed one, and opens the page of the sign-in.
async fn finish(
    state: WebState,
    Visit { provider, headers, context, cookies }: Visit,
    Returning { device, current, .. }: Returning,
    result: Result<CompletedSignIn, FailedSignIn>,
) -> PageResult<Response> {
    let completed = match result {
        Ok(completed) => completed,
        Err(failed) => {
            let next = return_path(Some(&failed.next_path));
            return failure_page(&state, &provider, &failed, next);
        }
    };
    let transport = state.transport(&headers);
    let next = return_path(Some(&completed.next_path)).to_owned();
    let login = completed.login;
    // In its own task, because these are transactions of a GET request.
    let session_cookies = cookies.clone();
    let started = run_to_completion(async move {
        match (login, current) {
            (Some(login), _) => {
                let value = state.sessions.create(&login, user_agent(&headers), &context).await?;
                replace_session(&state, &headers, &context, &session_cookies, &login).await?;
                Ok(value)
            }
            (None, Some(active)) => Ok(state.sessions.rotate(&active.session).await?),
            (None, None) => Ok(None),
        }
    });
    let value: PageResult<_> = started.await.unwrap_or_else(|| Err(PageError::signed_out()));
    let Some(value) = value? else { return Err(PageError::signed_out()) };
    cookies.append([Cookies::set_device(&device, transport)]);
    cookies.set(Cookies::set_session(&value, transport));
    Ok(see_other(&next))
}
