//! `/v4/events`: what happened.

use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    ApiError,
    error::ApiResult,
    extract::Caller,
    serde_types::moment,
    stream::{self, Reader, Tail},
    strict_query::{QueryOf, check_limit},
};
use crate::{
    app::App,
    domain::{
        event::{Action, Event, Origin, Outcome},
        time::Timestamp,
    },
    service::{
        Events,
        events::{Scope, Which},
        list_pages::EventPages,
    },
};
use tokenward_guard::Principal;

/// How many rows are listed where no limit is given.
const DEFAULT_LIMIT: i64 = 100;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Event)]
struct EventView {
    /// Later events have greater numbers.
    id: i64,
    /// Its place in the workspace's chain; null: from before there was one.
    seq: Option<i64>,
    #[schema(schema_with = moment)]
    time: Timestamp,
    /// What was done.
    #[schema(examples("token.created", "token.deleted", "setting.changed"))]
    action: &'static str,
    /// `done`, or `refused`: somebody was not let in.
    #[schema(pattern = "^(done|refused)$")]
    outcome: &'static str,
    /// Who did it; null: whoever runs the service, or somebody unknown.
    actor_id: Option<i64>,
    /// The actor's e-mail at the time, or another word.
    actor: String,
    /// The token by which the actor was known; null: a password, a page or the command line.
    actor_token_id: Option<Uuid>,
    /// Whom it is about; null: the whole workspace.
    person_id: Option<i64>,
    /// The id of what was changed: of a token or a person, or the key of a setting.
    target: String,
    /// What that was called at the time.
    label: String,
    /// More about it.
    details: serde_json::Map<String, serde_json::Value>,
    /// The client's address; null: not by a request, or not known.
    address: Option<String>,
    user_agent: String,
    request_id: String,
}

impl EventView {
    /// What a reader may know: of what somebody else did, only administrators see by which token and from where.
    fn new(mut event: Event, reader: &Principal) -> Self {
        let is_theirs = event.act.person_id == Some(reader.person_id) || event.action.outcome() == Outcome::Refused;
        if !(reader.is_admin || is_theirs) {
            (event.act.token_id, event.act.origin) = (None, Origin::default());
        }
        Self {
            id: event.id,
            seq: event.seq,
            outcome: event.action.outcome().as_str(),
            time: event.act.at,
            action: event.action.as_str(),
            actor_id: event.act.person_id,
            actor: event.act.name,
            actor_token_id: event.act.token_id,
            person_id: event.person_id,
            target: event.target,
            label: event.label,
            details: event.details.0,
            address: event.act.origin.address.map(|address| address.to_string()),
            user_agent: event.act.origin.user_agent.as_str().to_owned(),
            request_id: event.act.origin.request_id,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct EventQuery {
    /// How many rows at most; 100 where it is not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
    /// For administrators: what happened in the whole workspace.
    all_users: Option<bool>,
    /// For administrators: what happened to one person.
    person_id: Option<i64>,
    /// Only what this person did.
    actor_id: Option<i64>,
    /// Only this action, for instance `token.created`.
    action: Option<String>,
    /// Only from this moment on.
    #[param(format = DateTime)]
    since: Option<String>,
    /// Only before this moment.
    #[param(format = DateTime)]
    until: Option<String>,
    /// The `nextCursor` of the page before.
    cursor: Option<String>,
}

// The schema of what `stream` writes row by row.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EventList {
    data: Vec<EventView>,
    /// Where the next page begins, if there may be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// List what happened
///
/// To the caller and the caller's tokens, newest first; for administrators with `allUsers` in the workspace.
#[utoipa::path(get, path = "/v4/events", operation_id = "listEvents", tag = "events", params(EventQuery),
    responses((status = 200, description = "The events", body = EventList), (status = 400), (status = 401), (status = 403)))]
async fn list(
    Caller(caller): Caller,
    reader: Reader,
    State(events): State<Events>,
    QueryOf(query): QueryOf<EventQuery>,
) -> ApiResult<Response> {
    let scope = match (query.all_users.unwrap_or(false), query.person_id) {
        (false, None) => Scope::Own,
        (false, Some(person_id)) if person_id == caller.person_id => Scope::Own,
        (_, person_id) => Scope::Workspace { person_id },
    };
    let limit = check_limit(query.limit)?.unwrap_or(DEFAULT_LIMIT);
    let after = query.cursor.as_deref().map(id_of).transpose()?.unwrap_or(i64::MAX);
    let pages = events.pages(&caller, scope, query.which()?, after, limit)?;
    let tail = |pages: &EventPages| Tail { count: None, next_cursor: pages.cut_at().map(|id| id.to_string()) };
    stream::respond(pages, reader, move |event| EventView::new(event, &caller), tail).await
}

impl EventQuery {
    fn which(&self) -> Result<Which, ApiError> {
        let action = self.action.as_deref().map(|name| {
            Action::parse(name).ok_or_else(|| {
                ApiError::Form("action must be one that events have, for instance token.created.".to_owned())
            })
        });
        Ok(Which {
            action: action.transpose()?,
            actor_id: self.actor_id,
            since: self.since.as_deref().map(|text| moment_of("since", text)).transpose()?,
            until: self.until.as_deref().map(|text| moment_of("until", text)).transpose()?,
        })
    }
}

fn moment_of(name: &str, text: &str) -> Result<Timestamp, ApiError> {
    let moment = Timestamp::parse(text);
    moment.ok_or_else(|| ApiError::Form(format!("{name} must be an instant such as 2026-11-24T08:00:00Z.")))
}

/// The event after which a page begins that a mark of ours names.
fn id_of(cursor: &str) -> Result<i64, ApiError> {
    let id = cursor.parse().ok().filter(|id: &i64| *id > 0 && id.to_string() == cursor);
    id.ok_or_else(|| ApiError::Form("cursor must be a nextCursor of the same list.".to_owned()))
}
