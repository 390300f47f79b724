//! The texts of settings on the pages.

use super::SettingKey;

impl SettingKey {
    /// Returns the label on the settings page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Enabled => "API Access Token",
            Self::AllowUsers => "Allow users to generate access tokens",
            Self::MaxLifetimeDays => "Maximum lifetime for user generated access tokens (days)",
            Self::ChildTokens => "May a token create more tokens?",
            Self::Scopes => "Scopes of new tokens",
            Self::RequireScopes => "Require scopes",
            Self::RecordAddresses => "Record where tokens are used from",
            Self::ExpiryWarningDays => "Days before expiry at which events announce it",
        }
    }

    /// Returns the help text on the settings page.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::Enabled => {
                "When disabled, no token in this workspace works, and none can be generated. Nothing is deleted: enable it again \
                 and unexpired tokens work."
            }
            Self::AllowUsers => {
                "When disabled, only administrators and individually enabled people may generate tokens. Existing tokens keep \
                 working."
            }
            Self::MaxLifetimeDays => {
                "Applies to all new tokens, including administrators'. Existing tokens keep their expiry."
            }
            Self::ChildTokens => {
                "A script can then renew its token by itself. So can the thief of a token. Existing tokens are not affected."
            }
            Self::Scopes => {
                "New tokens have only these scopes, those for the API of Tokenward, and those that they inherit. If the list is \
                 empty, every scope is accepted. Existing tokens are not affected."
            }
            Self::RequireScopes => {
                "When enabled, every new token must have scopes, which limit what it may be used for. Existing tokens are not affected."
            }
            Self::RecordAddresses => {
                "Owners and administrators see the client address of a token's last use. When disabled, addresses of uses are \
                 neither stored nor shown. The audit log is not affected."
            }
            Self::ExpiryWarningDays => {
                "Webhooks receive these events. A token whose lifetime is not longer than a number of days has no event for it."
            }
        }
    }
}
