//! Tokens that are issued in exchange for JWTs, by the trust rules of service accounts.

use uuid::Uuid;

use super::issue::{COUNT_ACTIVE, INSERT_TOKEN, PersonRow, SELECT_PERSON, insert};
use crate::{
    domain::{
        authority::Mutation,
        event::{Action, Details},
        id::{PersonId, WorkspaceId},
        invalidation::Invalidation,
        setting::Settings,
        text_rules::is_forbidden,
        time::Timestamp,
        token::{Description, IssueError, IssuePolicy, Token},
        token_limits::{AllowedNetworks, TokenLimits},
        trust_rule::{Assertion, ScopeDenied, TrustRule},
    },
    store::{
        Committed, Result, Store,
        authority::begin,
        events::{EventDraft, record},
        on_pool, settings, trust_rules,
    },
};
use tokenward_guard::{Scopes, token_format::TokenDigest};

/// Token to be issued for a verified JWT.
#[derive(Clone, Debug)]
pub struct NewExchange {
    pub id: Uuid,
    /// The rule that accepts the JWT.
    pub rule_id: Uuid,
    pub workspace_id: WorkspaceId,
    pub account_id: PersonId,
    pub digest: TokenDigest,
    pub display_prefix: String,
    /// Scopes that the request asks for; `None`: those of the rule.
    pub scopes: Option<Scopes>,
    pub assertion: Assertion,
    /// The time and the request.
    pub mutation: Mutation,
    /// Maximum number of active tokens of the service account, the new one included.
    pub max_active: Option<u32>,
}

/// Reason why no token is issued for a verified JWT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExchangeDenied {
    /// The rule was deleted meanwhile.
    RuleDeleted,
    /// The JWT was exchanged before, on any node.
    AlreadyUsed,
    Scope(ScopeDenied),
    /// The rule of the workspace or of the account that forbids the token.
    Issue(IssueError),
}

const SPEND: &str = "insert into spent_assertion (issuer, id_digest, expires_at) values ($1, $2, $3) \
     on conflict do nothing";
const COUNT_USE: &str = "update trust_rule set last_used_at = $2, issued_tokens = issued_tokens + 1 where id = $1";

impl Store {
    /// Issues a token for a verified JWT, and records that the JWT is used. The transaction reads the
    /// rule, the service account and the settings again. If it issues no token, the JWT is not used.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time. The inner result is the reason why there is no token.
    pub async fn exchange_token(
        &self,
        new: &NewExchange,
        defaults: &Settings,
    ) -> Result<std::result::Result<Token, ExchangeDenied>> {
        on_pool!(self, pool => {
            let (mut tx, context, exists) = begin!(self, pool, new.workspace_id, &new.mutation);
            let rule: Option<trust_rules::Row> = sqlx::query_as(trust_rules::SELECT_RULE)
                .bind(new.workspace_id).bind(new.account_id).bind(new.rule_id).fetch_optional(&mut *tx).await?;
            let person: Option<PersonRow> = sqlx::query_as(SELECT_PERSON)
                .bind(new.workspace_id).bind(new.account_id).fetch_optional(&mut *tx).await?;
            let (Some(rule), Some(person), true) = (rule, person, exists) else {
                return Ok(Err(ExchangeDenied::RuleDeleted));
            };
            let rule = TrustRule::try_from(rule)?;
            let rows = sqlx::query_as(settings::SELECT_SETTINGS).bind(new.workspace_id).fetch_all(&mut *tx).await?;
            let policy = person.issue_policy(defaults.with_overrides(settings::parse_rows(rows)?))?;
            let token = match new.resolve(&policy, &rule, person.next_created_at(context.at)) {
                Ok(token) => token,
                Err(denied) => return Ok(Err(denied)),
            };
            let older: i64 = match self.nodes_without_trust_rules_sql() {
                Some(statement) => sqlx::query_scalar(statement).fetch_one(&mut *tx).await?,
                None => 0,
            };
            let active: i64 = match new.max_active {
                Some(_) => sqlx::query_scalar(COUNT_ACTIVE).bind(new.workspace_id).bind(new.account_id)
                    .bind(context.at).fetch_one(&mut *tx).await?,
                None => 0,
            };
            if let Err(error) = new.check_counts(older, active) {
                return Ok(Err(ExchangeDenied::Issue(error)));
            }
            if rule.terms.single_use {
                let spent = sqlx::query(SPEND).bind(&rule.terms.issuer).bind(new.assertion.id.as_bytes().as_slice())
                    .bind(new.assertion.remembered_until).execute(&mut *tx).await?;
                if spent.rows_affected() == 0 {
                    return Ok(Err(ExchangeDenied::AlreadyUsed));
                }
            }
            insert!(tx, new, token);
            sqlx::query(COUNT_USE).bind(rule.id).bind(context.at).execute(&mut *tx).await?;
            record!(tx, new.workspace_id, context, new.event(&token, &rule, &token.id.to_string()));
            tx.commit().await?;
            Ok(Ok(token))
        })
    }

