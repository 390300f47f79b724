//! What the pages' handlers see.

use axum::{extract::FromRef, http::HeaderMap};

use super::cookie::{Cookies, Way};
use crate::{
    app::App,
    config::Config,
    service::{Events, People, Sessions, SignIn, Tokens, Workspaces},
};

/// The services that pages call, and where the pages are. Cheap to clone.
#[derive(Clone, FromRef)]
pub(super) struct Site {
    pub tokens: Tokens,
    pub people: People,
    pub workspaces: Workspaces,
    pub sign_in: SignIn,
    pub sessions: Sessions,
    pub events: Events,
    pub cookies: Cookies,
    pub address: Address,
    pub passwords: PasswordLength,
}

/// The URL by which others know the service.
#[derive(Clone, Debug)]
pub(super) struct Address(String);

/// The fewest characters of a new password.
#[derive(Clone, Copy, Debug)]
pub(super) struct PasswordLength(pub usize);

impl Site {
    pub(super) fn new(app: &App, config: &Config) -> Self {
        let issuer = config.delegate.issuer();
        Self {
            tokens: app.tokens().clone(),
            people: app.people().clone(),
            workspaces: app.workspaces().clone(),
            sign_in: app.sign_in().clone(),
            sessions: app.sessions().clone(),
            events: app.events().clone(),
            cookies: Cookies::new(issuer.starts_with("https://")),
            address: Address(issuer.to_owned()),
            passwords: PasswordLength(config.passwords.min_length),
        }
    }
}

impl Site {
    /// How a browser reached us.
    pub(super) fn way(&self, headers: &HeaderMap) -> Way {
        let host = self.address.origin().strip_prefix("https://");
        self.cookies.way(headers, host)
    }
}

impl Address {
    /// Scheme, host and port, as browsers write an origin.
    pub(super) fn origin(&self) -> &str {
        let host = self.0.find("://").map_or(0, |at| at + 3);
        self.0[host..].find('/').map_or(self.0.as_str(), |path| &self.0[..host + path])
    }

    /// The service's URL, for a command that somebody copies: the one that the browser is at, where that is known.
    pub(super) fn seen_from(&self, origin: Option<&str>) -> String {
        let known = origin.filter(|origin| origin.starts_with("http://") || origin.starts_with("https://"));
        match known {
            // A path in the configured URL is where a proxy has put the service.
            Some(origin) if origin != self.origin() => origin.to_owned(),
            _ => self.0.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_knows_its_origin() {
        for (url, origin) in [
            ("https://tokens.example.com", "https://tokens.example.com"),
            ("https://example.com:8443/tokens/x", "https://example.com:8443"),
        ] {
            assert_eq!(Address(url.to_owned()).origin(), origin);
        }
        let address = Address("https://example.com/tokens".to_owned());
        assert_eq!(address.seen_from(Some("https://example.com")), "https://example.com/tokens");
        assert_eq!(address.seen_from(Some("http://127.0.0.1:4000")), "http://127.0.0.1:4000");
        assert_eq!(address.seen_from(Some("null")), "https://example.com/tokens");
    }
}
