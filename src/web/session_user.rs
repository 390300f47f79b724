//! Who looks at a page, as parameters of handlers: reading the signature is reading the policy. The session's cookie alone
//! decides; an `Authorization` header is not read.

use axum::{
    extract::{FromRef as _, FromRequestParts},
    http::{HeaderMap, Uri, header::REFERER, request::Parts, uri::PathAndQuery},
};

use super::{cookie::Cookies, error::PageError, response_cookies::Outbox, state::Site};
use crate::{
    http::authenticate::note_in_log,
    service::{Refusal, Sessions, sessions::Visit},
};

/// Anybody signed in.
pub(super) struct Visitor {
    visit: Visit,
    /// Where a new cookie goes.
    pub outbox: Outbox,
}

/// An administrator of the own workspace.
pub(super) struct AdminVisitor(pub Visitor);

/// Whoever manages the service's workspaces.
pub(super) struct PlatformVisitor(pub Visitor);

/// Anybody signed in, also those who must change their password first.
pub(super) struct AnyVisitor(pub Visitor);

impl Visitor {
    /// Whether an act of weight must ask for the password: not if it was typed with this very request.
    pub(super) fn needs_proof(&self) -> bool {
        self.visit.needs_proof && self.outbox.is_empty()
    }
}

impl std::ops::Deref for Visitor {
    type Target = Visit;

    fn deref(&self) -> &Visit {
        &self.visit
    }
}

impl std::ops::Deref for AdminVisitor {
    type Target = Visitor;

    fn deref(&self) -> &Visitor {
        &self.0
    }
}

impl std::ops::Deref for PlatformVisitor {
    type Target = Visitor;

    fn deref(&self) -> &Visitor {
        &self.0
    }
}

impl FromRequestParts<Site> for AnyVisitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, PageError> {
        let signed_out = || {
            let was_form = !parts.method.is_safe();
            // A form cannot be sent by coming back to where it was sent; it can where it was filled in.
            let path = if was_form { form_page(&parts.headers) } else { parts.uri.path_and_query().cloned() };
            PageError::SignedOut { back_to: path.map(|path| path.as_str().to_owned()), was_form }
        };
        let value = Cookies::from_ref(site).read(&parts.headers).ok_or_else(signed_out)?;
        let visit = Sessions::from_ref(site).find(&value).await?.ok_or_else(signed_out)?;
        note_in_log(&visit.actor());
        let outbox = parts.extensions.get::<Outbox>().cloned().unwrap_or_default();
        Ok(Self(Visitor { visit, outbox }))
    }
}

/// The path of the page that a form was on.
fn form_page(headers: &HeaderMap) -> Option<PathAndQuery> {
    let page: Uri = headers.get(REFERER)?.to_str().ok()?.parse().ok()?;
    page.into_parts().path_and_query
}

impl FromRequestParts<Site> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, PageError> {
        let AnyVisitor(visitor) = AnyVisitor::from_request_parts(parts, site).await?;
        if visitor.person.force_password_change {
            return Err(PageError::PasswordChangeRequired);
        }
        Ok(visitor)
    }
}

impl FromRequestParts<Site> for AdminVisitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, PageError> {
        let visitor = Visitor::from_request_parts(parts, site).await?;
        if visitor.person.is_admin { Ok(Self(visitor)) } else { Err(Refusal::NotAdministrator.into()) }
    }
}

impl FromRequestParts<Site> for PlatformVisitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, PageError> {
        let visitor = Visitor::from_request_parts(parts, site).await?;
        if visitor.person.manages_workspaces() {
            Ok(Self(visitor))
        } else {
            Err(Refusal::NotPlatformAdministrator.into())
        }
    }
}
