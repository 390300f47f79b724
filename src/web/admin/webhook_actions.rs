//! Disabling and deleting a webhook. Both end notifications, so both are confirmed with the password.

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
    routing::get,
};
use uuid::Uuid;

use super::webhooks::{LIST_PATH, parse_id};
use crate::{
    service::{Error, webhooks::ChangeWebhook},
    web::{
        error::{PageResult, see_other},
        extract::PageForm,
        form_error::FormError,
        layout::{Layout, NavItem, render_form},
        reauth::{Reauth, require_recent_password},
        session_user::AdminUser,
        state::WebState,
        tokens::ReauthForm,
    },
};

pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route("/admin/webhooks/{id}/disable", get(show_disable_form).post(disable))
        .route("/admin/webhooks/{id}/delete", get(show_delete_form).post(delete))
}

/// What the user confirms.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WebhookAction {
    Disable,
    Delete,
}

/// The confirmation page for disabling or deleting a webhook.
#[derive(Template)]
#[template(path = "admin/end_webhook.html")]
struct EndWebhookPage<'a> {
    layout: Layout,
    error: Option<&'a FormError>,
    id: Uuid,
    url: &'a str,
    action: WebhookAction,
    reauth: Reauth,
}

impl EndWebhookPage<'_> {
    fn is_deletion(&self) -> bool {
        self.action == WebhookAction::Delete
    }
}

async fn show(
    user: &AdminUser,
    state: &WebState,
    id: Uuid,
    action: WebhookAction,
    error: Option<&FormError>,
) -> PageResult<Response> {
    let webhook = state.webhooks.find(&user.actor(), id).await?;
    let page = EndWebhookPage {
        layout: user.layout(NavItem::Webhooks),
        error,
        id,
        url: &webhook.url,
        action,
        reauth: user.reauth(),
    };
    render_form(&page, error)
}

async fn show_disable_form(
    user: AdminUser,
    State(state): State<WebState>,
    Path(id): Path<String>,
) -> PageResult<Response> {
    show(&user, &state, parse_id(&id)?, WebhookAction::Disable, None).await
}

async fn show_delete_form(
    user: AdminUser,
    State(state): State<WebState>,
    Path(id): Path<String>,
) -> PageResult<Response> {
    show(&user, &state, parse_id(&id)?, WebhookAction::Delete, None).await
}

async fn disable(
    user: AdminUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    PageForm(form): PageForm<ReauthForm>,
) -> PageResult<Response> {
    let id = parse_id(&id)?;
    confirm(&user, &state, &headers, (id, WebhookAction::Disable), &form).await
}

async fn delete(
    user: AdminUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    PageForm(form): PageForm<ReauthForm>,
) -> PageResult<Response> {
    let id = parse_id(&id)?;
    confirm(&user, &state, &headers, (id, WebhookAction::Delete), &form).await
}

async fn confirm(
    user: &AdminUser,
    state: &WebState,
    headers: &HeaderMap,
    (id, action): (Uuid, WebhookAction),
    form: &ReauthForm,
) -> PageResult<Response> {
    state.webhooks.find(&user.actor(), id).await?;
    let error = match require_recent_password(state, user, headers, form.password()).await? {
        Ok(()) => match apply(user, state, id, action).await {
            Ok(location) => return Ok(see_other(&location)),
            Err(error) => FormError::from_error(error)?,
        },
        Err(error) => error,
    };
    show(user, state, id, action, Some(&error)).await
}

/// Applies the action, and returns the path of the page that reports it.
async fn apply(user: &AdminUser, state: &WebState, id: Uuid, action: WebhookAction) -> Result<String, Error> {
    let actor = user.actor();
    match action {
        WebhookAction::Disable => {
            let change = ChangeWebhook { is_enabled: Some(false), ..ChangeWebhook::default() };
            state.webhooks.change(&actor, id, change).await?;
            Ok(format!("{LIST_PATH}/{id}?done=saved"))
        }
        WebhookAction::Delete => {
            state.webhooks.delete(&actor, id).await?;
            Ok(format!("{LIST_PATH}?done=webhook-deleted"))
        }
    }
}
