//! The profile page: a person's own name, password and web sessions.

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
    draft::Draft,
    error::{PageResult, see_other},
    extract::{LenientQuery, PageForm, UuidPath, is_checked},
    form_error::FormError,
    format::DisplayTime,
    layout::{Layout, NavItem, render, render_with_status},
    password::{PasswordForm, change_password},
    session_user::SessionUser,
    state::WebState,
    user_agent::browser_name,
};
use crate::{
    domain::{
        id::{PersonId, WorkspaceId},
        session::Session,
    },
    service::people::{ActorKind, UpdatePerson},
};

/// The number of sessions that the page lists, unless all are requested.
const LISTED_SESSIONS: usize = 5;

struct SessionRow {
    id: Uuid,
    browser: String,
    /// The client address of the sign-in.
    address: Option<String>,
    /// The client address of the last use, if it differs.
    last_address: Option<String>,
    created: DisplayTime,
    last_seen: DisplayTime,
    is_current: bool,
}

#[derive(Template)]
#[template(path = "profile.html")]
struct ProfilePage<'a> {
    layout: Layout,
    error: Option<&'a FormError>,
    password_error: Option<&'a FormError>,
    is_password_changed: bool,
    /// The switch of e-mail about tokens that expire soon; `None`: the service sends no e-mail.
    notify_on_expiry: Option<bool>,
    name: &'a str,
    email: &'a str,
    user_id: PersonId,
    min_chars: usize,
    /// The identity provider that has the password; `None`: this service has it.
    provider: Option<&'a str>,
    /// The provider is a directory, whose password the API accepts.
    has_directory_password: bool,
    /// The login at the provider.
    principal: &'a str,
    /// The providers that the user can link.
    linkable: Vec<String>,
    sessions: Vec<SessionRow>,
    /// The number of all sessions.
    session_count: usize,
}

#[derive(Default, Deserialize)]
struct ProfileQuery {
    done: Option<String>,
    /// `all` lists all sessions.
    sessions: Option<String>,
}

#[derive(Deserialize)]
struct NameForm {
    #[serde(default)]
    name: String,
    /// The form has the checkbox below.
    has_notifications: Option<String>,
    notify_on_expiry: Option<String>,
}

pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route("/preferences/profile", get(show).post(rename))
        .route("/preferences/profile/password", get(async || see_other("/preferences/profile")).post(submit_password))
        .route("/preferences/profile/sessions/end-others", post(end_other_sessions))
        .route("/preferences/profile/sessions/{id}/end", post(end_session))
}

async fn page<'a>(user: &'a SessionUser, state: &WebState) -> PageResult<ProfilePage<'a>> {
    let mut sessions = state.sessions.list(&user.person).await?;
    // The sort is stable: the others stay in the order of their last use.
    sessions.sort_by_key(|session| session.id != user.session.id);
    let row = |session: Session| SessionRow {
        is_current: session.id == user.session.id,
        last_address: session.last_address.filter(|address| session.address.as_ref() != Some(address)),
        address: session.address,
        id: session.id,
        browser: browser_name(&session.user_agent),
        created: DisplayTime(session.created_at),
        last_seen: DisplayTime(session.last_seen_at),
    };
    let provider = user.person.provider.as_deref().filter(|_| !user.person.has_password);
    let can_link = user.person.provider.is_none() && user.person.has_password;
    Ok(ProfilePage {
        layout: user.layout(NavItem::Profile),
        error: None,
        password_error: None,
        is_password_changed: false,
        notify_on_expiry: state.mail.is_on().then_some(user.person.notify_on_expiry),
        name: &user.person.name,
        email: &user.person.email,
        user_id: user.person.id,
        min_chars: state.min_password_length,
        provider,
        has_directory_password: provider.is_some_and(|name| state.sign_in.providers().find(name).is_none()),
        linkable: if can_link { state.sign_in.providers().names() } else { Vec::new() },
        principal: user.person.sso_principal.as_deref().unwrap_or_default(),
        session_count: sessions.len(),
        sessions: sessions.into_iter().map(row).collect(),
    })
}

async fn show(
    user: SessionUser,
    State(state): State<WebState>,
    draft: Draft,
    LenientQuery(query): LenientQuery<ProfileQuery>,
) -> PageResult<Response> {
    let mut page = page(&user, &state).await?;
    if query.sessions.as_deref() != Some("all") {
        page.sessions.truncate(LISTED_SESSIONS);
    }
    let is_password_changed = query.done.as_deref() == Some("password");
    let restored = draft.form::<NameForm>().filter(|form| !form.name.is_empty());
    let layout = page.layout.with_notice(query.done.as_deref()).with_restored_text(restored.is_some());
    let name = restored.as_ref().map_or(page.name, |form| form.name.as_str());
    render(&ProfilePage { layout, is_password_changed, name, ..page })
}

async fn rename(
    user: SessionUser,
    State(state): State<WebState>,
    PageForm(form): PageForm<NameForm>,
) -> PageResult<Response> {
    let actor = user.actor();
    // A form of a service without e-mail has no checkbox, and leaves the choice as it is.
    let notify_on_expiry =
        is_checked(form.has_notifications.as_ref()).then(|| is_checked(form.notify_on_expiry.as_ref()));
    let change = UpdatePerson { name: Some(&form.name), notify_on_expiry, ..UpdatePerson::default() };
    match state.people.update(ActorKind::Person(&actor), WorkspaceId::of(&actor), PersonId::of(&actor), &change).await {
        Ok(_) => Ok(see_other("/preferences/profile?done=saved")),
        Err(error) => {
            let error = FormError::from_error(error)?;
            render_with_status(error.status, &ProfilePage { error: Some(&error), ..page(&user, &state).await? })
        }
    }
}

async fn submit_password(
    user: SessionUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    PageForm(form): PageForm<PasswordForm>,
) -> PageResult<Response> {
    match change_password(&state, &user, &headers, &form).await? {
        Ok(()) => Ok(see_other("/preferences/profile?done=password")),
        Err(error) => {
            let page = page(&user, &state).await?;
            render_with_status(error.status, &ProfilePage { password_error: Some(&error), ..page })
        }
    }
}

async fn end_session(user: SessionUser, State(state): State<WebState>, UuidPath(id): UuidPath) -> PageResult<Response> {
    state.sessions.end(&user.actor(), id).await?;
    Ok(see_other("/preferences/profile?done=ended"))
}

async fn end_other_sessions(user: SessionUser, State(state): State<WebState>) -> PageResult<Response> {
    state.sessions.end_others(&user.actor(), user.session.id).await?;
    Ok(see_other("/preferences/profile?done=others-ended"))
}
