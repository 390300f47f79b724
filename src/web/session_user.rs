//! Extractors for the signed-in user. The signature of a handler states which users may call it.
//!
//! Only the session cookie authenticates. The `Authorization` header is ignored.

use axum::{
    extract::{FromRef as _, FromRequestParts},
    http::{HeaderMap, Uri, header::REFERER, request::Parts, uri::PathAndQuery},
};

use super::{
    cookie::Cookies, error::PageError, reauth_method::Reauth, response_cookies::ResponseCookies, state::WebState,
};
use crate::{
    domain::{event::RequestContext, id::PersonId},
    http::authenticate::record_principal,
    service::{Actor, Error, Sessions, sessions::ActiveSession, tokens::NextExpiry},
};

/// A signed-in user.
pub(super) struct SessionUser {
    active_session: ActiveSession,
    /// The context of the request, for the audit log and rate limits.
    pub request: RequestContext,
    /// The cookies of the response.
    pub cookies: ResponseCookies,
    /// The user's token that expires next, if it does so soon.
    pub next_expiry: Option<NextExpiry>,
    /// The provider at which the user confirms, instead of entering a password.
    confirms_at: Option<String>,
    /// The path of the page: the requested one, or that of the form.
    page: String,
}

/// An administrator of their workspace.
pub(super) struct AdminUser(pub SessionUser);

/// A platform administrator, who manages the workspaces of the service.
pub(super) struct PlatformAdminUser(pub SessionUser);

/// The person of the session, for extractors that follow the user's.
#[derive(Clone, Copy)]
pub(super) struct SignedInPerson(pub PersonId);

/// A signed-in user, possibly one who must change the password first.
pub(super) struct SessionUserAny(pub SessionUser);

impl SessionUser {
    /// Returns the user as the caller of services.
    pub(super) fn actor(&self) -> Actor {
        self.active_session.actor(self.request.clone())
    }

    /// Returns what a sensitive operation requires: nothing, if the password was verified in this request.
    pub(super) fn reauth(&self) -> Reauth {
        if !(self.active_session.needs_reauth && self.cookies.is_session_unchanged()) {
            return Reauth::None;
        }
        let Some(name) = &self.confirms_at else { return Reauth::Password };
        let next: String = form_urlencoded::byte_serialize(self.page.as_bytes()).collect();
        Reauth::Provider { name: name.clone(), path: format!("/sign-in/{name}/confirm?next={next}") }
    }

    /// Returns what an operation requires that is sensitive under a condition.
    pub(super) fn reauth_if(&self, is_sensitive: bool) -> Reauth {
        if is_sensitive { self.reauth() } else { Reauth::None }
    }
}

impl std::ops::Deref for SessionUser {
    type Target = ActiveSession;

    fn deref(&self) -> &ActiveSession {
        &self.active_session
    }
}

impl std::ops::Deref for AdminUser {
    type Target = SessionUser;

    fn deref(&self) -> &SessionUser {
        &self.0
    }
}

impl std::ops::Deref for PlatformAdminUser {
    type Target = SessionUser;

    fn deref(&self) -> &SessionUser {
        &self.0
    }
}

impl FromRequestParts<WebState> for SessionUserAny {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, PageError> {
        let was_post = !parts.method.is_safe();
        // Return to the page that contains the form: its target may not respond to GET.
        let page = if was_post { referring_page(&parts.headers) } else { parts.uri.path_and_query().cloned() };
        let page = page.map(|path| path.as_str().to_owned());
        let signed_out = || PageError::SignedOut { return_to: page.clone(), was_post };
        let value = Cookies::from_ref(state).read_session(&parts.headers).ok_or_else(signed_out)?;
        let request = parts.extensions.get::<RequestContext>().cloned().unwrap_or_default();
        let found = Sessions::from_ref(state).find(&value, request.client_ip).await?;
        let active_session = found.ok_or_else(signed_out)?;
        parts.extensions.insert(SignedInPerson(active_session.person.id));
        let cookies = parts.extensions.get::<ResponseCookies>().cloned().unwrap_or_default();
        let confirms_at = active_session.session.provider.clone().filter(|name| state.redirects.contains(name));
        let page = page.unwrap_or_default();
        let mut user = SessionUser { active_session, request, cookies, next_expiry: None, confirms_at, page };
        let actor = user.actor();
        record_principal(&actor);
        if parts.method.is_safe() {
            user.next_expiry = state.tokens.find_next_expiry(&actor).await?;
        }
        Ok(Self(user))
    }
}

/// Returns the path of the page that contained a submitted form.
pub(super) fn referring_page(headers: &HeaderMap) -> Option<PathAndQuery> {
    let page: Uri = headers.get(REFERER)?.to_str().ok()?.parse().ok()?;
    page.into_parts().path_and_query
}

impl FromRequestParts<WebState> for SessionUser {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, PageError> {
        let SessionUserAny(user) = SessionUserAny::from_request_parts(parts, state).await?;
        if user.person.force_password_change {
            return Err(PageError::PasswordChangeRequired);
        }
        Ok(user)
    }
}

impl FromRequestParts<WebState> for AdminUser {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, PageError> {
        let user = SessionUser::from_request_parts(parts, state).await?;
        if user.person.is_admin { Ok(Self(user)) } else { Err(Error::NotAdministrator.into()) }
    }
}

impl FromRequestParts<WebState> for PlatformAdminUser {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, PageError> {
        let user = SessionUser::from_request_parts(parts, state).await?;
        if user.person.can_manage_workspaces() { Ok(Self(user)) } else { Err(Error::NotPlatformAdministrator.into()) }
    }
}
