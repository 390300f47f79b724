//! The state of the page handlers.

use std::sync::Arc;

use axum::{extract::FromRef, http::HeaderMap};

use utoipa::openapi::OpenApi;

use super::{
    cookie::{Cookies, Transport},
    reference::model::ApiReference,
};
use crate::{
    app::App,
    config::Config,
    service::{
        DeviceAuthorizations, Events, Identities, Invites, Mail, People, Sessions, SignIn, Tokens, Webhooks, Workspaces,
    },
};

/// The services and settings that page handlers use. Cheap to clone.
#[derive(Clone, FromRef)]
pub(super) struct WebState {
    pub tokens: Tokens,
    pub device_authorizations: DeviceAuthorizations,
    pub people: People,
    pub workspaces: Workspaces,
    pub sign_in: SignIn,
    pub sessions: Sessions,
    pub invites: Invites,
    pub identities: Identities,
    pub events: Events,
    pub webhooks: Webhooks,
    pub mail: Mail,
    pub cookies: Cookies,
    pub public_url: PublicUrl,
    pub reference: ApiReference,
    /// The minimum length of a new password in characters.
    #[from_ref(skip)]
    pub min_password_length: usize,
    /// Generating a token requires the password if it was entered some time ago.
    #[from_ref(skip)]
    pub reauth_for_tokens: bool,
    /// The names of the directories whose passwords are accepted.
    #[from_ref(skip)]
    pub providers: Arc<[String]>,
    /// The names of the providers to which browsers are redirected.
    #[from_ref(skip)]
    pub redirects: Arc<[String]>,
}

/// The public URL of the service.
#[derive(Clone, Debug)]
pub(super) struct PublicUrl(String);

impl WebState {
    pub(super) fn new(app: &App, config: &Config, document: &'static OpenApi) -> Self {
        let public_url = config.public_url();
        Self {
            tokens: app.tokens().clone(),
            device_authorizations: app.device_authorizations().clone(),
            people: app.people().clone(),
            workspaces: app.workspaces().clone(),
            sign_in: app.sign_in().clone(),
            sessions: app.sessions().clone(),
            invites: app.invites().clone(),
            identities: app.identities().clone(),
            events: app.events().clone(),
            webhooks: app.webhooks().clone(),
            mail: app.mail().clone(),
            cookies: Cookies::new(public_url.starts_with("https://")),
            reference: ApiReference::new(document, &public_url),
            public_url: PublicUrl(public_url),
            min_password_length: config.passwords.min_length,
            reauth_for_tokens: config.sessions.reauth_for_tokens,
            providers: app.directory_syncs().directories().names().into(),
            redirects: app.sign_in().providers().names().into(),
        }
    }
}

impl WebState {
    /// Returns the transport of a request.
    pub(super) fn transport(&self, headers: &HeaderMap) -> Transport {
        let host = self.public_url.origin().strip_prefix("https://");
        self.cookies.transport(headers, host)
    }
}

impl PublicUrl {
    /// Returns scheme, host and port, in the form of an `Origin` header.
    pub(super) fn origin(&self) -> &str {
        let host = self.0.find("://").map_or(0, |index| index + 3);
        self.0[host..].find('/').map_or(self.0.as_str(), |path| &self.0[..host + path])
    }

    /// Returns the URL of the service for commands that users copy. `origin` is the browser's, if known.
    pub(super) fn for_origin(&self, origin: Option<&str>) -> String {
        let origin = origin.filter(|origin| origin.starts_with("http://") || origin.starts_with("https://"));
        match origin {
            // The path of the public URL belongs to its origin only: a proxy serves this service below it.
            Some(origin) if origin != self.origin() => origin.to_owned(),
            _ => self.0.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_url_is_split_into_origin_and_path() {
        for (url, origin) in [
            ("https://tokens.example.com", "https://tokens.example.com"),
            ("https://example.com:8443/tokens/x", "https://example.com:8443"),
        ] {
            assert_eq!(PublicUrl(url.to_owned()).origin(), origin);
        }
        let public_url = PublicUrl("https://example.com/tokens".to_owned());
        assert_eq!(public_url.for_origin(Some("https://example.com")), "https://example.com/tokens");
        assert_eq!(public_url.for_origin(Some("http://127.0.0.1:4000")), "http://127.0.0.1:4000");
        assert_eq!(public_url.for_origin(Some("null")), "https://example.com/tokens");
    }
}
