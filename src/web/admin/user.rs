//! One person of the workspace, as an administrator sees and changes them.

use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{
    domain::person::{Email, Person},
    service::people::{By, Change},
    web::{
        error::{PageResult, see_other},
        extract::{Asked, Numbered, Posted},
        format::{When, shown},
        layout::{Frame, Place, show, show_as},
        messages::Problem,
        reauth::prove,
        session_user::AdminVisitor,
        state::Site,
    },
};

pub(super) fn routes() -> Router<Site> {
    Router::new().route("/admin/users/{id}", get(look).post(save))
}

#[derive(Template)]
#[template(path = "admin/user.html")]
struct UserPage<'a> {
    frame: Frame,
    problem: Option<&'a str>,
    id: i64,
    shown: &'a str,
    email: &'a str,
    name: &'a str,
    is_admin: bool,
    is_disabled: bool,
    must_change: bool,
    is_self: bool,
    /// What the fields hold that nobody has touched.
    as_shown: Shown<'a>,
    token_access: &'a str,
    /// Whether the person's tokens work, as far as that hangs on the person.
    may_use: bool,
    active_tokens: i64,
    session_count: usize,
    last_login: Option<When>,
    /// Seconds that the next sign-in must wait.
    wait: Option<u64>,
    needs_proof: bool,
}

/// The person as the form was filled with them.
struct Shown<'a> {
    email: &'a str,
    name: &'a str,
    role: &'a str,
    token_access: &'a str,
}

impl<'a> Shown<'a> {
    fn of(person: &'a Person) -> Self {
        let role = if person.is_admin { "administrator" } else { "user" };
        Self { email: &person.email, name: &person.name, role, token_access: person.token_access.as_str() }
    }
}

#[derive(Default, Deserialize)]
struct Ask {
    done: Option<String>,
}

#[derive(Deserialize)]
struct UserForm {
    #[serde(default)]
    email: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    token_access: String,
    shown_email: Option<String>,
    shown_name: Option<String>,
    shown_role: Option<String>,
    shown_token_access: Option<String>,
    own_password: Option<Zeroizing<String>>,
}

async fn page<'a>(visitor: &AdminVisitor, site: &Site, person: &'a Person) -> PageResult<UserPage<'a>> {
    let holders = site.tokens.holders(&visitor.actor(), Some(person.id)).await?;
    Ok(UserPage {
        frame: visitor.frame(Place::Users),
        problem: None,
        id: person.id,
        shown: shown(&person.name, &person.email),
        email: &person.email,
        name: &person.name,
        is_admin: person.is_admin,
        is_disabled: person.is_disabled,
        must_change: person.force_password_change,
        is_self: person.id == visitor.person.id,
        as_shown: Shown::of(person),
        token_access: person.token_access.as_str(),
        may_use: person.may_use_tokens(),
        active_tokens: holders.tokens,
        session_count: site.sessions.list(person).await?.len(),
        last_login: person.last_login_at.map(When),
        wait: site.sign_in.wait(person).await?,
        needs_proof: visitor.needs_proof(),
    })
}

/// Shows the person's page again, with what was wrong.
pub(super) async fn again(
    visitor: &AdminVisitor,
    site: &Site,
    person: &Person,
    problem: &Problem,
) -> PageResult<Response> {
    show_as(problem.status, &UserPage { problem: Some(&problem.text), ..page(visitor, site, person).await? })
}

async fn look(
    visitor: AdminVisitor,
    State(site): State<Site>,
    Numbered(id): Numbered,
    Asked(ask): Asked<Ask>,
) -> PageResult<Response> {
    let person = site.people.find(&visitor.actor(), id).await?;
    let page = page(&visitor, &site, &person).await?;
    show(&UserPage { frame: page.frame.after(ask.done.as_deref()), ..page })
}

async fn save(
    visitor: AdminVisitor,
    State(site): State<Site>,
    headers: HeaderMap,
    Numbered(id): Numbered,
    Posted(form): Posted<UserForm>,
) -> PageResult<Response> {
    let by = visitor.actor();
    let person = site.people.find(&by, id).await?;
    let own_password = form.own_password.as_ref().map(|password| password.as_str());
    let problem = match prove(&site, &visitor, &headers, own_password).await? {
        Ok(()) => match form.as_change() {
            Ok(change) => match site.people.change(By::Person(&by), by.workspace_id, id, &change).await {
                Ok(_) => return Ok(see_other(&format!("/admin/users/{id}?done=saved"))),
                Err(refusal) => Problem::of(refusal)?,
            },
            Err(problem) => problem,
        },
        Err(problem) => problem,
    };
    let page = UserPage {
        problem: Some(&problem.text),
        email: &form.email,
        name: &form.name,
        is_admin: form.role == "administrator",
        token_access: &form.token_access,
        as_shown: form.as_shown(),
        ..page(&visitor, &site, &person).await?
    };
    show_as(problem.status, &page)
}

impl UserForm {
    fn as_shown(&self) -> Shown<'_> {
        fn text(field: &Option<String>) -> &str {
            field.as_deref().unwrap_or_default()
        }
        Shown {
            email: text(&self.shown_email),
            name: text(&self.shown_name),
            role: text(&self.shown_role),
            token_access: text(&self.shown_token_access),
        }
    }

    /// What was changed in the form, and nothing else: what somebody else has changed since it was shown stays.
    fn as_change(&self) -> Result<Change<'_>, Problem> {
        let is_admin = match self.role.as_str() {
            "administrator" => true,
            "user" => false,
            _ => return Err(Problem::new("Choose one of the roles.")),
        };
        let is_changed = |now: &str, shown: &Option<String>| shown.as_deref() != Some(now);
        // Browsers may send an address in another spelling than they were given.
        let canonical = |text: &str| Email::parse(text).ok();
        let is_same_email =
            canonical(&self.email).is_some_and(|email| Some(email) == self.shown_email.as_deref().and_then(canonical));
        Ok(Change {
            email: (!is_same_email && is_changed(&self.email, &self.shown_email)).then_some(&self.email),
            name: is_changed(&self.name, &self.shown_name).then_some(&self.name),
            is_admin: is_changed(&self.role, &self.shown_role).then_some(is_admin),
            token_access: is_changed(&self.token_access, &self.shown_token_access).then_some(&self.token_access),
            ..Change::default()
        })
    }
}
