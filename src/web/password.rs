//! Changing one's own password: on the profile, and where it must be done before anything else.

use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    error::{PageError, PageResult, see_other},
    extract::Posted,
    layout::{show, show_as},
    messages::Problem,
    reauth::password_of,
    session_user::{AnyVisitor, Visitor},
    sign_in::begin_again,
    state::Site,
};
use crate::{
    domain::Invalid,
    service::{
        people::{By, Change},
        sign_in::Via,
    },
};

#[derive(Template)]
#[template(path = "change_password.html")]
struct ChangePage<'a> {
    problem: Option<&'a str>,
    email: &'a str,
    min_chars: usize,
}

/// The three fields of a change.
#[derive(Deserialize)]
pub(super) struct PasswordForm {
    #[serde(default)]
    old_password: Zeroizing<String>,
    #[serde(default)]
    new_password: Zeroizing<String>,
    #[serde(default)]
    repeated_password: Zeroizing<String>,
}

pub(super) fn routes() -> Router<Site> {
    Router::new().route("/change-password", get(ask).post(change_first))
}

async fn ask(AnyVisitor(visitor): AnyVisitor, State(site): State<Site>) -> PageResult<Response> {
    if !visitor.person.force_password_change {
        return Ok(see_other("/preferences/profile"));
    }
    show(&page(&visitor, &site, None))
}

async fn change_first(
    AnyVisitor(visitor): AnyVisitor,
    State(site): State<Site>,
    headers: HeaderMap,
    Posted(form): Posted<PasswordForm>,
) -> PageResult<Response> {
    match change(&site, &visitor, &headers, &form).await? {
        Ok(()) => Ok(see_other("/preferences/access-tokens")),
        Err(problem) => show_as(problem.status, &page(&visitor, &site, Some(&problem.text))),
    }
}

fn page<'a>(visitor: &'a Visitor, site: &Site, problem: Option<&'a str>) -> ChangePage<'a> {
    ChangePage { problem, email: &visitor.person.email, min_chars: site.passwords.0 }
}

/// Changes the visitor's password. All sessions end with the old one; the one that did it begins anew, if it can.
///
/// # Errors
/// The inner result: the form is to be shown again.
pub(super) async fn change(
    site: &Site,
    visitor: &Visitor,
    headers: &HeaderMap,
    form: &PasswordForm,
) -> PageResult<Result<(), Problem>> {
    if form.new_password != form.repeated_password {
        return Ok(Err(Problem::of(Invalid::PasswordRepeat.into())?));
    }
    let Some(proof) = password_of(site, visitor, headers, &form.old_password).await? else {
        return Ok(Err(Problem::new("The present password is not right.")));
    };
    let change = Change { password: Some(&form.new_password), proof: Some(&proof), ..Change::default() };
    let by = visitor.actor();
    if let Err(refusal) = site.people.change(By::Person(&by), by.workspace_id, by.person_id, &change).await {
        return Ok(Err(Problem::of(refusal)?));
    }
    // The password is changed, whatever happens now: who cannot go on signs in.
    let device = site.cookies.read_device(headers);
    let via = Via::Page { device: device.as_ref() };
    let who = site.sign_in.by_password(&visitor.person.email, &form.new_password, via).await;
    let who = who.map_err(|_| PageError::signed_out())?;
    begin_again(site, headers, &who, &visitor.outbox).await?;
    Ok(Ok(()))
}
