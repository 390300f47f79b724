//! `/v4/events`: the audit log.

use axum::{extract::State, response::Response};
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
    extract::AnyCaller,
    serde_types::{timestamp_schema, words_schema},
    stream::{self, ListReader, ListTrailer},
    strict_query::{StrictQuery, check_limit},
};
use crate::{
    app::App,
    domain::{
        event::{Action, Event, Outcome, RequestContext},
        id::PersonId,
        time::Timestamp,
    },
    service::{
        Events,
        events::{EventCriteria, EventScope},
        list_pages::EventPages,
    },
};
use tokenward_guard::Principal;

/// The number of rows of a list without `limit`.
const DEFAULT_LIMIT: i64 = 100;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

fn outcome_schema() -> RefOr<Schema> {
    words_schema(
        "`success`, or `denied` if authentication failed.",
        [Outcome::Success, Outcome::Denied].map(Outcome::as_str),
    )
}

/// A recorded event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Event)]
struct EventView {
    /// Increases with every event.
    id: i64,
    /// The position in the workspace's hash chain; null: recorded before the chain existed.
    #[schema(required)]
    seq: Option<i64>,
    #[schema(schema_with = timestamp_schema)]
    time: Timestamp,
    /// The kind of event.
    #[schema(examples("token.created", "token.deleted", "setting.changed"))]
    action: &'static str,
    #[schema(schema_with = outcome_schema)]
    outcome: &'static str,
    /// The ID of the person who acted; null: the operator, the service itself, or an unknown
    /// client.
    #[schema(required)]
    actor_id: Option<i64>,
    /// The e-mail of that person at the time, or a fixed name for other actors.
    actor: String,
    /// The ID of the token that authenticated the actor; null: a password, a page or the command
    /// line.
    #[schema(required)]
    actor_token_id: Option<Uuid>,
    /// The ID of the person whom the event concerns; null: the whole workspace.
    #[schema(required)]
    person_id: Option<i64>,
    /// The ID of the token or person that was changed, or the key of the setting.
    target: String,
    /// The name of the target at the time.
    label: String,
    /// Additional fields.
    details: serde_json::Map<String, serde_json::Value>,
    /// The client address; null: unknown, or not caused by a request.
    #[schema(required)]
    address: Option<String>,
    user_agent: String,
    request_id: String,
}

impl EventView {
    /// Creates the view for a reader. Only administrators see the token and the request of other
    /// people's operations.
    fn new(mut event: Event, reader: &Principal) -> Self {
        let is_own = event.context.actor_id == Some(PersonId::of(reader)) || event.action.outcome() == Outcome::Denied;
        if !(reader.is_admin || is_own) {
            event.context.token_id = None;
            event.context.request = RequestContext::default();
        }
        Self {
            id: event.id,
            seq: event.seq,
            outcome: event.action.outcome().as_str(),
            time: event.context.at,
            action: event.action.as_str(),
            actor_id: event.context.actor_id.map(PersonId::get),
            actor: event.context.actor_name,
            actor_token_id: event.context.token_id,
            person_id: event.person_id.map(PersonId::get),
            target: event.target,
            label: event.label,
            details: event.details.0,
            address: event.context.request.client_ip.map(|address| address.to_string()),
            user_agent: event.context.request.user_agent.as_str().to_owned(),
            request_id: event.context.request.request_id,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct EventQuery {
    /// The maximum number of rows; 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
    /// For administrators: the events of the whole workspace.
    all_users: Option<bool>,
    /// For administrators: the events that concern one person.
    person_id: Option<i64>,
    /// Only events whose actor is this person.
    actor_id: Option<i64>,
    /// Only events of this kind, for example `token.created`.
    action: Option<String>,
    /// Only events at or after this time.
    #[param(format = DateTime)]
    since: Option<String>,
    /// Only events before this time.
    #[param(format = DateTime)]
    until: Option<String>,
    /// The `nextCursor` of the previous page.
    cursor: Option<String>,
}

// Documents the response that `stream` writes row by row.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EventList {
    data: Vec<EventView>,
    /// The cursor of the next page, if there may be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_cursor: Option<String>,
}

/// List events
///
/// The events that concern the caller and the caller's tokens, newest first. For administrators
/// with `allUsers`: the events of the workspace.
#[utoipa::path(get, path = "/v4/events", operation_id = "listEvents", tag = "events", params(EventQuery),
    responses((status = 200, description = "The events", body = EventList)))]
async fn list(
    AnyCaller(caller): AnyCaller,
    reader: ListReader,
    State(events): State<Events>,
    StrictQuery(query): StrictQuery<EventQuery>,
) -> ApiResult<Response> {
    let scope = match (query.all_users.unwrap_or(false), query.person_id.map(PersonId::new)) {
        (false, None) => EventScope::Own,
        (false, Some(person_id)) if person_id == PersonId::of(&caller) => EventScope::Own,
        (_, person_id) => EventScope::Workspace { person_id },
    };
    let limit = check_limit(query.limit)?.unwrap_or(DEFAULT_LIMIT);
    let after = query.cursor.as_deref().map(parse_cursor).transpose()?.unwrap_or(i64::MAX);
    let pages = events.pages(&caller, scope, query.filter()?, after, limit)?;
    let trailer =
        |pages: &EventPages| ListTrailer { count: None, next_cursor: pages.next_cursor().map(|id| id.to_string()) };
    stream::respond(pages, reader, move |event| EventView::new(event, &caller), trailer).await
}

impl EventQuery {
    fn filter(&self) -> Result<EventCriteria, ApiError> {
        let action = self.action.as_deref().map(|name| {
            Action::parse(name).ok_or_else(|| {
                ApiError::BadRequest("action must be the name of an event, for example token.created.".to_owned())
            })
        });
        Ok(EventCriteria {
            action: action.transpose()?,
            actor_id: self.actor_id.map(PersonId::new),
            since: self.since.as_deref().map(|text| parse_timestamp_parameter("since", text)).transpose()?,
            until: self.until.as_deref().map(|text| parse_timestamp_parameter("until", text)).transpose()?,
            ..EventCriteria::default()
        })
    }
}

fn parse_timestamp_parameter(name: &str, text: &str) -> Result<Timestamp, ApiError> {
    let timestamp = Timestamp::parse(text);
    timestamp.ok_or_else(|| ApiError::BadRequest(format!("{name} must be a timestamp such as 2026-11-24T08:00:00Z.")))
}

/// Parses a `nextCursor`: the ID of the last event of the previous page.
fn parse_cursor(cursor: &str) -> Result<i64, ApiError> {
    let id = cursor.parse().ok().filter(|id: &i64| *id > 0 && id.to_string() == cursor);
    id.ok_or_else(|| ApiError::BadRequest("cursor must be the nextCursor of the same list.".to_owned()))
}
