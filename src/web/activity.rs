//! What happened: to oneself and one's tokens; for administrators, in the workspace.

use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    error::PageResult,
    extract::Asked,
    format::{When, browser},
    layout::{Frame, Place, show},
    pagination::{Pager, Part, ROWS, path},
    session_user::{AdminVisitor, Visitor},
    state::Site,
};
use crate::{
    domain::event::{Action, Event, Outcome},
    service::events::{EventStart, Scope, Which},
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
    show(&page(&visitor, &site, &query, Scope::Workspace { person_id: None }, Place::AllActivity, about).await?)
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
    let mut events = site.events.list(&visitor.actor(), scope, Which::default(), start, limit).await?;
    let here = if scope == Scope::Own { "/preferences/activity" } else { "/admin/activity" };
    let pager = part.cut(&mut events, |event| event.id.to_string(), |to, mark| path(here, query, to, &mark));
    Ok(ActivityPage { frame: visitor.frame(place), about, rows: events.into_iter().map(row).collect(), pager })
}

/// What else there is to say of an event.
fn in_words(event: &Event) -> String {
    let fields = &event.details.0;
    let text =
        |name: &str| fields.get(name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let from = || {
        let origin = &event.act.origin;
        let address = origin.address.map(|address| format!("from {address}"));
        let browser = Some(browser(origin.user_agent.as_str())).filter(|_| event.action == Action::SignedIn);
        browser.into_iter().chain(address).collect::<Vec<_>>().join(" ")
    };
    match event.action {
        Action::SignedIn | Action::PasswordAccepted => from(),
        Action::SettingChanged => [text("from"), text("to")].into_iter().flatten().collect::<Vec<_>>().join(" → "),
        Action::TokenCreated | Action::TokenDeleted | Action::TokenLeaked => text("description").unwrap_or_default(),
        Action::EventsPruned => text("upTo").map(|seq| format!("up to number {seq}")).unwrap_or_default(),
        action if action.outcome() == Outcome::Refused => {
            let times = text("count").filter(|count| count != "1").map(|count| format!("{count} times"));
            let words = [text("cause"), times, Some(from()).filter(|from| !from.is_empty())];
            words.into_iter().flatten().collect::<Vec<_>>().join(", ")
        }
        _ => {
            let named = |(name, value): (&String, &Value)| {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                format!("{}: {value}", field_name(name))
            };
            fields.iter().filter(|(name, _)| *name != "count").map(named).collect::<Vec<_>>().join(", ")
        }
    }
}

/// A field of the details as people say it.
fn field_name(name: &str) -> &str {
    match name {
        "email" => "e-mail",
        "tokenAccess" => "token access",
        "forcePasswordChange" => "must change the password",
        name => name,
    }
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
        Action::TokenLeaked => "Token deleted: its value was reported as leaked",
        Action::TokenUsedAfterDeath => "Refused: a token that is gone or expired",
        Action::PasswordAccepted => "Password accepted by the API",
        Action::PasswordRefused => "Refused: wrong e-mail or password",
        Action::PasswordThrottled => "Refused: too many wrong passwords",
        Action::ChecksRefused => "Refused: checks for other services",
        Action::WorkspaceCreated => "Workspace created",
        Action::WorkspaceRenamed => "Workspace renamed",
        Action::WorkspaceRemoved => "Workspace removed",
        Action::EventsPruned => "Old events removed",
    };
    let details = in_words(&event);
    let about = match event.action {
        Action::TokenCreated | Action::TokenDeleted | Action::TokenLeaked => format!("{}…", event.label),
        Action::TokenUsedAfterDeath if !event.label.is_empty() => format!("{}…", event.label),
        Action::SignedIn | Action::PasswordAccepted => String::new(),
        _ => event.label,
    };
    let by_token = if event.act.token_id.is_some() { ", by a token" } else { "" };
    ActivityRow { at: When(event.act.at), what, about, details, by: format!("{}{by_token}", event.act.name) }
}
