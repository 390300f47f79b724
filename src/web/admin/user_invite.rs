//! The page on which an administrator creates an invite link for a person, and the page that shows the
//! link once.

use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};

use crate::{
    domain::{
        id::{PersonId, WorkspaceId},
        person::Person,
    },
    service::{invites::InviteLink, people::ActorKind},
    web::{
        error::{PageError, PageResult},
        extract::{IdPath, PageForm},
        form_error::FormError,
        format::{DisplayTime, display_name},
        layout::{Layout, NavItem, render, render_form},
        reauth::{Reauth, require_recent_password},
        session_user::AdminUser,
        state::WebState,
        tokens::ReauthForm,
    },
};

pub(super) fn routes() -> Router<WebState> {
    Router::new().route("/admin/users/{id}/invite", get(show_form).post(create))
}

#[derive(Template)]
#[template(path = "admin/user_invite.html")]
struct UserInvitePage<'a> {
    layout: Layout,
    error: Option<&'a FormError>,
    id: PersonId,
    display_name: &'a str,
    email: &'a str,
    has_password: bool,
    reauth: Reauth,
}

/// The page with a new link. Only the response to the form contains it.
#[derive(Template)]
#[template(path = "admin/invite_link.html")]
struct InviteLinkPage<'a> {
    layout: Layout,
    id: PersonId,
    display_name: &'a str,
    email: &'a str,
    url: &'a str,
    expires: DisplayTime,
    reaches_other_machines: bool,
}

/// Shows a new link.
pub(super) fn show_link(
    user: &AdminUser,
    state: &WebState,
    (person, link): &(Person, InviteLink),
) -> PageResult<Response> {
    render(&InviteLinkPage {
        layout: user.layout(NavItem::Users),
        id: person.id,
        display_name: display_name(&person.name, &person.email),
        email: &person.email,
        url: &link.url,
        expires: DisplayTime(link.expires_at),
        reaches_other_machines: state.invites.reaches_other_machines(),
    })
}

/// Rejects the administrator's own account, whose password the profile page changes.
fn ensure_other_person(user: &AdminUser, id: PersonId) -> PageResult<()> {
    if user.person.id == id { Err(PageError::Redirect("/preferences/profile")) } else { Ok(()) }
}

async fn show_form(
    user: AdminUser,
    State(state): State<WebState>,
    IdPath(id): IdPath<PersonId>,
) -> PageResult<Response> {
    ensure_other_person(&user, id)?;
    page(&user, &state, id, None).await
}

async fn page(user: &AdminUser, state: &WebState, id: PersonId, error: Option<&FormError>) -> PageResult<Response> {
    let person = state.people.find(&user.actor(), id).await?;
    let page = UserInvitePage {
        layout: user.layout(NavItem::Users),
        error,
        id,
        display_name: display_name(&person.name, &person.email),
        email: &person.email,
        has_password: person.has_password,
        reauth: user.reauth(),
    };
    render_form(&page, error)
}

/// Creates the link. Sending the form again creates another one, which voids the first.
async fn create(
    user: AdminUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    IdPath(id): IdPath<PersonId>,
    PageForm(form): PageForm<ReauthForm>,
) -> PageResult<Response> {
    ensure_other_person(&user, id)?;
    let actor = user.actor();
    let error = match require_recent_password(&state, &user, &headers, form.password()).await? {
        Ok(()) => match state.invites.create(ActorKind::Person(&actor), WorkspaceId::of(&actor), id).await {
            Ok(created) => return show_link(&user, &state, &created),
            Err(error) => FormError::from_error(error)?,
        },
        Err(error) => error,
    };
    page(&user, &state, id, Some(&error)).await
}
