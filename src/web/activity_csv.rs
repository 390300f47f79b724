//! Export of the activity pages as CSV (RFC 4180).

use axum::{
    http::{
        HeaderValue,
        header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    },
    response::{IntoResponse as _, Response},
};

use super::{activity_rows::action_label, error::PageResult, state::WebState};
use crate::{
    domain::event::Event,
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
    let mut text = HEADER.to_owned();
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
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"activity.csv\""));
    Ok(response)
}

fn append_row(text: &mut String, event: &Event) {
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
    for (number, cell) in cells.into_iter().enumerate() {
        if number > 0 {
            text.push(',');
        }
        append_cell(text, cell);
    }
    text.push_str("\r\n");
}

/// Appends a quoted cell. An apostrophe in front keeps spreadsheets from evaluating a formula.
fn append_cell(text: &mut String, cell: &str) {
    text.push('"');
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        text.push('\'');
    }
    text.push_str(&cell.replace('"', "\"\""));
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_are_no_formulas() {
        let cell = |content: &str| {
            let mut text = String::new();
            append_cell(&mut text, content);
            text
        };
        assert_eq!(cell("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
        for formula in ["=1+1", "+1", "-1", "@x", "\tx", "\rx"] {
            assert_eq!(cell(formula), format!("\"'{formula}\""));
        }
        assert_eq!(cell(""), "\"\"");
    }
}
