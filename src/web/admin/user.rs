//! The page on which an administrator edits a person of the workspace.

use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    role::{RoleChoice, parse_role, role_label, role_value},
    users::token_access_label,
};
use crate::{
    domain::{
        id::{PersonId, WorkspaceId},
        person::{Email, Person, Role},
    },
    service::{
        Actor,
        people::{ActorKind, People, UpdatePerson},
    },
    web::{
        draft::Draft,
        error::{PageResult, see_other},
        extract::{IdPath, LenientQuery, PageForm},
        form_error::FormError,
        format::{DisplayTime, InviteStatus, display_name},
        layout::{Layout, NavItem, render, render_with_status},
        reauth::{Reauth, require_recent_password},
        session_user::AdminUser,
        state::WebState,
    },
};

pub(super) fn routes() -> Router<WebState> {
    Router::new().route("/admin/users/{id}", get(show).post(save))
}

#[derive(Template)]
#[template(path = "admin/user.html")]
struct UserPage<'a> {
    layout: Layout,
    error: Option<&'a FormError>,
    id: PersonId,
    display_name: &'a str,
    email: &'a str,
    name: &'a str,
    role: &'a str,
    role_label: &'static str,
    roles: Vec<RoleChoice>,
    /// The user may not change the account, because only platform administrators may.
    is_protected: bool,
    is_disabled: bool,
    must_change_password: bool,
    has_password: bool,
    /// The external identity through which the person signs in.
    identity: Option<IdentityFacts>,
    /// The party outside the service that disabled the account.
    disabled_by: Option<&'static str>,
    invite: InviteStatus,
    is_self: bool,
    /// The initial values of the form fields.
    initial: InitialValues<'a>,
    token_access: &'a str,
    token_access_label: &'static str,
    /// The account allows the use of tokens. The workspace may still have them switched off.
    can_use_tokens: bool,
    active_tokens: i64,
    /// The time from which the tokens do not authenticate without a new sign-in.
    pauses_at: Option<DisplayTime>,
    session_count: usize,
    /// The last sign-in on a page.
    last_sign_in: Option<DisplayTime>,
    /// The last use of the password, on a page or by the API.
    last_login: Option<DisplayTime>,
    /// Seconds until the next sign-in attempt is allowed.
    sign_in_wait: Option<u64>,
    reauth: Reauth,
}

/// The account of the person at an identity provider.
struct IdentityFacts {
    provider: String,
    principal: String,
    /// When a sync last found the entry.
    seen: Option<DisplayTime>,
}

impl IdentityFacts {
    async fn find(state: &WebState, person: &Person) -> PageResult<Option<Self>> {
        if person.provider.is_none() {
            return Ok(None);
        }
        let identity = state.identities.list(person).await?.into_iter().next();
        Ok(identity.map(|identity| Self {
            provider: identity.provider,
            principal: identity.label,
            seen: identity.seen_at.map(DisplayTime),
        }))
    }
}

/// The initial values of the form fields, which are submitted with the form.
struct InitialValues<'a> {
    email: &'a str,
    name: &'a str,
    role: &'a str,
    token_access: &'a str,
}

impl<'a> InitialValues<'a> {
    fn from_person(person: &'a Person) -> Self {
        let role = role_value(person.role());
        Self { email: &person.email, name: &person.name, role, token_access: person.token_access.as_str() }
    }
}

#[derive(Default, Deserialize)]
struct UserPageQuery {
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

async fn page<'a>(user: &AdminUser, state: &WebState, person: &'a Person) -> PageResult<UserPage<'a>> {
    let counts = state.tokens.count_holders(&user.actor(), Some(person.id)).await?;
    Ok(UserPage {
        layout: user.layout(NavItem::Users),
        error: None,
        id: person.id,
        display_name: display_name(&person.name, &person.email),
        email: &person.email,
        name: &person.name,
        role: role_value(person.role()),
        role_label: role_label(person.role()),
        roles: RoleChoice::list(user, person),
        is_protected: People::ensure_administrable(&user.actor(), person).is_err(),
        is_disabled: person.is_disabled,
        must_change_password: person.force_password_change,
        has_password: person.has_password,
        identity: IdentityFacts::find(state, person).await?,
        disabled_by: person.disabled_by.outside_party(),
        invite: state.invites.state_of(person).await?.into(),
        is_self: person.id == user.person.id,
        initial: InitialValues::from_person(person),
        token_access: person.token_access.as_str(),
        token_access_label: token_access_label(person.token_access),
        can_use_tokens: person.can_use_tokens(),
        active_tokens: counts.tokens,
        pauses_at: state.tokens.pause_of(person).await?.map(|pause| DisplayTime(pause.at)),
        session_count: state.sessions.list(person).await?.len(),
        last_sign_in: person.last_sign_in_at.map(DisplayTime),
        last_login: person.last_login_at.map(DisplayTime),
        sign_in_wait: state.sign_in.retry_after(person).await?,
        reauth: user.reauth(),
    })
}

