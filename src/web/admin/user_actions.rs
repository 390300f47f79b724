//! What an administrator does with somebody's account by one button.

use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};

use super::user::again;
use crate::{
    service::people::{By, Change},
    web::{
        error::{PageResult, see_other},
        extract::{Numbered, Posted},
        format::shown,
        layout::{Frame, Place, ask},
        messages::Problem,
        reauth::prove,
        session_user::AdminVisitor,
        state::Site,
        tokens::{DeleteAllPage, ProofForm},
    },
};

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/admin/users/{id}/disable", get(back).post(disable))
        .route("/admin/users/{id}/enable", get(back).post(enable))
        .route("/admin/users/{id}/force-password-change", get(back).post(force_password_change))
        .route("/admin/users/{id}/end-sessions", get(back).post(end_sessions))
        .route("/admin/users/{id}/delete-tokens", get(ask_delete_tokens).post(delete_tokens))
        .route("/admin/users/{id}/remove", get(ask_remove).post(remove))
}

/// Whoever reloads what a button answered is shown the person again.
async fn back(_: AdminVisitor, Numbered(id): Numbered) -> Response {
    see_other(&format!("/admin/users/{id}"))
}

async fn disable(visitor: AdminVisitor, State(site): State<Site>, Numbered(id): Numbered) -> PageResult<Response> {
    let change = Change { is_disabled: Some(true), ..Change::default() };
    do_change(&visitor, &site, id, &change, "disabled").await
}

async fn enable(visitor: AdminVisitor, State(site): State<Site>, Numbered(id): Numbered) -> PageResult<Response> {
    let change = Change { is_disabled: Some(false), ..Change::default() };
    do_change(&visitor, &site, id, &change, "enabled").await
}

async fn force_password_change(
    visitor: AdminVisitor,
    State(site): State<Site>,
    Numbered(id): Numbered,
) -> PageResult<Response> {
    let change = Change { force_password_change: Some(true), ..Change::default() };
    do_change(&visitor, &site, id, &change, "forced").await
}

async fn do_change(
    visitor: &AdminVisitor,
    site: &Site,
    id: i64,
    change: &Change<'_>,
    done: &str,
) -> PageResult<Response> {
    let by = visitor.actor();
    match site.people.change(By::Person(&by), by.workspace_id, id, change).await {
        Ok(_) => Ok(see_other(&format!("/admin/users/{id}?done={done}"))),
        Err(refusal) => {
            let problem = Problem::of(refusal)?;
            again(visitor, site, &site.people.find(&by, id).await?, &problem).await
        }
    }
}

async fn end_sessions(visitor: AdminVisitor, State(site): State<Site>, Numbered(id): Numbered) -> PageResult<Response> {
    let administrator = visitor.actor();
    let person = site.people.find(&administrator, id).await?;
    site.sessions.end_all_of(&administrator, &person).await?;
    Ok(see_other(&format!("/admin/users/{id}?done=sessions-ended")))
}

async fn ask_delete_tokens(
    visitor: AdminVisitor,
    State(site): State<Site>,
    Numbered(id): Numbered,
) -> PageResult<Response> {
    delete_tokens_page(&visitor, &site, id, None).await
}

async fn delete_tokens_page(
    visitor: &AdminVisitor,
    site: &Site,
    id: i64,
    problem: Option<&Problem>,
) -> PageResult<Response> {
    let administrator = visitor.actor();
    let person = site.people.find(&administrator, id).await?;
    let whose = shown(&person.name, &person.email);
    let page = DeleteAllPage {
        frame: visitor.frame(Place::Users),
        problem: problem.map(|problem| problem.text.as_str()),
        question: format!("Delete all tokens of {whose}?"),
        active: site.tokens.holders(&administrator, Some(id)).await?.tokens,
        action: format!("/admin/users/{id}/delete-tokens"),
        back: format!("/admin/users/{id}"),
        back_word: whose,
        needs_proof: visitor.needs_proof(),
    };
    ask(&page, problem)
}

async fn delete_tokens(
    visitor: AdminVisitor,
    State(site): State<Site>,
    headers: HeaderMap,
    Numbered(id): Numbered,
    Posted(form): Posted<ProofForm>,
) -> PageResult<Response> {
    let administrator = visitor.actor();
    site.people.find(&administrator, id).await?;
    match prove(&site, &visitor, &headers, form.password()).await? {
        Ok(()) => {
            site.tokens.delete_all(&administrator, id).await?;
            Ok(see_other(&format!("/admin/users/{id}?done=all-deleted")))
        }
        Err(problem) => delete_tokens_page(&visitor, &site, id, Some(&problem)).await,
    }
}

#[derive(Template)]
#[template(path = "admin/remove_user.html")]
struct RemovePage<'a> {
    frame: Frame,
    problem: Option<&'a str>,
    id: i64,
    shown: &'a str,
    email: &'a str,
    active_tokens: i64,
    needs_proof: bool,
}

async fn ask_remove(visitor: AdminVisitor, State(site): State<Site>, Numbered(id): Numbered) -> PageResult<Response> {
    remove_page(&visitor, &site, id, None).await
}

async fn remove_page(visitor: &AdminVisitor, site: &Site, id: i64, problem: Option<&Problem>) -> PageResult<Response> {
    let administrator = visitor.actor();
    let person = site.people.find(&administrator, id).await?;
    let page = RemovePage {
        frame: visitor.frame(Place::Users),
        problem: problem.map(|problem| problem.text.as_str()),
        id,
        shown: shown(&person.name, &person.email),
        email: &person.email,
        active_tokens: site.tokens.holders(&administrator, Some(id)).await?.tokens,
        needs_proof: visitor.needs_proof(),
    };
    ask(&page, problem)
}

async fn remove(
    visitor: AdminVisitor,
    State(site): State<Site>,
    headers: HeaderMap,
    Numbered(id): Numbered,
    Posted(form): Posted<ProofForm>,
) -> PageResult<Response> {
    let problem = match prove(&site, &visitor, &headers, form.password()).await? {
        Ok(()) => match site.people.remove(&visitor.actor(), id).await {
            Ok(()) => return Ok(see_other("/admin/users?done=removed")),
            Err(refusal) => Problem::of(refusal)?,
        },
        Err(problem) => problem,
    };
    remove_page(&visitor, &site, id, Some(&problem)).await
}
