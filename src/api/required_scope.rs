//! The scope that each operation of the API requires of a token. An operation that is missing here
//! accepts unrestricted tokens only.

use axum::http::{Method, Uri};

use super::ApiError;
use crate::{domain::token_limits::reserved_scope as scope, http::authenticate::Authenticated, service::Error};
use tokenward_guard::{Principal, Requirements, UnmetRequirement};

/// The scope that an operation requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequiredScope {
    /// Every token may do it.
    None,
    /// This scope.
    Word(&'static str),
    /// This scope, except if the path names the presented token itself.
    WordExceptOwnToken(&'static str),
    /// No scope suffices.
    Unrestricted,
}

use RequiredScope::{None as NoScope, Unrestricted, Word, WordExceptOwnToken};

/// Each operation with the scope that it requires.
const OPERATIONS: [(Method, &str, RequiredScope); 31] = [
    (Method::GET, "/v4/apiAccessTokens", Word(scope::TOKENS_READ)),
    (Method::POST, "/v4/apiAccessTokens", Word(scope::TOKENS_WRITE)),
    (Method::DELETE, "/v4/apiAccessTokens", Word(scope::TOKENS_WRITE)),
    (Method::POST, "/v4/apiAccessTokens/delete", Word(scope::TOKENS_WRITE)),
    (Method::GET, "/v4/apiAccessTokens/{tokenId}", WordExceptOwnToken(scope::TOKENS_READ)),
    (Method::DELETE, "/v4/apiAccessTokens/{tokenId}", WordExceptOwnToken(scope::TOKENS_WRITE)),
    (Method::GET, "/v4/people/current", NoScope),
    (Method::GET, "/v4/people", Word(scope::PEOPLE_READ)),
    (Method::GET, "/v4/people/{id}", Word(scope::PEOPLE_READ)),
    (Method::POST, "/v4/people", Word(scope::PEOPLE_WRITE)),
    (Method::PATCH, "/v4/people/{id}", Word(scope::PEOPLE_WRITE)),
    (Method::DELETE, "/v4/people/{id}", Word(scope::PEOPLE_WRITE)),
    // The link sets a password.
    (Method::POST, "/v4/people/{id}/invite", Unrestricted),
    (Method::GET, "/v4/workspaces/current", Word(scope::SETTINGS_READ)),
    (Method::GET, "/v4/workspaces/{id}/configuration", Word(scope::SETTINGS_READ)),
    (Method::GET, "/v4/workspaces/{id}/configuration-schema", Word(scope::SETTINGS_READ)),
    (Method::GET, "/v4/workspaces/{id}/configuration/preview", Word(scope::SETTINGS_READ)),
    (Method::PATCH, "/v4/workspaces/{id}/configuration", Word(scope::SETTINGS_WRITE)),
    (Method::POST, "/v4/workspaces/{id}/delete-configuration", Word(scope::SETTINGS_WRITE)),
    (Method::GET, "/v4/events", Word(scope::EVENTS_READ)),
    (Method::GET, "/v4/webhooks", Word(scope::SETTINGS_READ)),
    (Method::GET, "/v4/webhooks/{id}", Word(scope::SETTINGS_READ)),
    (Method::GET, "/v4/webhooks/{id}/deliveries", Word(scope::SETTINGS_READ)),
    (Method::POST, "/v4/webhooks", Word(scope::SETTINGS_WRITE)),
    (Method::PATCH, "/v4/webhooks/{id}", Word(scope::SETTINGS_WRITE)),
    (Method::DELETE, "/v4/webhooks/{id}", Word(scope::SETTINGS_WRITE)),
    (Method::POST, "/v4/webhooks/{id}/test", Word(scope::SETTINGS_WRITE)),
    (Method::GET, "/v4/open-api-spec", NoScope),
    (Method::POST, "/oauth2/introspect", Word(scope::INTROSPECT)),
    (Method::POST, "/v4/auth/batch", Word(scope::INTROSPECT)),
    (Method::GET, "/v4/workspaces", Unrestricted),
];

impl RequiredScope {
    /// Returns the scope that an operation requires.
    pub(super) fn of(method: &Method, template: &str) -> Self {
        // HEAD is processed as GET.
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let found = OPERATIONS.iter().find(|(other, path, _)| other == method && *path == template);
        found.map_or(Unrestricted, |(.., required)| *required)
    }

    /// Returns the value of `x-required-scope` in the OpenAPI document.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Word(word) | Self::WordExceptOwnToken(word) => word,
            Self::Unrestricted => "unrestricted",
        }
    }

    fn requirements(self) -> Requirements {
        let scopes = match self {
            Self::Word(word) | Self::WordExceptOwnToken(word) => vec![word.to_owned()],
            Self::None | Self::Unrestricted => Vec::new(),
        };
        Requirements { scopes, unrestricted: self == Self::Unrestricted, ..Requirements::default() }
    }

    /// Authorizes a caller whose token may have scopes. With the required scope, the caller has the
    /// rights of the token's owner. Without any, a token may read and delete itself.
    ///
    /// # Errors
    /// [`Error::InsufficientScope`] if the token lacks the scope.
    pub(super) fn authorize(self, caller: Authenticated, uri: &Uri) -> Result<Authenticated, ApiError> {
        if caller.principal.is_unrestricted() {
            return Ok(caller);
        }
        match self {
            Self::None => Ok(caller),
            Self::WordExceptOwnToken(_) if names_own_token(&caller.principal, uri) => Ok(caller),
            Self::Word(_) | Self::WordExceptOwnToken(_) | Self::Unrestricted => {
                match self.requirements().check(&caller.principal) {
                    Ok(()) => Ok(caller.with_owner_rights()),
                    Err(UnmetRequirement::Owner | UnmetRequirement::Scope) => {
                        let required = self.requirements().scope_attribute();
                        Err(Error::InsufficientScope { required }.into())
                    }
                }
            }
        }
    }
}

/// Returns `true` if the last segment of the path is the ID of the presented token, without a query
/// that would include other tokens.
fn names_own_token(caller: &Principal, uri: &Uri) -> bool {
    let id = uri.path().rsplit('/').next().unwrap_or_default();
    uri.query().is_none() && caller.token().is_some_and(|token| token.id.to_string() == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_of_the_document_is_listed() {
        let document = super::super::openapi::document();
        let mut missing = Vec::new();
        for (path, item) in &document.paths.paths {
            let operations = [
                (Method::GET, &item.get),
                (Method::POST, &item.post),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            for (method, _) in operations.into_iter().filter(|(_, operation)| operation.is_some()) {
                let is_listed = OPERATIONS.iter().any(|(other, template, _)| *other == method && template == path);
                // Without a credential, by the token itself, or for platform administrators only.
                let is_open = path.starts_with("/health") || path.starts_with("/.well-known") || path == "/v4/leaks";
                let is_check = path.starts_with("/v4/auth") || path == "/oauth2/revoke";
                if !(is_listed || is_open || is_check || path.starts_with("/v4/workspaces")) {
                    missing.push(format!("{method} {path}"));
                }
            }
        }
        assert!(missing.is_empty(), "add to OPERATIONS: {missing:#?}");
    }

    #[test]
    fn an_unknown_operation_needs_an_unrestricted_token() {
        assert_eq!(RequiredScope::of(&Method::PUT, "/v4/people/{id}"), Unrestricted);
        assert_eq!(RequiredScope::of(&Method::GET, "/v4/another"), Unrestricted);
        assert_eq!(RequiredScope::of(&Method::HEAD, "/v4/people"), Word(scope::PEOPLE_READ));
    }
}