    /// Deletes up to `limit` tokens that were issued by exchange and expired before a time. Returns their
    /// number.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time.
    pub async fn delete_expired_exchanged(&self, before: Timestamp, limit: i64) -> Result<Committed<u64>> {
        const DELETE: &str = "delete from token where id in (select id from token where trust_rule_id is not null \
             and expires_at < $1 limit $2) returning digest";
        let deleted: Vec<Vec<u8>> =
            on_pool!(self, pool => sqlx::query_scalar(DELETE).bind(before).bind(limit).fetch_all(pool).await)?;
        let digests = deleted.iter().map(|bytes| super::parse_digest(bytes)).collect::<Result<Vec<_>>>()?;
        let count = u64::try_from(digests.len()).unwrap_or(u64::MAX);
        Ok(Committed::new(count, digests.into_iter().map(Invalidation::Token).collect()))
    }
}

impl NewExchange {
    /// Returns the token, if the rules of the workspace allow it.
    fn resolve(
        &self,
        policy: &IssuePolicy,
        rule: &TrustRule,
        created_at: Timestamp,
    ) -> std::result::Result<Token, ExchangeDenied> {
        policy.check_person().map_err(ExchangeDenied::Issue)?;
        let lifetime = rule.lifetime(policy.settings.max_lifetime_days);
        policy.check_lifetime(lifetime).map_err(ExchangeDenied::Issue)?;
        let scopes = rule.scopes(self.scopes.as_ref()).map_err(ExchangeDenied::Scope)?;
        let limits = TokenLimits { scopes, networks: AllowedNetworks::any() };
        policy.check_limits(&limits, &[]).map_err(ExchangeDenied::Issue)?;
        Ok(Token {
            id: self.id,
            workspace_id: self.workspace_id,
            person_id: self.account_id,
            display_prefix: self.display_prefix.clone(),
            description: self.description(),
            created_at,
            expires_at: lifetime.expires_at(created_at),
            last_used_at: None,
            last_used_from: None,
            parent_id: None,
            trust_rule_id: Some(rule.id),
            limits,
            replacement: None,
        })
    }

    /// Checks that no node ignores the rules of the token, and that there are not too many tokens.
    fn check_counts(&self, older_nodes: i64, active: i64) -> std::result::Result<(), IssueError> {
        match self.max_active {
            _ if older_nodes > 0 => Err(IssueError::OlderNodes),
            Some(max) if active >= i64::from(max) => Err(IssueError::TooManyActiveTokens { max }),
            _ => Ok(()),
        }
    }

    /// Returns the subject of the JWT as a line of text.
    fn description(&self) -> String {
        let subject = self.assertion.subject.as_deref().unwrap_or_default();
        subject.chars().filter(|character| !is_forbidden(*character)).take(Description::MAX_CHARS).collect()
    }

    fn event<'a>(&self, token: &'a Token, rule: &TrustRule, target: &'a str) -> EventDraft<'a> {
        let details = Details::default()
            .with("by", "exchange")
            .with("trustRule", rule.id.to_string())
            .with("issuer", rule.terms.issuer.as_str())
            .with_some("description", Some(token.description.as_str()).filter(|text| !text.is_empty()))
            .with_some("expiresAt", token.expires_at.map(|time| time.to_string()))
            .with_some("scopes", token.limits.scopes.as_str());
        EventDraft {
            action: Action::TokenCreated,
            person_id: Some(self.account_id),
            target,
            label: &token.display_prefix,
            details,
        }
    }
}
