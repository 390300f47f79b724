//! The pages of a device authorization (RFC 8628, section 3.3): the user types the code that a program
//! shows, sees what the program asks for, and approves or denies.
//!
//! The code is never part of a URL, so that a link does not lead past typing it. Entering it assigns the
//! authorization to the session, and only this session sees the page that follows.

use askama::Template;
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::{get, post},
};
use serde::Deserialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    display_limits::DisplayLimits,
    error::{PageResult, see_other},
    extract::{PageForm, UuidPath},
    form_error::FormError,
    format::{DisplayTime, duration},
    layout::{Layout, NavItem, render, render_with_status},
    messages,
    reauth::{Reauth, require_recent_password},
    session_user::SessionUser,
    state::WebState,
};
use crate::{
    domain::{
        device_authorization::{DeviceAuthorization, DeviceState},
        token::Lifetime,
        token_limits::{AllowedNetworks, TokenLimits},
    },
    service::device_authorizations::{DeviceReview, ReviewObstacle},
};

/// The path of the form for the code. The service announces it to programs.
const PATH: &str = "/device";

#[derive(Template)]
#[template(path = "device.html")]
struct CodePage<'a> {
    layout: Layout,
    error: Option<&'a FormError>,
}

#[derive(Template)]
#[template(path = "device_review.html")]
struct ReviewPage<'a> {
    layout: Layout,
    error: Option<&'a FormError>,
    path: String,
    authorization: &'a DeviceAuthorization,
    /// The address of the browser, if it differs from that of the program.
    browser_address: Option<String>,
    requested: DisplayTime,
    lifetime: String,
    /// The lifetime in seconds, or -1.
    lifetime_seconds: i64,
    limits: DisplayLimits,
    /// The reason why the user cannot approve.
    obstacle: Option<String>,
    reauth: Reauth,
}

#[derive(Template)]
#[template(path = "device_decided.html")]
struct DecidedPage {
    layout: Layout,
    state: DeviceState,
}

impl DecidedPage {
    fn is_approved(&self) -> bool {
        matches!(self.state, DeviceState::Approved | DeviceState::Redeemed)
    }
}

#[derive(Deserialize)]
struct CodeForm {
    #[serde(default)]
    user_code: String,
}

#[derive(Deserialize)]
struct ApproveForm {
    /// The lifetime that the page has shown.
    #[serde(default)]
    lifetime: String,
    own_password: Option<Zeroizing<String>>,
}

pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route("/device", get(show_code_form).post(enter_code))
        .route("/device/{id}", get(show_review))
        .route("/device/{id}/approve", post(approve))
        .route("/device/{id}/deny", post(deny))
}

async fn show_code_form(user: SessionUser) -> PageResult<Response> {
    render(&CodePage { layout: user.layout(NavItem::Tokens), error: None })
}

async fn enter_code(
    user: SessionUser,
    State(state): State<WebState>,
    PageForm(form): PageForm<CodeForm>,
) -> PageResult<Response> {
    let error = match state.device_authorizations.enter_code(&user.actor(), &form.user_code).await {
        Ok(Some(id)) => return Ok(see_other(&review_path(id))),
        Ok(None) => FormError::of_field(
            "user_code",
            "There is no login with this code. Compare it with the one that the program shows. A code works for 10 \
             minutes, and for one person.",
        ),
        Err(error) => FormError::from_error(error)?,
    };
    render_with_status(error.status, &CodePage { layout: user.layout(NavItem::Tokens), error: Some(&error) })
}

async fn show_review(user: SessionUser, State(state): State<WebState>, UuidPath(id): UuidPath) -> PageResult<Response> {
    match state.device_authorizations.review(&user.actor(), id).await? {
        Some(review) if review.authorization.state == DeviceState::Pending => {
            render(&review_page(&user, &review, None))
        }
        Some(review) => {
            render(&DecidedPage { layout: user.layout(NavItem::Tokens), state: review.authorization.state })
        }
        None => Ok(see_other(PATH)),
    }
}

async fn approve(
    user: SessionUser,
    State(state): State<WebState>,
    UuidPath(id): UuidPath,
    headers: HeaderMap,
    PageForm(form): PageForm<ApproveForm>,
) -> PageResult<Response> {
    let Some(review) = state.device_authorizations.review(&user.actor(), id).await? else {
        return Ok(see_other(PATH));
    };
    if review.obstacle.is_some() {
        return render_with_status(StatusCode::FORBIDDEN, &review_page(&user, &review, None));
    }
    let own_password = form.own_password.as_ref().map(|password| password.as_str());
    if let Err(error) = require_recent_password(&state, &user, &headers, own_password).await? {
        return render_with_status(error.status, &review_page(&user, &review, Some(&error)));
    }
    let is_pending = review.authorization.state == DeviceState::Pending;
    if is_pending && form.lifetime != review.lifetime.as_seconds().to_string() {
        let error = FormError::new(
            "The settings of the workspace have changed. Check the expiration, then approve.".to_owned(),
        );
        return render_with_status(StatusCode::CONFLICT, &review_page(&user, &review, Some(&error)));
    }
    state.device_authorizations.decide(&user.actor(), &review, true).await?;
    Ok(see_other(&review_path(id)))
}

async fn deny(user: SessionUser, State(state): State<WebState>, UuidPath(id): UuidPath) -> PageResult<Response> {
    let Some(review) = state.device_authorizations.review(&user.actor(), id).await? else {
        return Ok(see_other(PATH));
    };
    state.device_authorizations.decide(&user.actor(), &review, false).await?;
    Ok(see_other(&review_path(id)))
}

fn review_path(id: Uuid) -> String {
    format!("{PATH}/{id}")
}

fn review_page<'a>(user: &SessionUser, review: &'a DeviceReview, error: Option<&'a FormError>) -> ReviewPage<'a> {
    let DeviceReview { authorization, lifetime, obstacle } = review;
    let scopes = authorization.scopes.clone();
    let browser_address = user.request.unshared_client_ip().map(|address| address.to_string());
    ReviewPage {
        layout: user.layout(NavItem::Tokens),
        error,
        path: review_path(authorization.id),
        browser_address: browser_address.filter(|address| authorization.address.as_ref() != Some(address)),
        requested: DisplayTime(authorization.created_at),
        lifetime: match *lifetime {
            Lifetime::Forever => "Never expires".to_owned(),
            Lifetime::Seconds(seconds) => duration(seconds),
        },
        lifetime_seconds: lifetime.as_seconds(),
        limits: (&TokenLimits { scopes, networks: AllowedNetworks::any() }).into(),
        obstacle: obstacle.as_ref().map(|obstacle| match obstacle {
            ReviewObstacle::NotAllowed => {
                "An administrator of the workspace can allow you to generate tokens.".to_owned()
            }
            ReviewObstacle::Invalid(invalid) => messages::for_invalid(invalid),
        }),
        reauth: user.reauth(),
        authorization,
    }
}
