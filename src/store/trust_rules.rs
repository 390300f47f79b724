//! Trust rules of service accounts. `tokens::exchange` issues tokens by them.

use std::time::Duration;

use uuid::Uuid;

use super::{
    Committed, Error, Result, Store,
    authority::begin,
    events::{EventDraft, record},
    from_row, on_pool,
};
use crate::domain::{
    authority::Mutation,
    event::{Action, Details},
    id::{PersonId, WorkspaceId},
    invalidation::Invalidation,
    service_account::ServiceName,
    time::Timestamp,
    trust_rule::{Conditions, MAX_TRUST_RULES, StaticKeySet, TrustRule, TrustRuleDraft},
};
use tokenward_guard::Scopes;

/// The time by which the clocks of nodes may differ.
const CLOCK_SKEW: Duration = Duration::from_hours(1);

/// Trust rule to be created.
#[derive(Clone, Debug)]
pub struct NewTrustRule {
    pub id: Uuid,
    pub workspace_id: WorkspaceId,
    pub account_id: PersonId,
    pub terms: TrustRuleDraft,
}

/// Result of creating a trust rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustRuleInsert {
    Created(TrustRule),
    /// The service account has the maximum number of rules.
    TooMany,
    /// The workspace has no such service account.
    AccountNotFound,
    /// A node of an older version would let the tokens create tokens.
    OlderNodes,
    /// The caller's token was issued by exchange. With a rule, it would outlive the deletion of its own.
    ExchangedToken,
}

pub(super) struct Row {
    id: Uuid,
    workspace_id: WorkspaceId,
    service_account_id: PersonId,
    issuer: String,
    jwks: Option<String>,
    audience: String,
    conditions: String,
    scopes: Option<String>,
    max_lifetime_seconds: i64,
    is_single_use: bool,
    created_at: Timestamp,
    last_used_at: Option<Timestamp>,
    issued_tokens: i64,
}

from_row!(Row {
    id,
    workspace_id,
    service_account_id,
    issuer,
    jwks,
    audience,
    conditions,
    scopes,
    max_lifetime_seconds,
    is_single_use,
    created_at,
    last_used_at,
    issued_tokens
});

/// Columns of [`Row`].
macro_rules! columns {
    () => {
        "id, workspace_id, service_account_id, issuer, jwks, audience, conditions, scopes, max_lifetime_seconds, \
         is_single_use, created_at, last_used_at, issued_tokens"
    };
}

pub(super) const SELECT_RULE: &str =
    concat!("select ", columns!(), " from trust_rule where workspace_id = $1 and service_account_id = $2 and id = $3");
/// Identity of a service account.
const SELECT_ACCOUNT: &str =
    "select email from person where workspace_id = $1 and id = $2 and kind = 'service' and removed_at is null";

impl TryFrom<Row> for TrustRule {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let conditions = Conditions::parse_stored(&row.conditions).ok_or(Error::corrupt("trust_rule.conditions"))?;
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            account_id: row.service_account_id,
            terms: TrustRuleDraft {
                issuer: row.issuer,
                key_set: row.jwks.map(StaticKeySet::from_stored),
                audience: row.audience,
                conditions,
                max_lifetime_seconds: row.max_lifetime_seconds,
                scopes: row.scopes.map_or(Scopes::unrestricted(), |words| Scopes::parse(&words)),
                single_use: row.is_single_use,
            },
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            issued_tokens: row.issued_tokens,
        })
    }
}

/// Returns the draft of an event about a rule. `account` is the identity of the service account.
fn rule_event<'a>(
    action: Action,
    (id, account_id): (&'a str, PersonId),
    account: &'a str,
    details: Details,
) -> EventDraft<'a> {
    EventDraft { action, person_id: Some(account_id), target: id, label: account, details }
}

fn details_of(terms: &TrustRuleDraft) -> Details {
    Details::default()
        .with("issuer", terms.issuer.as_str())
        .with("audience", terms.audience.as_str())
        .with(
            "conditions",
            serde_json::from_str::<serde_json::Value>(&terms.conditions.to_stored()).unwrap_or_default(),
        )
        .with("maxLifetimeSeconds", terms.max_lifetime_seconds)
        .with_some("scopes", terms.scopes.as_str())
        .with("singleUse", terms.single_use)
        .with("keys", if terms.key_set.is_some() { "stored" } else { "discovered" })
}

