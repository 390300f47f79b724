//! Errors of trust rules and exchanges.

use super::{NamedError, administrator, checks::oauth_form, invalid, join, person_not_found, service, with_body};
use crate::{
    domain::trust_rule::{InvalidTrustRule, IssuerKind, MAX_TRUST_RULES},
    service::{Error, KeysUnavailable},
};

/// Returns the errors of an operation on trust rules.
pub(super) fn trust_rule_errors(operation: &str) -> Vec<NamedError> {
    let account = || {
        let not_service_account = service("notServiceAccount", Error::NotServiceAccount);
        join([administrator(), vec![person_not_found(), not_service_account]])
    };
    match operation {
        "createTrustRule" => {
            let rule = |name, error: InvalidTrustRule| invalid(name, error.into());
            let audience = "https://github.com/octo".to_owned();
            let own = vec![
                rule(
                    "nameAlone",
                    InvalidTrustRule::NoStableClaim { claims: IssuerKind::GitHubActions.stable_claims() },
                ),
                rule("defaultAudience", InvalidTrustRule::DefaultAudience { audience }),
                rule("invalidIssuer", InvalidTrustRule::Issuer),
                rule("invalidKeys", InvalidTrustRule::KeySet),
                rule("lifetimeOutOfRange", InvalidTrustRule::Lifetime { seconds: 86_400 }),
                service("tooManyTrustRules", Error::TooManyTrustRules { max: MAX_TRUST_RULES }),
                service("olderNodes", Error::OlderNodes),
            ];
            join([account(), with_body(), own])
        }
        "deleteTrustRule" => join([account(), vec![service("trustRuleNotFound", Error::TrustRuleNotFound)]]),
        _ => account(),
    }
}

/// Returns the errors of the token endpoint. The codes of the grants are in the description of the operation.
pub(super) fn create_token_by_grant() -> Vec<NamedError> {
    let own = vec![
        service("tooManyRejections", Error::RateLimited { retry_after_millis: 1_000 }),
        service("issuerUnavailable", Error::IssuerUnavailable(Box::new(KeysUnavailable::TimedOut))),
    ];
    join([oauth_form("The parameter audience is missing: send the name of the service account."), own])
}
