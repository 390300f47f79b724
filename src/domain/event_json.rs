//! The JSON of an event in a webhook request: the object that `GET /v4/events` shows to
//! administrators. A test compares both.

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{event::Event, id::PersonId};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventJson<'a> {
    id: i64,
    seq: Option<i64>,
    time: String,
    action: &'static str,
    outcome: &'static str,
    actor_id: Option<i64>,
    actor: &'a str,
    actor_token_id: Option<Uuid>,
    person_id: Option<i64>,
    target: &'a str,
    label: &'a str,
    details: &'a Map<String, Value>,
    address: Option<String>,
    user_agent: &'a str,
    request_id: &'a str,
}

/// Returns an event as one JSON object.
#[must_use]
pub fn event_to_json(event: &Event) -> String {
    let context = &event.context;
    let json = EventJson {
        id: event.id,
        seq: event.seq,
        time: context.at.to_string(),
        action: event.action.as_str(),
        outcome: event.action.outcome().as_str(),
        actor_id: context.actor_id.map(PersonId::get),
        actor: &context.actor_name,
        actor_token_id: context.token_id,
        person_id: event.person_id.map(PersonId::get),
        target: &event.target,
        label: &event.label,
        details: &event.details.0,
        address: context.request.client_ip.map(|address| address.to_string()),
        user_agent: context.request.user_agent.as_str(),
        request_id: &context.request.request_id,
    };
    // Strings, numbers and maps with text keys always serialize.
    serde_json::to_string(&json).unwrap_or_default()
}
