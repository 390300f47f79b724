//! Sign-in through an identity provider to which the browser is redirected.

use axum::{
    Extension, Router,
    extract::{FromRequestParts, Path, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header::RETRY_AFTER, request::Parts},
    response::Response,
    routing::{get, post},
};
use serde::Deserialize;

use super::{
    cookie::Cookies,
    error::{PageError, PageResult, see_other},
    extract::LenientQuery,
    layout::render_with_status,
    messages,
    response_cookies::ResponseCookies,
    session_user::SessionUser,
    sign_in::{SignInPage, replace_session, return_path, user_agent},
    state::WebState,
};
use crate::{
    domain::event::RequestContext,
    http::ApiError,
    service::{
        Error,
        completion::run_to_completion,
        sign_in::{BrowserState, Callback, FailedSignIn, ProviderSignInError, SignInError},
    },
};
use tokenward_guard::{AuthError, DenialReason};

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
}

/// Returns the route to which providers send logout tokens. No browser does, so the protection of forms does
/// not apply.
pub(super) fn logout_routes() -> Router<WebState> {
    Router::new().route("/sign-in/{provider}/logout", post(end_sessions))
}

/// Redirects the browser to the provider.
async fn begin(
    State(state): State<WebState>,
    Visit { provider, headers, context, cookies }: Visit,
    LenientQuery(query): LenientQuery<BeginQuery>,
) -> PageResult<Response> {
    let next = return_path(query.next.as_deref());
    let begun = match state.sign_in.begin_openid(&provider, next, None, &context).await {
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
    let begun = match state.sign_in.begin_openid(&provider, next, Some(user.session.id), &user.request).await {
        Ok(begun) => begun,
        Err(error) => return failure_page(&state, &provider, &FailedSignIn::from(error), next),
    };
    user.cookies.append([Cookies::set_flow(&begun.cookie, state.transport(&headers))]);
    Ok(see_other(&begun.url))
}

/// Completes a sign-in, or a confirmation, with which the provider sends the browser back.
async fn complete(
    State(state): State<WebState>,
    Visit { provider, headers, context, cookies }: Visit,
    LenientQuery(query): LenientQuery<CallbackQuery>,
) -> PageResult<Response> {
    let flow = state.cookies.read_flow(&headers);
    cookies.append(Cookies::clear_flow());
    let device = state.cookies.read_device(&headers).unwrap_or_else(|| state.sign_in.generate_device_value());
    let current = match state.cookies.read_session(&headers) {
        Some(value) => state.sessions.find(&value, context.client_ip).await?,
        None => None,
    };
    let session = current.as_ref().map(|active| (active.session.id, active.person.id));
    let browser = BrowserState { flow: flow.as_deref(), session, device: &device };
    let callback = Callback {
        state: query.state.as_deref(),
        code: query.code.as_deref(),
        error: query.error.as_deref(),
        issuer: query.iss.as_deref(),
    };
    let completed = match state.sign_in.complete_openid(&provider, callback, browser, &context).await {
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

/// Shows the sign-in page with the reason of a failure; after a failed confirmation, an error page.
fn failure_page(state: &WebState, provider: &str, failed: &FailedSignIn, next: &str) -> PageResult<Response> {
    if failed.is_confirmation && !matches!(failed.error, ProviderSignInError::SignIn(_)) {
        return Err(not_confirmed(failed.error));
    }
    let (status, message) = match failed.error {
        ProviderSignInError::UnknownProvider => return Err(PageError::not_found()),
        ProviderSignInError::RateLimited { retry_after_millis } => {
            let wait = messages::retry_after(retry_after_millis.div_ceil(1_000));
            (StatusCode::TOO_MANY_REQUESTS, format!("Too many sign-ins were begun. {wait}"))
        }
        ProviderSignInError::UnknownFlow => (
            StatusCode::FORBIDDEN,
            "This sign-in was not begun in this browser, was completed already, or took longer than 10 minutes. Begin again."
                .to_owned(),
        ),
        ProviderSignInError::Rejected | ProviderSignInError::AnotherPerson => (
            StatusCode::FORBIDDEN,
            format!("{provider} did not sign you in. Begin again. If it fails again, ask your administrator."),
        ),
        ProviderSignInError::Unavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "{provider} did not respond as expected, so you are not signed in. Try again in a minute. Tokens and open \
                 sessions work as before. The log of the service has the reason."
            ),
        ),
        // An outage of the database.
        ProviderSignInError::SignIn(error) => match error {
            SignInError::Denied(AuthError::Denied(reason)) => (StatusCode::FORBIDDEN, denial_message(provider, reason)),
            error => return Err(ApiError::from(error).into()),
        },
    };
    let page = SignInPage { error: Some(&message), ..SignInPage::new(state, next) };
    let mut response = render_with_status(status, &page)?;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
    }
    Ok(response)
}

/// Returns the page after a confirmation that failed. The user is still signed in.
fn not_confirmed(error: ProviderSignInError) -> PageError {
    let (status, advice) = match error {
        ProviderSignInError::Unavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The identity provider did not respond as expected. You are still signed in. Go back, and try again in a minute.",
        ),
        ProviderSignInError::AnotherPerson => (
            StatusCode::FORBIDDEN,
            "Another account was used at the identity provider. You are still signed in. Go back, and confirm with your own.",
        ),
        _ => (
            StatusCode::FORBIDDEN,
            "The identity provider did not confirm that it is you. You are still signed in. Go back, and try again.",
        ),
    };
    PageError::message(status, "Not confirmed", advice)
}

/// Returns the reason why a person is not admitted. The provider has authenticated the person, so it reveals
/// nothing to strangers.
fn denial_message(provider: &str, reason: DenialReason) -> String {
    match reason {
        DenialReason::NotInAllowedGroup => {
            format!("Your account at {provider} is in no group that may sign in here. Ask your administrator.")
        }
        DenialReason::PersonDisabled => "Your account here is disabled. Ask your administrator.".to_owned(),
        DenialReason::NoAccount => {
            format!("You have no account here, and {provider} creates none. Ask your administrator.")
        }
        DenialReason::LocalPassword => {
            "Your account here has a local password. Sign in with it, or ask your administrator.".to_owned()
        }
        DenialReason::NoEmailAddress => {
            format!("{provider} sent no verified e-mail address, and a new account needs one. Ask your administrator.")
        }
        DenialReason::EmailTaken => format!(
            "Another account here has your e-mail address. Ask the operator to link it to your account at {provider}."
        ),
        _ => format!("{provider} did not sign you in. Ask your administrator."),
    }
}

/// Ends sessions for a provider (`OpenID` Connect Back-Channel Logout 1.0, section 2.5).
async fn end_sessions(
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
        ProviderSignInError::Rejected | ProviderSignInError::UnknownFlow | ProviderSignInError::AnotherPerson => {
            ApiError::BadRequest("The logout token was not accepted.".to_owned())
        }
    })?;
    tracing::info!(provider, count, "ended sessions for a provider");
    Ok(StatusCode::OK)
}

#[derive(Deserialize)]
struct LogoutForm {
    logout_token: String,
}
