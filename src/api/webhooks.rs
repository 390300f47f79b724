//! `/v4/webhooks`: the webhooks of the administrator's workspace, and their deliveries.

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{
    IntoParams, ToSchema,
    openapi::{RefOr, Schema},
};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    ApiError,
    error::ApiResult,
    extract::{AdminCaller, WebhookIdPath},
    json_object::JsonFields,
    serde_types::{Created, not_null, nullable_timestamp_schema, timestamp_schema, words_schema},
    strict_json::JsonBody,
    strict_query::{StrictQuery, check_limit},
};
use crate::{
    app::App,
    domain::{
        time::Timestamp,
        webhook::{AttemptOutcome, Delivery, DeliveryState, EventSelection, Webhook},
    },
    http::json::Json,
    service::{
        Webhooks,
        webhooks::{ChangeWebhook, CreateWebhook},
    },
};

/// The number of rows of a list without `limit`.
const DEFAULT_LIMIT: i64 = 100;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(find, change, delete))
        .routes(routes!(send_test))
        .routes(routes!(deliveries))
}

/// A webhook: a URL that receives the events of the workspace.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Webhook)]
struct WebhookView {
    id: Uuid,
    url: String,
    events: Vec<&'static str>,
    is_enabled: bool,
    #[schema(schema_with = nullable_timestamp_schema, required)]
    failing_since: Option<Timestamp>,
    #[schema(schema_with = timestamp_schema)]
    created_at: Timestamp,
    #[schema(schema_with = timestamp_schema)]
    updated_at: Timestamp,
}

impl From<Webhook> for WebhookView {
    fn from(webhook: Webhook) -> Self {
        Self {
            id: webhook.id,
            events: webhook.events.names(),
            url: webhook.url,
            is_enabled: webhook.is_enabled,
            failing_since: webhook.failing_since,
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
        }
    }
}

/// A new webhook with its secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CreatedWebhook {
    #[serde(flatten)]
    webhook: WebhookView,
    secret: String,
}

#[derive(Serialize, ToSchema)]
struct WebhookList {
    data: Vec<WebhookView>,
}

/// The response to a change of a webhook.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UpdatedWebhook {
    id: Uuid,
    #[schema(schema_with = timestamp_schema)]
    updated_at: Timestamp,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CreateWebhook)]
struct CreateBody {
    #[schema(min_length = 1, max_length = 2048, format = "uri", examples("https://hooks.example.com/tokenward"))]
    url: String,
    #[schema(min_items = 1)]
    events: Vec<String>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = bool, required = false)]
    is_enabled: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PatchWebhook)]
struct PatchBody {
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 2048, format = "uri")]
    url: Option<String>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Vec<String>, required = false, min_items = 1)]
    events: Option<Vec<String>>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = bool, required = false)]
    is_enabled: Option<bool>,
}

impl JsonFields for CreateBody {
    const IS_STRICT: bool = true;
}

impl JsonFields for PatchBody {
    const IS_STRICT: bool = true;
}

fn state_schema() -> RefOr<Schema> {
    let description = "`pending`: not delivered yet; `succeeded`; or `failed`: given up.";
    words_schema(description, DeliveryState::ALL.map(DeliveryState::as_str))
}

fn outcome_schema() -> RefOr<Schema> {
    let description = "The outcome of the last attempt. Absent before the first one has ended.";
    words_schema(description, AttemptOutcome::ALL.map(AttemptOutcome::as_str))
}

/// The delivery of one event to one webhook.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookDelivery)]
struct DeliveryView {
    id: i64,
    #[schema(required)]
    event_id: Option<i64>,
    #[schema(required)]
    action: Option<String>,
    #[schema(schema_with = timestamp_schema)]
    created_at: Timestamp,
    #[schema(schema_with = state_schema)]
    status: &'static str,
    attempts: i64,
    #[schema(schema_with = nullable_timestamp_schema, required)]
    attempted_at: Option<Timestamp>,
    #[schema(required)]
    duration_millis: Option<i64>,
    #[schema(required)]
    response_status: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = outcome_schema, required = false)]
    outcome: Option<&'static str>,
    #[schema(schema_with = nullable_timestamp_schema, required)]
    next_attempt_at: Option<Timestamp>,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id,
            event_id: delivery.event_id,
            action: delivery.action,
            created_at: delivery.created_at,
            status: delivery.state.as_str(),
            attempts: delivery.attempts,
            attempted_at: delivery.attempted_at,
            duration_millis: delivery.duration_millis,
            response_status: delivery.response_status,
            outcome: delivery.outcome.map(AttemptOutcome::as_str),
            next_attempt_at: delivery.next_attempt_at,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WebhookDeliveryList {
    data: Vec<DeliveryView>,
    /// The cursor of the next page, if there may be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct DeliveryQuery {
    /// The maximum number of rows; 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
    /// The `nextCursor` of the previous page.
    cursor: Option<String>,
}

/// List webhooks
///
/// For administrators: the webhooks of the workspace, oldest first.
#[utoipa::path(get, path = "/v4/webhooks", operation_id = "listWebhooks", tag = "webhooks",
    responses((status = 200, description = "The webhooks", body = WebhookList)))]
async fn list(AdminCaller(admin): AdminCaller, State(webhooks): State<Webhooks>) -> ApiResult<Json<WebhookList>> {
    let found = webhooks.list(&admin).await?;
    Ok(Json(WebhookList { data: found.into_iter().map(WebhookView::from).collect() }))
}

