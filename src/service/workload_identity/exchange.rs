//! The exchange of a JWT for a token.

use std::time::SystemTime;

use serde_json::{Map, Value};
use tokenward_oidc::{Denial, Expected};

use super::{ExchangeError, ExchangeResult, NotAccepted, WorkloadIdentity};
use crate::{
    domain::{
        authority::Mutation,
        event::{AuditContext, RequestContext},
        ip_network::rate_limit_key,
        service_account::ServiceName,
        token::{IssueError, Token},
        trust_rule::{Assertion, MAX_SUBJECT_TOKEN_BYTES, TrustRule, unverified_issuer},
    },
    service::{Error, KeysUnavailable, tokens::generate_id},
    store::{ExchangeDenied, NewExchange},
};
use tokenward_guard::{Scopes, token_format::TokenValue};

type Result<T> = std::result::Result<T, ExchangeError>;
type Claims = Map<String, Value>;

/// A request to exchange a JWT.
#[derive(Clone, Copy)]
pub struct ExchangeRequest<'a> {
    /// The JWT.
    pub subject_token: &'a str,
    /// The name of the service account.
    pub account: &'a str,
    /// The scopes that are asked for; `None`: those of the rule.
    pub scopes: Option<&'a Scopes>,
}

/// The outcome of the verification of one JWT by the keys and the audience of a rule.
enum Verified {
    Claims(Claims),
    Denied(Denial),
    Unavailable(KeysUnavailable),
}

/// The rules that verify a JWT, with its claims.
struct VerifiedRules {
    rules: Vec<(TrustRule, Claims)>,
    /// The reason why other rules could not verify it.
    unavailable: Option<KeysUnavailable>,
}

impl WorkloadIdentity {
    /// Issues a token of a service account in exchange for a JWT that one of its trust rules accepts.
    ///
    /// # Errors
    /// The [`ExchangeError`] of the first check that fails. The JWT is not used then.
    pub async fn exchange(
        &self,
        request: ExchangeRequest<'_>,
        context: &RequestContext,
    ) -> Result<(TokenValue, Token)> {
        let exchanged = self.exchange_within_limit(request, context).await;
        match &exchanged {
            Ok((_, token)) => {
                self.counters.record(ExchangeResult::Issued);
                tracing::info!(
                    token.id = %token.id,
                    person.id = token.person_id.get(),
                    workspace.id = token.workspace_id.get(),
                    trust_rule.id = token.trust_rule_id.map(tracing::field::display),
                    "issued a token by exchange"
                );
            }
            Err(error) => self.counters.record(error.result()),
        }
        exchanged
    }

    /// Counts the rejections of the client address, and issues the token.
    async fn exchange_within_limit(
        &self,
        request: ExchangeRequest<'_>,
        context: &RequestContext,
    ) -> Result<(TokenValue, Token)> {
        let address = context.unshared_client_ip().map(rate_limit_key);
        // The clients of a proxy that is not trusted share its address, so it has no limit of its own.
        let is_limited = address.is_some();
        if is_limited {
            let acquired = self.rejections.try_acquire(address, self.clock.now());
            acquired.map_err(|millis| Error::RateLimited { retry_after_millis: millis })?;
        }
        let exchanged = self.verify_and_issue(request, context).await;
        let is_rejected = matches!(
            exchanged.as_ref().map_err(ExchangeError::result),
            Err(ExchangeResult::NotAccepted | ExchangeResult::Denied | ExchangeResult::AlreadyUsed)
        );
        if is_limited && !is_rejected {
            self.rejections.refund(address);
        }
        exchanged
    }

    async fn verify_and_issue(
        &self,
        request: ExchangeRequest<'_>,
        context: &RequestContext,
    ) -> Result<(TokenValue, Token)> {
        let rules = self.find_rules(request).await?;
        let verified = self.verify(request.subject_token, rules).await?;
        let (rule, claims) = choose(verified, request.scopes)?;
        let assertion = Assertion::read(request.subject_token, &claims, rule.key_owner())?;
        let now = self.clock.now();
        let acquired = self.creations.try_acquire(rule.account_id, now);
        acquired.map_err(|millis| Error::RateLimited { retry_after_millis: millis })?;
        let value = self.format.generate(|bytes| self.random.fill(bytes));
        let new = NewExchange {
            id: generate_id(now, &self.random),
            rule_id: rule.id,
            workspace_id: rule.workspace_id,
            account_id: rule.account_id,
            digest: value.digest(),
            display_prefix: value.display_prefix().to_owned(),
            scopes: request.scopes.cloned(),
            assertion,
            mutation: Mutation::without_caller(AuditContext::for_named_actor("workload", now, context.clone())),
            max_active: self.settings.max_active,
        };
        let issued = self.store.exchange_token(&new, &self.settings.defaults).await.map_err(Error::from)?;
        issued.map(|token| (value, token)).map_err(|denied| match denied {
            ExchangeDenied::RuleDeleted => ExchangeError::NotAccepted(NotAccepted::RuleDeleted),
            ExchangeDenied::AlreadyUsed => ExchangeError::AlreadyUsed,
            ExchangeDenied::Scope(denied) => denied.into(),
            ExchangeDenied::Issue(IssueError::OlderNodes) => Error::OlderNodes.into(),
            ExchangeDenied::Issue(reason) => ExchangeError::Issue(reason),
        })
    }