/// Shows the person's page with an error.
pub(super) async fn show_with_error(
    user: &AdminUser,
    state: &WebState,
    person: &Person,
    error: &FormError,
) -> PageResult<Response> {
    render_with_status(error.status, &UserPage { error: Some(error), ..page(user, state, person).await? })
}

async fn show(
    user: AdminUser,
    State(state): State<WebState>,
    IdPath(id): IdPath<PersonId>,
    draft: Draft,
    LenientQuery(query): LenientQuery<UserPageQuery>,
) -> PageResult<Response> {
    let person = state.people.find(&user.actor(), id).await?;
    if person.is_service_account() {
        return Ok(see_other(&format!("/admin/service-accounts/{id}")));
    }
    let page = page(&user, &state, &person).await?;
    let layout = user.layout(NavItem::Users).with_notice(query.done.as_deref());
    match draft.form::<UserForm>() {
        Some(form) => render(&UserPage {
            layout: layout.with_restored_text(true),
            email: &form.email,
            name: &form.name,
            role: &form.role,
            token_access: &form.token_access,
            ..page
        }),
        None => render(&UserPage { layout, ..page }),
    }
}

async fn save(
    user: AdminUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    IdPath(id): IdPath<PersonId>,
    PageForm(form): PageForm<UserForm>,
) -> PageResult<Response> {
    let actor = user.actor();
    let person = state.people.find(&actor, id).await?;
    let own_password = form.own_password.as_ref().map(|password| password.as_str());
    let error = match require_recent_password(&state, &user, &headers, own_password).await? {
        Ok(()) => match form.changes(&actor, &person)? {
            Ok(changes) => {
                match state.people.update(ActorKind::Person(&actor), WorkspaceId::of(&actor), id, &changes).await {
                    Ok(_) => return Ok(see_other(&format!("/admin/users/{id}?done=saved"))),
                    Err(error) => FormError::from_error(error)?,
                }
            }
            Err(error) => error,
        },
        Err(error) => error,
    };
    let page = UserPage {
        error: Some(&error),
        email: &form.email,
        name: &form.name,
        role: &form.role,
        token_access: &form.token_access,
        initial: form.initial_values(),
        ..page(&user, &state, &person).await?
    };
    render_with_status(error.status, &page)
}

impl UserForm {
    fn initial_values(&self) -> InitialValues<'_> {
        fn text(field: &Option<String>) -> &str {
            field.as_deref().unwrap_or_default()
        }
        InitialValues {
            email: text(&self.shown_email),
            name: text(&self.shown_name),
            role: text(&self.shown_role),
            token_access: text(&self.shown_token_access),
        }
    }

    /// Returns only the fields that the administrator edited, so that concurrent changes of other
    /// fields persist.
    ///
    /// # Errors
    /// The inner error is shown in the form.
    fn changes(&self, actor: &Actor, person: &Person) -> PageResult<Result<UpdatePerson<'_>, FormError>> {
        if let Err(error) = People::ensure_administrable(actor, person) {
            return Ok(Err(FormError::from_error(error)?));
        }
        let role = match parse_role(&self.role, person) {
            Ok(role) => role,
            Err(error) => return Ok(Err(error)),
        };
        let is_admin = role != Role::Member;
        let is_changed = |current: &str, initial: &Option<String>| initial.as_deref() != Some(current);
        // Browsers may send the address in another spelling than the initial one.
        let canonical = |text: &str| Email::parse(text).ok();
        let is_same_email =
            canonical(&self.email).is_some_and(|email| Some(email) == self.shown_email.as_deref().and_then(canonical));
        Ok(Ok(UpdatePerson {
            email: (!is_same_email && is_changed(&self.email, &self.shown_email)).then_some(&self.email),
            name: is_changed(&self.name, &self.shown_name).then_some(&self.name),
            is_admin: is_changed(&self.role, &self.shown_role).then_some(is_admin),
            token_access: is_changed(&self.token_access, &self.shown_token_access).then_some(&self.token_access),
            ..UpdatePerson::default()
        }))
    }
}