/// Create a webhook
///
/// For administrators. From now on each selected event of the workspace is sent to the URL. The
/// response contains the signing secret; no other response does.
#[utoipa::path(post, path = "/v4/webhooks", operation_id = "createWebhook", tag = "webhooks", request_body = CreateBody,
    responses((status = 201, description = "Created", body = CreatedWebhook)))]
async fn create(
    AdminCaller(admin): AdminCaller,
    State(webhooks): State<Webhooks>,
    JsonBody(body): JsonBody<CreateBody>,
) -> ApiResult<Created<CreatedWebhook>> {
    let events = EventSelection::parse(&body.events)?;
    let new = CreateWebhook { url: &body.url, events, is_enabled: body.is_enabled.unwrap_or(true) };
    let (webhook, secret) = webhooks.create(&admin, new).await?;
    let location = format!("/v4/webhooks/{}", webhook.id);
    Ok(Created { location, body: CreatedWebhook { webhook: webhook.into(), secret: secret.expose().to_string() } })
}

/// Get a webhook
///
/// For administrators.
#[utoipa::path(get, path = "/v4/webhooks/{id}", operation_id = "getWebhook", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The webhook's ID")),
    responses((status = 200, description = "The webhook", body = WebhookView)))]
async fn find(
    AdminCaller(admin): AdminCaller,
    WebhookIdPath(id): WebhookIdPath,
    State(webhooks): State<Webhooks>,
) -> ApiResult<Json<WebhookView>> {
    Ok(Json(webhooks.find(&admin, id).await?.into()))
}

/// Update a webhook
///
/// For administrators. Fields that are not sent keep their value. If the webhook is enabled, waiting
/// events are sent at once.
#[utoipa::path(patch, path = "/v4/webhooks/{id}", operation_id = "patchWebhook", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The webhook's ID")), request_body = PatchBody,
    responses((status = 200, description = "Updated", body = UpdatedWebhook)))]
async fn change(
    AdminCaller(admin): AdminCaller,
    WebhookIdPath(id): WebhookIdPath,
    State(webhooks): State<Webhooks>,
    JsonBody(body): JsonBody<PatchBody>,
) -> ApiResult<Json<UpdatedWebhook>> {
    let events = body.events.as_deref().map(EventSelection::parse).transpose()?;
    let change = ChangeWebhook { url: body.url.as_deref(), events, is_enabled: body.is_enabled };
    let changed = webhooks.change(&admin, id, change).await?;
    Ok(Json(UpdatedWebhook { id, updated_at: changed.updated_at }))
}

/// Delete a webhook
///
/// For administrators. Events that wait for it are not sent.
#[utoipa::path(delete, path = "/v4/webhooks/{id}", operation_id = "deleteWebhook", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The webhook's ID")),
    responses((status = 204, description = "Deleted")))]
async fn delete(
    AdminCaller(admin): AdminCaller,
    WebhookIdPath(id): WebhookIdPath,
    State(webhooks): State<Webhooks>,
) -> ApiResult<StatusCode> {
    webhooks.delete(&admin, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Send a test event
///
/// For administrators: queues an event `webhook.tested`, which only this webhook receives, whatever
/// it selects. The list of deliveries shows the outcome.
#[utoipa::path(post, path = "/v4/webhooks/{id}/test", operation_id = "testWebhook", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The webhook's ID")),
    responses((status = 202, description = "Queued")))]
async fn send_test(
    AdminCaller(admin): AdminCaller,
    WebhookIdPath(id): WebhookIdPath,
    State(webhooks): State<Webhooks>,
) -> ApiResult<StatusCode> {
    webhooks.send_test(&admin, id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// List deliveries
///
/// For administrators: the events that were sent to a webhook in the last 14 days, or wait for it,
/// newest first.
#[utoipa::path(get, path = "/v4/webhooks/{id}/deliveries", operation_id = "listWebhookDeliveries", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The webhook's ID"), DeliveryQuery),
    responses((status = 200, description = "The deliveries", body = WebhookDeliveryList)))]
async fn deliveries(
    AdminCaller(admin): AdminCaller,
    WebhookIdPath(id): WebhookIdPath,
    State(webhooks): State<Webhooks>,
    StrictQuery(query): StrictQuery<DeliveryQuery>,
) -> ApiResult<Json<WebhookDeliveryList>> {
    let limit = check_limit(query.limit)?.unwrap_or(DEFAULT_LIMIT);
    let before = query.cursor.as_deref().map(parse_cursor).transpose()?;
    let found = webhooks.deliveries(&admin, id, before, limit).await?;
    let is_full = i64::try_from(found.len()).is_ok_and(|count| count == limit);
    let next_cursor = found.last().filter(|_| is_full).map(|last| last.id.to_string());
    Ok(Json(WebhookDeliveryList { data: found.into_iter().map(DeliveryView::from).collect(), next_cursor }))
}

/// Parses a `nextCursor`: the ID of the last delivery of the previous page.
fn parse_cursor(cursor: &str) -> Result<i64, ApiError> {
    let id = cursor.parse().ok().filter(|id: &i64| *id > 0 && id.to_string() == cursor);
    id.ok_or_else(|| ApiError::BadRequest("cursor must be the nextCursor of the same list.".to_owned()))
}
