//! The URL of the service that `tokenward login` uses.

use std::{fmt, str::FromStr};

use reqwest::Url;

/// The URL of a service or of its page: `https`, or `http` on this machine.
#[derive(Clone, Debug)]
pub(super) struct ServiceUrl {
    url: Url,
    is_loopback: bool,
}

impl ServiceUrl {
    /// Returns the URL of an endpoint below the service.
    pub(super) fn endpoint(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}{path}"));
        url
    }

    /// Returns the host.
    pub(super) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Returns whether the service is on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        self.is_loopback
    }
}

impl FromStr for ServiceUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = |why: &str| format!("{why}; expected a URL such as https://tokens.example.com");
        let url = Url::parse(text).map_err(|error| expected(&error.to_string()))?;
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        let is_loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        match url.scheme() {
            "https" => {}
            "http" if is_loopback => {}
            "http" => return Err(expected("http would send the token in plain text")),
            scheme => return Err(expected(&format!("the scheme is {scheme}"))),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(expected("the URL has a user name or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(expected("the URL has a query or a fragment"));
        }
        Ok(Self { url, is_loopback })
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_and_http_of_this_machine_are_accepted() {
        for (text, endpoint) in [
            ("https://tokens.example.com", "https://tokens.example.com/oauth2/token"),
            ("https://example.com:8443/tokens/", "https://example.com:8443/tokens/oauth2/token"),
            ("http://127.0.0.1:3005", "http://127.0.0.1:3005/oauth2/token"),
            ("http://localhost", "http://localhost/oauth2/token"),
            ("http://[::1]:3005/", "http://[::1]:3005/oauth2/token"),
        ] {
            let url: ServiceUrl = text.parse().unwrap();
            assert_eq!(url.endpoint("/oauth2/token").as_str(), endpoint);
        }
    }

    #[test]
    fn other_urls_are_rejected_with_the_reason() {
        for (text, reason) in [
            ("http://tokens.example.com", "plain text"),
            ("http://127.0.0.1.example.com", "plain text"),
            ("http://localhost.example.com", "plain text"),
            ("http://10.0.0.1", "plain text"),
            ("ftp://127.0.0.1", "the scheme is ftp"),
            ("tokens.example.com", "expected a URL"),
            ("https://user:secret@example.com", "user name"),
            ("https://example.com/?a=b", "query"),
            ("https://example.com/#a", "fragment"),
        ] {
            let error = text.parse::<ServiceUrl>().unwrap_err();
            assert!(error.contains(reason) && !error.contains("secret"), "{text}: {error}");
        }
    }
}