    /// Finds the rules of the service account that name the issuer of a JWT. Nothing is verified yet.
    async fn find_rules(&self, request: ExchangeRequest<'_>) -> Result<Vec<TrustRule>> {
        if request.subject_token.len() > MAX_SUBJECT_TOKEN_BYTES {
            return Err(ExchangeError::NotAccepted(NotAccepted::TooLong));
        }
        let issuer = unverified_issuer(request.subject_token);
        let issuer = issuer.ok_or(ExchangeError::NotAccepted(NotAccepted::Malformed))?;
        let rules = match ServiceName::parse(request.account) {
            Ok(name) => self.store.find_trust_rules(&name, &issuer).await.map_err(Error::from)?,
            Err(_) => Vec::new(),
        };
        if rules.is_empty() { Err(ExchangeError::NotAccepted(NotAccepted::NoRule)) } else { Ok(rules) }
    }

    /// Verifies a JWT by the keys and the audience of each rule. Returns the rules that verify it.
    async fn verify(&self, token: &str, rules: Vec<TrustRule>) -> Result<VerifiedRules> {
        let mut outcomes: Vec<(TrustRule, Verified)> = Vec::with_capacity(rules.len());
        let mut is_down = false;
        for rule in rules {
            // All rules name the issuer of the JWT, so none waits again for keys that could not be loaded.
            let is_discovered = rule.terms.key_set.is_none();
            if is_discovered && is_down {
                continue;
            }
            // Rules with the same keys and audience have the same outcome.
            let known = outcomes.iter().find_map(|(other, outcome)| match outcome {
                Verified::Claims(claims) if is_alike(other, &rule) => Some(claims.clone()),
                _ => None,
            });
            let outcome = match known {
                Some(claims) => Verified::Claims(claims),
                None => self.verify_by(token, &rule).await,
            };
            is_down |= is_discovered && matches!(outcome, Verified::Unavailable(_));
            outcomes.push((rule, outcome));
        }
        judge(outcomes)
    }

    async fn verify_by(&self, token: &str, rule: &TrustRule) -> Verified {
        let keys = match self.keys.of(&rule.terms) {
            Ok(keys) => keys,
            Err(error) => return Verified::Unavailable(error.into()),
        };
        let expected = Expected { issuer: &rule.terms.issuer, audience: &rule.terms.audience };
        let now = SystemTime::from(self.clock.now());
        match tokio::time::timeout(self.settings.time_limit, keys.verify(token, &expected, now)).await {
            Err(_) => Verified::Unavailable(KeysUnavailable::TimedOut),
            Ok(Ok(claims)) => Verified::Claims(claims),
            Ok(Err(tokenward_oidc::Error::Denied(denial))) => Verified::Denied(denial),
            Ok(Err(tokenward_oidc::Error::Unavailable(cause))) => Verified::Unavailable(cause.into()),
            // The others concern sign-ins of people.
            Ok(Err(_)) => Verified::Denied(Denial::Malformed),
        }
    }
}

/// Returns whether two rules verify the same JWTs.
fn is_alike(a: &TrustRule, b: &TrustRule) -> bool {
    a.terms.key_set == b.terms.key_set && a.terms.audience == b.terms.audience && a.terms.issuer == b.terms.issuer
}

/// Returns the rules that verified a JWT, or the error if there are none.
fn judge(outcomes: Vec<(TrustRule, Verified)>) -> Result<VerifiedRules> {
    let mut verified = Vec::new();
    let (mut unavailable, mut not_valid_now, mut denied) = (None, None, None);
    for (rule, outcome) in outcomes {
        match outcome {
            Verified::Claims(claims) => verified.push((rule, claims)),
            Verified::Unavailable(cause) => unavailable = unavailable.or(Some(cause)),
            // The signature, the issuer and the audience are checked before the times.
            Verified::Denied(denial @ (Denial::Expired | Denial::NotYetValid | Denial::IssuedInFuture)) => {
                not_valid_now = not_valid_now.or(Some(denial));
            }
            Verified::Denied(denial) => denied = denied.or(Some(denial)),
        }
    }
    if !verified.is_empty() {
        return Ok(VerifiedRules { rules: verified, unavailable });
    }
    match (not_valid_now, unavailable) {
        (Some(denial), _) => Err(ExchangeError::NotValidNow(denial)),
        (None, Some(cause)) => Err(Error::IssuerUnavailable(Box::new(cause)).into()),
        (None, None) => {
            let reason = denied.map_or(NotAccepted::NoRule, NotAccepted::Denied);
            Err(ExchangeError::NotAccepted(reason))
        }
    }
}

/// Chooses a rule, unless one whose keys could not be loaded might have permitted what the others do not.
fn choose(verified: VerifiedRules, scopes: Option<&Scopes>) -> Result<(TrustRule, Claims)> {
    match (choose_verified(verified.rules, scopes), verified.unavailable) {
        (Err(ExchangeError::Mismatch(_) | ExchangeError::Scope(_)), Some(cause)) => {
            Err(Error::IssuerUnavailable(Box::new(cause)).into())
        }
        (chosen, _) => chosen,
    }
}

/// Chooses the oldest rule whose conditions hold, preferably one that permits the scopes.
fn choose_verified(rules: Vec<(TrustRule, Claims)>, scopes: Option<&Scopes>) -> Result<(TrustRule, Claims)> {
    let (mut mismatches, mut matching) = (Vec::new(), Vec::new());
    for (rule, claims) in rules {
        match rule.terms.conditions.check(&claims) {
            Ok(()) => matching.push((rule, claims)),
            Err(mismatch) if mismatches.contains(&mismatch) => {}
            Err(mismatch) => mismatches.push(mismatch),
        }
    }
    let permitting = matching.iter().position(|(rule, _)| rule.scopes(scopes).is_ok());
    let chosen = matching.into_iter().nth(permitting.unwrap_or_default());
    let (rule, claims) = chosen.ok_or(ExchangeError::Mismatch(mismatches))?;
    rule.scopes(scopes)?;
    Ok((rule, claims))
}
