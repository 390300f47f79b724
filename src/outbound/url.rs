//! URLs of outbound requests.

use std::{fmt, net::IpAddr};

use reqwest::Url;

use super::{AddressPolicy, AddressRejection};

/// The maximum length of a URL, in bytes.
const MAX_BYTES: usize = 2_048;

/// A URL that may be requested, if its host has an allowed address. `Debug` prints only its host,
/// because the rest may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboundUrl(Url);

/// The reason why a URL can never be requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOutboundUrl {
    #[error("url must be an absolute URL such as https://hooks.example.com/tokenward")]
    Syntax,
    #[error("url must have at most {} bytes", MAX_BYTES)]
    TooLong,
    #[error("url must begin with https:// or http://")]
    Scheme,
    #[error("url must not contain a user name or password; put a secret into the path or the query")]
    UserInfo,
    #[error("url must not contain a fragment, which is never sent")]
    Fragment,
    #[error("url must not have port 0")]
    Port,
    #[error("url cannot be reached from this service: {0}")]
    Address(AddressRejection),
    #[error(
        "url cannot be reached from this service: names in localhost are loopback; the operator can allow such \
         addresses with outbound.allow_private"
    )]
    Localhost,
}

impl OutboundUrl {
    /// Parses a URL, and checks its host as far as possible without a resolver. Other notations of an
    /// address, such as `http://0x7f.1/`, are addresses as well.
    ///
    /// # Errors
    /// [`InvalidOutboundUrl`] if a request to the URL would always fail.
    pub fn parse(text: &str, policy: AddressPolicy) -> Result<Self, InvalidOutboundUrl> {
        if text.len() > MAX_BYTES {
            return Err(InvalidOutboundUrl::TooLong);
        }
        // The parser removes tabs, line ends and outer spaces.
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(InvalidOutboundUrl::Syntax);
        }
        let url = Url::parse(text).map_err(|_| InvalidOutboundUrl::Syntax)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(InvalidOutboundUrl::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidOutboundUrl::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(InvalidOutboundUrl::Fragment);
        }
        if url.port() == Some(0) {
            return Err(InvalidOutboundUrl::Port);
        }
        let url = Self(url);
        url.check_host(policy)?;
        if url.0.as_str().len() > MAX_BYTES { Err(InvalidOutboundUrl::TooLong) } else { Ok(url) }
    }

    fn check_host(&self, policy: AddressPolicy) -> Result<(), InvalidOutboundUrl> {
        if let Some(address) = self.literal_address() {
            return policy.check(address).map_err(InvalidOutboundUrl::Address);
        }
        let host = self.0.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        if host.is_empty() {
            return Err(InvalidOutboundUrl::Syntax);
        }
        let is_localhost = host == "localhost" || host.ends_with(".localhost");
        if is_localhost && !policy.allow_private { Err(InvalidOutboundUrl::Localhost) } else { Ok(()) }
    }

    /// Returns the address of a host that is not a name.
    pub(super) fn literal_address(&self) -> Option<IpAddr> {
        let host = self.0.host_str()?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        host.parse().ok()
    }

    /// Returns the text of the URL, which may contain a secret.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns scheme, host and port, without the parts that may be a secret.
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Returns scheme, host and port of a text that was a URL when it was stored, or an empty text.
    #[must_use]
    pub fn label_of(text: &str) -> String {
        Url::parse(text).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
    }

    pub(super) fn to_url(&self) -> Url {
        self.0.clone()
    }
}

impl fmt::Debug for OutboundUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutboundUrl({})", self.origin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_can_never_be_requested_are_rejected() {
        use InvalidOutboundUrl as E;
        let private = E::Address(AddressRejection::Private);
        let forbidden = E::Address(AddressRejection::NotRoutable);
        for (text, error) in [
            ("hooks.example.com/x", E::Syntax),
            ("", E::Syntax),
            (" https://hooks.example.com/", E::Syntax),
            ("https://hooks.example.com/a\nb", E::Syntax),
            ("https:///x y", E::Syntax),
            ("http://[::1", E::Syntax),
            ("http://./", E::Syntax),
            ("ftp://hooks.example.com/", E::Scheme),
            ("file:///etc/passwd", E::Scheme),
            ("https://ada@hooks.example.com/", E::UserInfo),
            ("https://:secret@hooks.example.com/", E::UserInfo),
            ("https://hooks.example.com/#part", E::Fragment),
            ("https://hooks.example.com:0/", E::Port),
            ("http://127.0.0.1:8080/", private),
            ("http://0x7f.1/", private),
            ("http://2130706433/", private),
            ("http://017700000001/", private),
            ("http://127.0.0.1./", private),
            ("http://[::1]/", private),
            ("http://[::ffff:10.0.0.1]/", private),
            ("http://169.254.169.254/latest/meta-data", forbidden),
            ("http://[fe80::1]/", forbidden),
            ("http://0.0.0.0/", forbidden),
            ("http://[::]/", forbidden),
            ("http://localhost/", E::Localhost),
            ("http://localhost./", E::Localhost),
            ("http://LOCALHOST:3005/", E::Localhost),
            ("https://a.localhost/", E::Localhost),
        ] {
            assert_eq!(OutboundUrl::parse(text, AddressPolicy::default()), Err(error), "{text}");
        }
        let long = format!("https://hooks.example.com/{}", "x".repeat(MAX_BYTES));
        assert_eq!(OutboundUrl::parse(&long, AddressPolicy::default()), Err(E::TooLong));
    }

    #[test]
    fn private_literals_are_accepted_on_demand_and_link_local_ones_never() {
        let policy = AddressPolicy { allow_private: true };
        for text in ["http://127.0.0.1:8080/", "http://[::1]/", "http://localhost/", "http://[fd00::7]/x?y=z"] {
            assert!(OutboundUrl::parse(text, policy).is_ok(), "{text}");
        }
        for text in ["http://169.254.169.254/", "http://[fe80::1]/", "http://[::ffff:169.254.169.254]/"] {
            assert!(OutboundUrl::parse(text, policy).is_err(), "{text}");
        }
    }

    #[test]
    fn debug_output_has_no_path() {
        let url = OutboundUrl::parse("https://hooks.example.com/secret?key=1", AddressPolicy::default()).unwrap();
        assert_eq!(format!("{url:?}"), "OutboundUrl(https://hooks.example.com)");
    }
}
