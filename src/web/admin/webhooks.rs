//! The webhooks of the workspace, and the page of one webhook with its deliveries.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
    routing::get,
};
use serde::Deserialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    domain::{
        event::Action,
        id::parse_uuid,
        webhook::{Delivery, DeliveryState, EventSelection, Webhook},
    },
    service::{
        Error,
        webhooks::{ChangeWebhook, CreateWebhook},
    },
    web::{
        error::{PageResult, see_other},
        extract::{LenientQuery, PageForm},
        form_error::FormError,
        format::DisplayTime,
        layout::{Layout, NavItem, render, render_form},
        reauth::{Reauth, require_recent_password},
        session_user::AdminUser,
        state::WebState,
    },
};

pub(super) const LIST_PATH: &str = "/admin/webhooks";
/// The number of deliveries on the page of a webhook.
const SHOWN_DELIVERIES: i64 = 50;
/// The prefix of the names of the checkboxes for events.
const EVENT_FIELD: &str = "event.";

pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route(LIST_PATH, get(list))
        .route("/admin/webhooks/new", get(show_form).post(add))
        .route("/admin/webhooks/{id}", get(show).post(change))
}

struct WebhookRow {
    id: Uuid,
    url: String,
    events: String,
    is_enabled: bool,
    failing_since: Option<DisplayTime>,
}

impl From<Webhook> for WebhookRow {
    fn from(webhook: Webhook) -> Self {
        let events = match &webhook.events {
            EventSelection::All => "All events".to_owned(),
            selection @ EventSelection::Only(_) => selection.names().join(", "),
        };
        Self {
            id: webhook.id,
            url: webhook.url,
            events,
            is_enabled: webhook.is_enabled,
            failing_since: webhook.failing_since.map(DisplayTime),
        }
    }
}

#[derive(Template)]
#[template(path = "admin/webhooks.html")]
struct WebhooksPage<'a> {
    layout: Layout,
    workspace: &'a str,
    rows: Vec<WebhookRow>,
}

#[derive(Default, Deserialize)]
struct WebhooksQuery {
    done: Option<String>,
}

async fn list(
    user: AdminUser,
    State(state): State<WebState>,
    LenientQuery(query): LenientQuery<WebhooksQuery>,
) -> PageResult<Response> {
    let webhooks = state.webhooks.list(&user.actor()).await?;
    render(&WebhooksPage {
        layout: user.layout(NavItem::Webhooks).with_notice(query.done.as_deref()),
        workspace: &user.workspace_name,
        rows: webhooks.into_iter().map(WebhookRow::from).collect(),
    })
}

#[derive(Template)]
#[template(path = "admin/new_webhook.html")]
struct NewWebhookPage<'a> {
    layout: Layout,
    error: Option<&'a FormError>,
    url: &'a str,
    is_all: bool,
    /// The names of the events, and whether each is selected.
    events: Vec<(&'static str, bool)>,
    reauth: Reauth,
}

/// The page with the secret of a new webhook. Only the response to the form contains it.
#[derive(Template)]
#[template(path = "admin/webhook_secret.html")]
struct WebhookSecretPage<'a> {
    layout: Layout,
    id: Uuid,
    url: &'a str,
    secret: &'a str,
}

#[derive(Default, Deserialize)]
struct NewWebhookForm {
    #[serde(default)]
    url: String,
    /// `all` or `some`.
    #[serde(default)]
    scope: String,
    own_password: Option<Zeroizing<String>>,
    /// The checkboxes.
    #[serde(flatten)]
    checked: BTreeMap<String, String>,
}

impl NewWebhookForm {
    fn is_checked(&self, action: Action) -> bool {
        self.checked.contains_key(&format!("{EVENT_FIELD}{}", action.as_str()))
    }

    fn selection(&self) -> Result<EventSelection, Error> {
        if self.scope == "all" {
            return Ok(EventSelection::All);
        }
        let names: Vec<&str> =
            Action::ALL.iter().filter(|action| self.is_checked(**action)).map(|action| action.as_str()).collect();
        Ok(EventSelection::parse(&names)?)
    }
}

fn new_page<'a>(user: &AdminUser, form: &'a NewWebhookForm, error: Option<&'a FormError>) -> NewWebhookPage<'a> {
    NewWebhookPage {
        layout: user.layout(NavItem::Webhooks),
        error,
        url: &form.url,
        is_all: form.scope == "all",
        events: Action::ALL.iter().map(|action| (action.as_str(), form.is_checked(*action))).collect(),
        reauth: user.reauth(),
    }
}

async fn show_form(user: AdminUser) -> PageResult<Response> {
    let mut form = NewWebhookForm::default();
    for action in [Action::TokenExpiring, Action::TokenLeaked] {
        form.checked.insert(format!("{EVENT_FIELD}{}", action.as_str()), "yes".to_owned());
    }
    render(&new_page(&user, &form, None))
}

