//! The channels through which passwords are sent.

use crate::domain::source::DeviceValue;

/// The channel through which a password was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginChannel<'a> {
    /// An API request. An event records the login.
    Request,
    /// An auth check, which accepts local passwords only. An event records the login.
    AuthCheck,
    /// A request of an OAuth 2.0 client, which may have form-encoded its password (RFC 6749,
    /// section 2.3.1).
    OAuthClient {
        /// The other decoding of the password, checked if the first does not match. Both count as
        /// one attempt.
        alternative: Option<&'a str>,
    },
    /// A page, which records its own events.
    Page {
        /// The value of the browser's long-lived cookie.
        device: Option<&'a DeviceValue>,
    },
}

impl<'a> LoginChannel<'a> {
    pub(super) fn alternative_password(self) -> Option<&'a str> {
        if let Self::OAuthClient { alternative } = self { alternative } else { None }
    }

    /// Returns whether the password of a directory is accepted. Auth checks send one with each
    /// request, and a directory is not made for that.
    pub(super) const fn accepts_directories(self) -> bool {
        matches!(self, Self::Request | Self::Page { .. })
    }

    /// Returns the name of the channel in the metrics.
    pub(super) const fn entry_point(self) -> &'static str {
        match self {
            Self::Request | Self::AuthCheck => "api",
            Self::OAuthClient { .. } => "oauth2",
            Self::Page { .. } => "page",
        }
    }

    pub(super) fn device(self) -> Option<&'a DeviceValue> {
        if let Self::Page { device } = self { device } else { None }
    }
}
