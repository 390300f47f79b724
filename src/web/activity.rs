//! The activity pages: events of a person's account and tokens, and for administrators of the workspace.

use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    activity_csv::csv_response,
    activity_rows::{ActivityDay, action_label, group_by_day},
    error::PageResult,
    extract::LenientQuery,
    layout::{Layout, NavItem, render},
    pagination::{PAGE_SIZE, PageRequest, Pager, page_path, path_with_fields},
    session_user::{AdminUser, SessionUser},
    state::WebState,
};
use crate::{
    domain::{event::Action, id::PersonId, time::Timestamp},
    service::events::{EventCriteria, EventPageStart, EventScope},
};

pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route("/preferences/activity", get(show_own))
        .route("/preferences/activity.csv", get(export_own))
        .route("/admin/activity", get(show_workspace))
        .route("/admin/activity.csv", get(export_workspace))
}

/// The query string of an activity page: filter and cursors.
#[derive(Default, Deserialize, Serialize)]
struct ActivityQuery {
    action: Option<String>,
    /// The first day.
    since: Option<String>,
    /// The last day.
    until: Option<String>,
    token: Option<String>,
    /// For administrators: events of one person.
    person: Option<String>,
    #[serde(skip_serializing)]
    after: Option<String>,
    #[serde(skip_serializing)]
    before: Option<String>,
}

/// An option of the filter by action.
struct ActionOption {
    value: &'static str,
    label: &'static str,
    is_selected: bool,
}

#[derive(Template)]
#[template(path = "activity.html")]
struct ActivityPage {
    layout: Layout,
    intro: &'static str,
    list_path: &'static str,
    csv_path: String,
    actions: Vec<ActionOption>,
    since: String,
    until: String,
    token: String,
    person: String,
    is_filtered: bool,
    days: Vec<ActivityDay>,
    pager: Pager,
}

impl ActivityQuery {
    fn action(&self) -> Option<Action> {
        self.action.as_deref().and_then(Action::parse)
    }

    fn criteria(&self) -> EventCriteria {
        const DAY_SECONDS: i64 = 86_400;
        let day = |text: &Option<String>| text.as_deref().and_then(Timestamp::parse_date);
        EventCriteria {
            action: self.action(),
            token_id: self.token.as_deref().and_then(|text| Uuid::try_parse(text).ok()),
            since: day(&self.since),
            until: day(&self.until).map(|day| day.plus_seconds(DAY_SECONDS)),
            ..EventCriteria::default()
        }
    }

    /// Returns the scope of the administrators' page.
    fn workspace_scope(&self) -> EventScope {
        let person_id = self.person.as_deref().and_then(|text| text.parse().ok()).map(PersonId::new);
        EventScope::Workspace { person_id }
    }

    fn actions(&self) -> Vec<ActionOption> {
        let selected = self.action();
        let option = |action: &Action| ActionOption {
            value: action.as_str(),
            label: action_label(*action),
            is_selected: selected == Some(*action),
        };
        let mut options: Vec<ActionOption> = Action::ALL.iter().map(option).collect();
        options.sort_by_key(|option| option.label);
        options
    }
}

async fn show_own(
    user: SessionUser,
    State(state): State<WebState>,
    LenientQuery(query): LenientQuery<ActivityQuery>,
) -> PageResult<Response> {
    let intro = "Events of your account and your tokens.";
    show(&user, &state, &query, EventScope::Own, (NavItem::Activity, "/preferences/activity", intro)).await
}

async fn show_workspace(
    AdminUser(user): AdminUser,
    State(state): State<WebState>,
    LenientQuery(query): LenientQuery<ActivityQuery>,
) -> PageResult<Response> {
    let intro = "Events of the people, tokens and settings of this workspace.";
    let section = (NavItem::AllActivity, "/admin/activity", intro);
    show(&user, &state, &query, query.workspace_scope(), section).await
}

async fn export_own(
    user: SessionUser,
    State(state): State<WebState>,
    LenientQuery(query): LenientQuery<ActivityQuery>,
) -> PageResult<Response> {
    csv_response(&state, &user.actor(), EventScope::Own, query.criteria()).await
}

async fn export_workspace(
    AdminUser(user): AdminUser,
    State(state): State<WebState>,
    LenientQuery(query): LenientQuery<ActivityQuery>,
) -> PageResult<Response> {
    csv_response(&state, &user.actor(), query.workspace_scope(), query.criteria()).await
}

async fn show(
    user: &SessionUser,
    state: &WebState,
    query: &ActivityQuery,
    scope: EventScope,
    (nav_item, list_path, intro): (NavItem, &'static str, &'static str),
) -> PageResult<Response> {
    let parse_cursor = |cursor: &Option<String>| cursor.as_deref().and_then(|text| text.parse::<i64>().ok());
    let page_request = PageRequest::from_cursors(parse_cursor(&query.after), parse_cursor(&query.before));
    let start = match page_request {
        PageRequest::First => EventPageStart::default(),
        PageRequest::After(cursor) => EventPageStart::After(cursor),
        PageRequest::Before(cursor) => EventPageStart::Before(cursor),
    };
    let limit = i64::try_from(PAGE_SIZE + 1).unwrap_or(i64::MAX);
    let mut events = state.events.list(&user.actor(), scope, query.criteria(), start, limit).await?;
    let pager = page_request.split(
        &mut events,
        |event| event.id.to_string(),
        |direction, cursor| page_path(list_path, query, direction, &cursor),
    );
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    render(&ActivityPage {
        layout: user.layout(nav_item),
        intro,
        list_path,
        csv_path: path_with_fields(&format!("{list_path}.csv"), query, &[]),
        actions: query.actions(),
        since: text(&query.since),
        until: text(&query.until),
        token: text(&query.token),
        person: text(&query.person),
        is_filtered: path_with_fields("", query, &[]).contains('='),
        days: group_by_day(events, list_path),
        pager,
    })
}