impl Store {
    /// Returns the statement that counts the nodes that do not know trust rules; `None` on SQLite, which
    /// has one process.
    pub(super) fn nodes_without_trust_rules_sql(&self) -> Option<&'static str> {
        self.cluster().map(|_| "select count(*) from node where schema_version < 18")
    }

    /// Creates a trust rule of a service account.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time, and [`Error::AuthorizationLost`] if the caller lost its right meanwhile.
    pub async fn insert_trust_rule(&self, new: &NewTrustRule, mutation: &Mutation) -> Result<TrustRuleInsert> {
        const COUNT: &str = "select count(*) from trust_rule where workspace_id = $1 and service_account_id = $2";
        const INSERT: &str = concat!(
            "insert into trust_rule (id, workspace_id, service_account_id, issuer, jwks, audience, conditions, scopes, \
             max_lifetime_seconds, is_single_use, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
             returning ",
            columns!()
        );
        let NewTrustRule { id, workspace_id, account_id, terms } = new;
        on_pool!(self, pool => {
            let (mut tx, context, exists) = begin!(self, pool, *workspace_id, mutation);
            if context.is_exchanged() {
                return Ok(TrustRuleInsert::ExchangedToken);
            }
            let account: Option<String> =
                sqlx::query_scalar(SELECT_ACCOUNT).bind(*workspace_id).bind(*account_id).fetch_optional(&mut *tx).await?;
            let Some(account) = account.filter(|_| exists) else { return Ok(TrustRuleInsert::AccountNotFound) };
            let older: i64 = match self.nodes_without_trust_rules_sql() {
                Some(statement) => sqlx::query_scalar(statement).fetch_one(&mut *tx).await?,
                None => 0,
            };
            if older > 0 {
                return Ok(TrustRuleInsert::OlderNodes);
            }
            let count: i64 = sqlx::query_scalar(COUNT).bind(*workspace_id).bind(*account_id).fetch_one(&mut *tx).await?;
            if count >= MAX_TRUST_RULES {
                return Ok(TrustRuleInsert::TooMany);
            }
            let row: Row = sqlx::query_as(INSERT).bind(*id).bind(*workspace_id).bind(*account_id).bind(&terms.issuer)
                .bind(terms.key_set.as_ref().map(StaticKeySet::as_str)).bind(&terms.audience)
                .bind(terms.conditions.to_stored()).bind(terms.scopes.as_str()).bind(terms.max_lifetime_seconds)
                .bind(terms.single_use).bind(context.at).fetch_one(&mut *tx).await?;
            let target = id.to_string();
            let event = rule_event(Action::TrustRuleCreated, (&target, *account_id), &account, details_of(terms));
            record!(tx, *workspace_id, context, event);
            tx.commit().await?;
            Ok(TrustRuleInsert::Created(row.try_into()?))
        })
    }

    /// Lists the trust rules of a service account, oldest first.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn list_trust_rules(&self, workspace_id: WorkspaceId, account_id: PersonId) -> Result<Vec<TrustRule>> {
        const SELECT: &str = concat!(
            "select ",
            columns!(),
            " from trust_rule where workspace_id = $1 and service_account_id = $2 order by created_at, id"
        );
        let rows: Vec<Row> = on_pool!(self, pool => sqlx::query_as(SELECT).bind(workspace_id).bind(account_id)
            .fetch_all(pool).await)?;
        rows.into_iter().map(TrustRule::try_from).collect()
    }

    /// Lists the trust rules of the service account with this name that accept an issuer, oldest first.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn find_trust_rules(&self, name: &ServiceName, issuer: &str) -> Result<Vec<TrustRule>> {
        const SELECT: &str = concat!(
            "select ",
            columns!(),
            " from trust_rule where service_account_id = (select id from person where email_key = $1 \
             and kind = 'service' and removed_at is null) and issuer = $2 \
             and workspace_id in (select id from workspace where removed_at is null) order by created_at, id"
        );
        let rows: Vec<Row> = on_pool!(self, pool => sqlx::query_as(SELECT).bind(name.identity()).bind(issuer)
            .fetch_all(pool).await)?;
        rows.into_iter().map(TrustRule::try_from).collect()
    }

    /// Deletes a trust rule and the tokens that were issued by it. An exchange in progress issues none
    /// afterwards. Returns the number of tokens, or `None` if there is no such rule.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time, and [`Error::AuthorizationLost`] if the caller lost its right meanwhile.
    pub async fn delete_trust_rule(
        &self,
        workspace_id: WorkspaceId,
        account_id: PersonId,
        id: Uuid,
        mutation: &Mutation,
    ) -> Result<Committed<Option<u64>>> {
        const DELETE: &str =
            "delete from trust_rule where workspace_id = $1 and service_account_id = $2 and id = $3 returning issuer";
        // Expired rows authenticate nowhere, and are deleted by the purge. Clocks may differ by the hour.
        const DELETE_TOKENS: &str =
            "delete from token where workspace_id = $1 and person_id = $2 and trust_rule_id = $3 and expires_at > $4";
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let issuer: Option<String> = sqlx::query_scalar(DELETE).bind(workspace_id).bind(account_id).bind(id)
                .fetch_optional(&mut *tx).await?;
            let Some(issuer) = issuer else { return Ok(Committed::unchanged(None)) };
            let deleted = sqlx::query(DELETE_TOKENS).bind(workspace_id).bind(account_id).bind(id)
                .bind(context.at.before(CLOCK_SKEW)).execute(&mut *tx).await?.rows_affected();
            let account: Option<String> =
                sqlx::query_scalar(SELECT_ACCOUNT).bind(workspace_id).bind(account_id).fetch_optional(&mut *tx).await?;
            let (target, account) = (id.to_string(), account.unwrap_or_default());
            let details = Details::default().with("issuer", issuer).with("tokens", deleted);
            record!(tx, workspace_id, context, rule_event(Action::TrustRuleDeleted, (&target, account_id), &account, details));
            tx.commit().await?;
            Ok(Committed::new(Some(deleted), vec![Invalidation::Person(account_id)]))
        })
    }
}