async fn add(
    user: AdminUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    PageForm(form): PageForm<NewWebhookForm>,
) -> PageResult<Response> {
    let own_password = form.own_password.as_ref().map(|password| password.as_str());
    let error = match require_recent_password(&state, &user, &headers, own_password).await? {
        Ok(()) => match create(&user, &state, &form).await {
            Ok(response) => return response,
            Err(error) => FormError::from_error(error)?,
        },
        Err(error) => error,
    };
    render_form(&new_page(&user, &form, Some(&error)), Some(&error))
}

async fn create(user: &AdminUser, state: &WebState, form: &NewWebhookForm) -> Result<PageResult<Response>, Error> {
    let new = CreateWebhook { url: form.url.trim(), events: form.selection()?, is_enabled: true };
    let (webhook, secret) = state.webhooks.create(&user.actor(), new).await?;
    Ok(render(&WebhookSecretPage {
        layout: user.layout(NavItem::Webhooks),
        id: webhook.id,
        url: &webhook.url,
        secret: &secret.expose(),
    }))
}

struct DeliveryRow {
    action: String,
    created: DisplayTime,
    state: DeliveryState,
    outcome: String,
    attempts: i64,
    duration_millis: Option<i64>,
    next_attempt: Option<DisplayTime>,
}

impl DeliveryRow {
    fn label(&self) -> &'static str {
        match self.state {
            DeliveryState::Pending => "Waiting",
            DeliveryState::Succeeded => "Delivered",
            DeliveryState::Failed => "Failed",
        }
    }

    fn css_class(&self) -> &'static str {
        match self.state {
            DeliveryState::Pending => "soon",
            DeliveryState::Succeeded => "on",
            DeliveryState::Failed => "off",
        }
    }
}

impl From<Delivery> for DeliveryRow {
    fn from(delivery: Delivery) -> Self {
        let outcome = match (delivery.response_status, delivery.outcome) {
            (Some(status), _) => format!("status {status}"),
            (None, Some(outcome)) => outcome.as_str().replace('_', " "),
            (None, None) => String::new(),
        };
        Self {
            action: delivery.action.unwrap_or_default(),
            created: DisplayTime(delivery.created_at),
            state: delivery.state,
            outcome,
            attempts: delivery.attempts,
            duration_millis: delivery.duration_millis,
            next_attempt: delivery.next_attempt_at.map(DisplayTime),
        }
    }
}

#[derive(Template)]
#[template(path = "admin/webhook.html")]
struct WebhookPage<'a> {
    layout: Layout,
    error: Option<&'a FormError>,
    webhook: WebhookRow,
    deliveries: Vec<DeliveryRow>,
}

#[derive(Deserialize)]
struct WebhookForm {
    /// `enable` or `test`.
    #[serde(default)]
    operation: String,
}

/// Parses the ID in the path.
pub(super) fn parse_id(text: &str) -> PageResult<Uuid> {
    parse_uuid(text).ok_or(Error::WebhookNotFound.into())
}

async fn page<'a>(
    user: &AdminUser,
    state: &WebState,
    id: Uuid,
    error: Option<&'a FormError>,
) -> PageResult<WebhookPage<'a>> {
    let actor = user.actor();
    let webhook = state.webhooks.find(&actor, id).await?;
    let deliveries = state.webhooks.deliveries(&actor, id, None, SHOWN_DELIVERIES).await?;
    Ok(WebhookPage {
        layout: user.layout(NavItem::Webhooks),
        error,
        webhook: webhook.into(),
        deliveries: deliveries.into_iter().map(DeliveryRow::from).collect(),
    })
}

async fn show(
    user: AdminUser,
    State(state): State<WebState>,
    Path(id): Path<String>,
    LenientQuery(query): LenientQuery<WebhooksQuery>,
) -> PageResult<Response> {
    let page = page(&user, &state, parse_id(&id)?, None).await?;
    render(&WebhookPage { layout: page.layout.with_notice(query.done.as_deref()), ..page })
}

async fn change(
    user: AdminUser,
    State(state): State<WebState>,
    Path(id): Path<String>,
    PageForm(form): PageForm<WebhookForm>,
) -> PageResult<Response> {
    let id = parse_id(&id)?;
    match apply(&user, &state, id, &form.operation).await {
        Ok(()) => {
            let done = if form.operation == "test" { "webhook-tested" } else { "saved" };
            Ok(see_other(&format!("{LIST_PATH}/{id}?done={done}")))
        }
        Err(Error::WebhookNotFound) => Err(Error::WebhookNotFound.into()),
        Err(error) => {
            let error = FormError::from_error(error)?;
            render_form(&page(&user, &state, id, Some(&error)).await?, Some(&error))
        }
    }
}

async fn apply(user: &AdminUser, state: &WebState, id: Uuid, operation: &str) -> Result<(), Error> {
    let actor = user.actor();
    let enable = ChangeWebhook { is_enabled: Some(true), ..ChangeWebhook::default() };
    match operation {
        "enable" => state.webhooks.change(&actor, id, enable).await.map(|_| ()),
        "test" => state.webhooks.send_test(&actor, id).await,
        _ => state.webhooks.find(&actor, id).await.map(|_| ()),
    }
}
