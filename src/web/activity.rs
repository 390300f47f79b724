//! The activity pages: events of a person's account and tokens, and for administrators of the workspace.

use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    error::PageResult,
    extract::LenientQuery,
    format::DisplayTime,
    layout::{Layout, NavItem, render},
    pagination::{PAGE_SIZE, PageRequest, Pager, page_path},
    session_user::{AdminUser, SessionUser},
    state::WebState,
    user_agent::browser_name,
};
use crate::{
    domain::event::{Action, Event, Outcome},
    service::events::{EventCriteria, EventPageStart, EventScope},
};

pub(super) fn routes() -> Router<WebState> {
    Router::new().route("/preferences/activity", get(show_own)).route("/admin/activity", get(show_workspace))
}

#[derive(Default, Deserialize, Serialize)]
struct ActivityQuery {
    #[serde(skip_serializing)]
    after: Option<String>,
    #[serde(skip_serializing)]
    before: Option<String>,
}

struct ActivityRow {
    at: DisplayTime,
    label: &'static str,
    subject: String,
    details: String,
    by: String,
}

#[derive(Template)]
#[template(path = "activity.html")]
struct ActivityPage {
    layout: Layout,
    intro: &'static str,
    rows: Vec<ActivityRow>,
    pager: Pager,
}

async fn show_own(
    user: SessionUser,
    State(state): State<WebState>,
    LenientQuery(query): LenientQuery<ActivityQuery>,
) -> PageResult<Response> {
    let intro = "Events of your account and your tokens.";
    render(&page(&user, &state, &query, EventScope::Own, NavItem::Activity, intro).await?)
}

async fn show_workspace(
    AdminUser(user): AdminUser,
    State(state): State<WebState>,
    LenientQuery(query): LenientQuery<ActivityQuery>,
) -> PageResult<Response> {
    let intro = "Events of the people, tokens and settings of this workspace.";
    render(&page(&user, &state, &query, EventScope::Workspace { person_id: None }, NavItem::AllActivity, intro).await?)
}

async fn page(
    user: &SessionUser,
    state: &WebState,
    query: &ActivityQuery,
    scope: EventScope,
    nav_item: NavItem,
    intro: &'static str,
) -> PageResult<ActivityPage> {
    let parse_cursor = |cursor: &Option<String>| cursor.as_deref().and_then(|text| text.parse::<i64>().ok());
    let page_request = PageRequest::from_cursors(parse_cursor(&query.after), parse_cursor(&query.before));
    let start = match page_request {
        PageRequest::First => EventPageStart::default(),
        PageRequest::After(cursor) => EventPageStart::After(cursor),
        PageRequest::Before(cursor) => EventPageStart::Before(cursor),
    };
    let limit = i64::try_from(PAGE_SIZE + 1).unwrap_or(i64::MAX);
    let mut events = state.events.list(&user.actor(), scope, EventCriteria::default(), start, limit).await?;
    let list_path = if scope == EventScope::Own { "/preferences/activity" } else { "/admin/activity" };
    let pager = page_request.split(
        &mut events,
        |event| event.id.to_string(),
        |direction, cursor| page_path(list_path, query, direction, &cursor),
    );
    Ok(ActivityPage {
        layout: user.layout(nav_item),
        intro,
        rows: events.into_iter().map(activity_row).collect(),
        pager,
    })
}

/// Returns the details of an event as text.
fn describe_details(event: &Event) -> String {
    let fields = &event.details.0;
    let text =
        |name: &str| fields.get(name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let source = || {
        let request = &event.context.request;
        let address = request.client_ip.map(|address| format!("from {address}"));
        let browser =
            Some(browser_name(request.user_agent.as_str())).filter(|_| event.action == Action::SessionCreated);
        browser.into_iter().chain(address).collect::<Vec<_>>().join(" ")
    };
    match event.action {
        Action::SessionCreated | Action::LoginSucceeded => source(),
        Action::SettingChanged => [text("from"), text("to")].into_iter().flatten().collect::<Vec<_>>().join(" → "),
        Action::TokenCreated | Action::TokenDeleted | Action::TokenLeaked => text("description").unwrap_or_default(),
        Action::EventsPruned => text("upTo").map(|number| format!("up to event {number}")).unwrap_or_default(),
        action if action.outcome() == Outcome::Denied => {
            let times = text("count").filter(|count| count != "1").map(|count| format!("{count} times"));
            let parts = [text("cause"), times, Some(source()).filter(|source| !source.is_empty())];
            parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
        }
        _ => {
            let describe_field = |(name, value): (&String, &Value)| {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                format!("{}: {value}", field_label(name))
            };
            fields.iter().filter(|(name, _)| *name != "count").map(describe_field).collect::<Vec<_>>().join(", ")
        }
    }
}

/// Returns the label of a field of the details.
fn field_label(name: &str) -> &str {
    match name {
        "email" => "e-mail",
        "tokenAccess" => "token access",
        "forcePasswordChange" => "password change required",
        name => name,
    }
}

fn activity_row(event: Event) -> ActivityRow {
    let label = match event.action {
        Action::TokenCreated => "Token generated",
        Action::TokenDeleted => "Token deleted",
        Action::TokensDeleted => "All tokens of a person deleted",
        Action::SettingChanged => "Setting changed",
        Action::PersonAdded => "User added",
        Action::PersonChanged => "User changed",
        Action::PersonDisabled => "Account disabled",
        Action::PersonEnabled => "Account enabled",
        Action::PersonRemoved => "User removed",
        Action::PasswordChanged => "Password changed",
        Action::SessionCreated => "Signed in",
        Action::TokenLeaked => "Token deleted: reported as leaked",
        Action::RevokedTokenRejected => "Token rejected: revoked or expired",
        Action::LoginSucceeded => "Signed in to the API by password",
        Action::LoginFailed => "Sign-in failed: wrong e-mail or password",
        Action::LoginThrottled => "Sign-in throttled: too many failed attempts",
        Action::AuthCheckDenied => "Auth checks denied",
        Action::WorkspaceCreated => "Workspace created",
        Action::WorkspaceRenamed => "Workspace renamed",
        Action::WorkspaceRemoved => "Workspace removed",
        Action::EventsPruned => "Old events removed",
    };
    let details = describe_details(&event);
    let subject = match event.action {
        Action::TokenCreated | Action::TokenDeleted | Action::TokenLeaked => format!("{}…", event.label),
        Action::RevokedTokenRejected if !event.label.is_empty() => format!("{}…", event.label),
        Action::SessionCreated | Action::LoginSucceeded => String::new(),
        _ => event.label,
    };
    let by_token = if event.context.token_id.is_some() { " (with a token)" } else { "" };
    ActivityRow {
        at: DisplayTime(event.context.at),
        label,
        subject,
        details,
        by: format!("{}{by_token}", event.context.actor_name),
    }
}
