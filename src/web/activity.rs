//! What happened: to oneself and one's tokens; for administrators, in the workspace.

use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use serde::{Deserialize, Serialize};

use super::{
    error::PageResult,
    form::Asked,
    frame::{Frame, Place, show},
    pager::{Pager, Part, ROWS, path},
    show::{When, browser},
    site::Site,
    visitor::{AdminVisitor, Visitor},
};
use crate::{
    domain::event::{Action, Event},
    service::events::{EventStart, Scope},
};

pub(super) fn routes() -> Router<Site> {
    Router::new().route("/preferences/activity", get(own)).route("/admin/activity", get(all))
}

#[derive(Default, Deserialize, Serialize)]
struct ActivityQuery {
    #[serde(skip_serializing)]
    after: Option<String>,
    #[serde(skip_serializing)]
    before: Option<String>,
}

struct ActivityRow {
    at: When,
    what: &'static str,
    about: String,
    details: String,
    by: String,
}

#[derive(Template)]
#[template(path = "activity.html")]
struct ActivityPage {
    frame: Frame,
    about: &'static str,
    rows: Vec<ActivityRow>,
    pager: Pager,
}

async fn own(visitor: Visitor, State(site): State<Site>, Asked(query): Asked<ActivityQuery>) -> PageResult<Response> {
    let about = "What happened to your tokens and your account.";
    show(&page(&visitor, &site, &query, Scope::Own, Place::Activity, about).await?)
}

async fn all(
    AdminVisitor(visitor): AdminVisitor,
    State(site): State<Site>,
    Asked(query): Asked<ActivityQuery>,
) -> PageResult<Response> {
    let about = "What happened to the people, tokens and settings of this workspace.";
    show(&page(&visitor, &site, &query, Scope::Workspace, Place::AllActivity, about).await?)
}

async fn page(
    visitor: &Visitor,
    site: &Site,
    query: &ActivityQuery,
    scope: Scope,
    place: Place,
    about: &'static str,
) -> PageResult<ActivityPage> {
    let read = |mark: &Option<String>| mark.as_deref().and_then(|text| text.parse::<i64>().ok());
    let part = Part::of(read(&query.after), read(&query.before));
    let start = match part {
        Part::First => EventStart::default(),
        Part::After(mark) => EventStart::After(mark),
        Part::Before(mark) => EventStart::Before(mark),
    };
    let limit = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
    let mut events = site.events.list(&visitor.principal(), scope, start, limit).await?;
    let here = if scope == Scope::Own { "/preferences/activity" } else { "/admin/activity" };
    let pager = part.cut(&mut events, |event| event.id.to_string(), |to, mark| path(here, query, to, &mark));
    Ok(ActivityPage { frame: visitor.frame(place), about, rows: events.into_iter().map(row).collect(), pager })
}

fn row(event: Event) -> ActivityRow {
    let what = match event.action {
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
        Action::SignedIn => "Signed in",
        Action::WorkspaceRenamed => "Workspace renamed",
    };
    let details = if event.action == Action::SignedIn { browser(&event.details) } else { event.details };
    let about = match event.action {
        Action::TokenCreated | Action::TokenDeleted => format!("{}…", event.label),
        Action::SignedIn => String::new(),
        _ => event.label,
    };
    let by_token = if event.act.token_id.is_some() { ", by a token" } else { "" };
    ActivityRow { at: When(event.act.at), what, about, details, by: format!("{}{by_token}", event.act.name) }
}
