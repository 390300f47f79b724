//! Export of the activity pages as CSV (RFC 4180).

use axum::response::{IntoResponse as _, Response};

use super::{activity_rows::action_label, error::PageResult, state::WebState};
use crate::{
    domain::event::Event,
    http::csv,
    service::events::{EventCriteria, EventPageStart, EventScope},
};
use tokenward_guard::Principal;

/// The maximum number of exported events. The newest are exported.
const MAX_EVENTS: usize = 10_000;
/// The number of events that are read at once.
const BATCH_EVENTS: i64 = 500;
const HEADER: &str =
    "time,action,event,outcome,actor,actorTokenId,target,label,address,userAgent,requestId,details\r\n";

/// Returns the newest events that match, as a file to download.
pub(super) async fn csv_response(
    state: &WebState,
    caller: &Principal,
    scope: EventScope,
    criteria: EventCriteria,
) -> PageResult<Response> {
    let mut text = HEADER.as_bytes().to_vec();
    let mut start = EventPageStart::default();
    let mut count = 0;
    while count < MAX_EVENTS {
        let events = state.events.list(caller, scope, criteria, start, BATCH_EVENTS).await?;
        let Some(last) = events.last() else { break };
        start = EventPageStart::After(last.id);
        count += events.len();
        for event in &events {
            append_row(&mut text, event);
        }
    }
    let mut response = text.into_response();
    csv::set_download_headers(response.headers_mut(), "activity.csv");
    Ok(response)
}

fn append_row(text: &mut Vec<u8>, event: &Event) {
    let context = &event.context;
    let token_id = context.token_id.map(|id| id.to_string()).unwrap_or_default();
    let address = context.request.client_ip.map(|address| address.to_string()).unwrap_or_default();
    let cells: [&str; 12] = [
        &context.at.to_string(),
        event.action.as_str(),
        action_label(event.action),
        event.action.outcome().as_str(),
        &context.actor_name,
        &token_id,
        &event.target,
        &event.label,
        &address,
        context.request.user_agent.as_str(),
        &context.request.request_id,
        &event.details.to_json_string(),
    ];
    csv::append_row(text, cells);
}
