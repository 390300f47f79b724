//! The scope that each operation of the API requires of a token. An operation that is missing here
//! accepts unrestricted tokens only.

use axum::http::{Method, Uri};
use percent_encoding::percent_decode_str;

use super::ApiError;
use crate::{
    domain::{id::parse_uuid, token_limits::reserved_scope as scope},
    http::authenticate::Authenticated,
    service::Error,
};
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
const OPERATIONS: [(Method, &str, RequiredScope); 37] = [
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
    // A rule lets others have tokens.
    (Method::GET, "/v4/people/{id}/trust", Unrestricted),
    (Method::POST, "/v4/people/{id}/trust", Unrestricted),
    (Method::DELETE, "/v4/people/{id}/trust/{ruleId}", Unrestricted),
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
    // Enforced by the auth checks, which have no template. A test compares them with these rows.
    (Method::POST, "/oauth2/introspect", Word(scope::INTROSPECT)),
    (Method::POST, "/v4/auth/batch", Word(scope::INTROSPECT)),
    (Method::GET, "/v4/workspaces", Unrestricted),
    (Method::POST, "/v4/workspaces", Unrestricted),
    (Method::PATCH, "/v4/workspaces/{id}", Unrestricted),
    (Method::DELETE, "/v4/workspaces/{id}", Unrestricted),
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

/// Returns `true` if the last segment of the path is the ID of the presented token, read as the handler
/// reads it, without a query that would include other tokens.
fn names_own_token(caller: &Principal, uri: &Uri) -> bool {
    let segment = uri.path().rsplit('/').next().unwrap_or_default();
    let id = percent_decode_str(segment).decode_utf8().ok().and_then(|text| parse_uuid(&text));
    uri.query().is_none() && id.is_some() && caller.token().map(|token| token.id) == id
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Operations without a caller, and auth checks of the caller's own token.
    const WITHOUT_SCOPE: [(Method, &str); 10] = [
        (Method::GET, "/health/live"),
        (Method::GET, "/health/ready"),
        (Method::GET, "/.well-known/api-token-format"),
        (Method::GET, "/.well-known/oauth-authorization-server"),
        (Method::POST, "/v4/leaks"),
        (Method::POST, "/oauth2/revoke"),
        (Method::POST, "/oauth2/device_authorization"),
        (Method::POST, "/oauth2/token"),
        (Method::GET, "/v4/auth"),
        (Method::GET, "/v4/auth/{requirements}"),
    ];

    fn operations_of_the_document() -> Vec<(Method, String)> {
        let mut all = Vec::new();
        for (path, item) in &super::super::openapi::document().paths.paths {
            let operations = [
                (Method::GET, &item.get),
                (Method::PUT, &item.put),
                (Method::POST, &item.post),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            let present = operations.into_iter().filter(|(_, operation)| operation.is_some());
            all.extend(present.map(|(method, _)| (method, path.clone())));
        }
        all
    }

    #[test]
    fn every_operation_of_the_document_is_listed_once() {
        let mut listed: Vec<(Method, String)> =
            OPERATIONS.iter().map(|(method, path, _)| (method.clone(), (*path).to_owned())).collect();
        listed.extend(WITHOUT_SCOPE.map(|(method, path)| (method, path.to_owned())));
        let mut documented = operations_of_the_document();
        for operations in [&mut listed, &mut documented] {
            operations.sort_by_key(|(method, path)| (path.clone(), method.to_string()));
        }
        assert_eq!(listed, documented);
    }

    #[test]
    fn an_unknown_operation_needs_an_unrestricted_token() {
        assert_eq!(RequiredScope::of(&Method::PUT, "/v4/people/{id}"), Unrestricted);
        assert_eq!(RequiredScope::of(&Method::GET, "/v4/another"), Unrestricted);
        assert_eq!(RequiredScope::of(&Method::HEAD, "/v4/people"), Word(scope::PEOPLE_READ));
    }
}
