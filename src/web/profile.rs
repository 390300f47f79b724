//! A person's own account: name, password, web sessions.

use askama::Template;
use axum::{
    Router,
    extract::State,
    http::HeaderMap,
    response::Response,
    routing::{get, post},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    error::{PageResult, see_other},
    extract::{Asked, Named, Posted},
    format::{When, browser},
    layout::{Frame, Place, show, show_as},
    messages::Problem,
    password::{PasswordForm, change},
    session_user::Visitor,
    state::Site,
};
use crate::{
    domain::session::Session,
    service::people::{By, Change},
};

struct SessionRow {
    id: Uuid,
    browser: String,
    begun: When,
    seen: When,
    is_this: bool,
}

#[derive(Template)]
#[template(path = "profile.html")]
struct ProfilePage<'a> {
    frame: Frame,
    problem: Option<&'a str>,
    password_problem: Option<&'a str>,
    is_password_changed: bool,
    name: &'a str,
    email: &'a str,
    min_chars: usize,
    sessions: Vec<SessionRow>,
}

#[derive(Default, Deserialize)]
struct Ask {
    done: Option<String>,
}

#[derive(Deserialize)]
struct NameForm {
    #[serde(default)]
    name: String,
}

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/preferences/profile", get(look).post(rename))
        .route("/preferences/profile/password", get(async || see_other("/preferences/profile")).post(change_password))
        .route("/preferences/profile/sessions/end-others", post(end_others))
        .route("/preferences/profile/sessions/{id}/end", post(end))
}

async fn page<'a>(visitor: &'a Visitor, site: &Site) -> PageResult<ProfilePage<'a>> {
    let sessions = site.sessions.list(&visitor.person).await?;
    let row = |session: Session| SessionRow {
        is_this: session.id == visitor.session.id,
        id: session.id,
        browser: browser(&session.user_agent),
        begun: When(session.begun_at),
        seen: When(session.seen_at),
    };
    Ok(ProfilePage {
        frame: visitor.frame(Place::Profile),
        problem: None,
        password_problem: None,
        is_password_changed: false,
        name: &visitor.person.name,
        email: &visitor.person.email,
        min_chars: site.passwords.0,
        sessions: sessions.into_iter().map(row).collect(),
    })
}

async fn look(visitor: Visitor, State(site): State<Site>, Asked(ask): Asked<Ask>) -> PageResult<Response> {
    let page = page(&visitor, &site).await?;
    let is_password_changed = ask.done.as_deref() == Some("password");
    show(&ProfilePage { frame: page.frame.after(ask.done.as_deref()), is_password_changed, ..page })
}

async fn rename(visitor: Visitor, State(site): State<Site>, Posted(form): Posted<NameForm>) -> PageResult<Response> {
    let by = visitor.actor();
    let change = Change { name: Some(&form.name), ..Change::default() };
    match site.people.change(By::Person(&by), by.workspace_id, by.person_id, &change).await {
        Ok(_) => Ok(see_other("/preferences/profile?done=saved")),
        Err(refusal) => {
            let problem = Problem::of(refusal)?;
            show_as(problem.status, &ProfilePage { problem: Some(&problem.text), ..page(&visitor, &site).await? })
        }
    }
}

async fn change_password(
    visitor: Visitor,
    State(site): State<Site>,
    headers: HeaderMap,
    Posted(form): Posted<PasswordForm>,
) -> PageResult<Response> {
    match change(&site, &visitor, &headers, &form).await? {
        Ok(()) => Ok(see_other("/preferences/profile?done=password")),
        Err(problem) => {
            let page = page(&visitor, &site).await?;
            show_as(problem.status, &ProfilePage { password_problem: Some(&problem.text), ..page })
        }
    }
}

async fn end(visitor: Visitor, State(site): State<Site>, Named(id): Named) -> PageResult<Response> {
    site.sessions.end(&visitor.actor(), id).await?;
    Ok(see_other("/preferences/profile?done=ended"))
}

async fn end_others(visitor: Visitor, State(site): State<Site>) -> PageResult<Response> {
    site.sessions.end_others(&visitor.actor(), visitor.session.id).await?;
    Ok(see_other("/preferences/profile?done=others-ended"))
}
