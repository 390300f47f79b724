//! Creation of tokens. The transaction that inserts a token also checks that it is allowed, and
//! schedules the deletion of a token that the new one replaces.

use super::{
    idempotency,
    new_token::{IssueOutcome, NewToken},
    replace::{self, ReplacedToken},
};
use crate::{
    domain::{
        ValidationError,
        authority::CallerFacts,
        event::{Action, Details},
        invalidation::Invalidation,
        service_account::PersonKind,
        setting::Settings,
        time::Timestamp,
        token::{IssueError, IssuePolicy, IssuedBy, MakerFacts, OwnerFacts, Token},
    },
    store::{
        Committed, Result, Store,
        authority::{Authorized, begin},
        columns::parse_token_access,
        device_authorizations,
        events::{EventDraft, record},
        from_row, on_pool, sessions, settings,
    },
};

pub(super) struct PersonRow {
    kind: String,
    is_admin: bool,
    is_disabled: bool,
    token_access: String,
    tokens_revoked_before: Option<Timestamp>,
}

from_row!(PersonRow { kind, is_admin, is_disabled, token_access, tokens_revoked_before });

pub(super) const SELECT_PERSON: &str = "select kind, is_admin, is_disabled, token_access, tokens_revoked_before from person \
                             where workspace_id = $1 and id = $2";
pub(super) const COUNT_ACTIVE: &str = "select count(*) from unrevoked_token where workspace_id = $1 and person_id = $2 \
                    and (ends_at is null or ends_at > $3)";
pub(super) const INSERT_TOKEN: &str = "insert into token (id, workspace_id, person_id, digest, display_prefix, description, \
     created_at, expires_at, last_used_at, parent_id, scopes, allowed_networks, trust_rule_id) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, null, $9, $10, $11, $12)";
/// Inserts the token.
macro_rules! insert {
    ($tx:expr, $new:expr, $token:expr) => {
        let (scopes, networks) = ($token.limits.scopes.as_str(), &$token.limits.networks);
        sqlx::query(INSERT_TOKEN)
            .bind($token.id)
            .bind($token.workspace_id)
            .bind($token.person_id)
            .bind($new.digest.as_bytes().as_slice())
            .bind(&$token.display_prefix)
            .bind(&$token.description)
            .bind($token.created_at)
            .bind($token.expires_at)
            .bind($token.parent_id)
            .bind(scopes)
            .bind((!networks.is_any()).then(|| networks.to_string()))
            .bind($token.trust_rule_id)
            .execute(&mut *$tx)
            .await?;
    };
}
pub(super) use insert;

/// Uses up what requested the token. Returns the error if it was used before.
macro_rules! consume {
    ($tx:expr, $new:expr, $now:expr) => {{
        let form = match $new.form {
            Some(form) => {
                let consume = sqlx::query(sessions::CONSUME_FORM).bind(form.session_id).bind(form.id);
                consume.execute(&mut *$tx).await?.rows_affected()
            }
            None => 1,
        };
        let grant = match $new.device {
            Some(grant) => {
                let redeem =
                    sqlx::query(device_authorizations::REDEEM).bind(grant.id).bind(grant.session_id).bind($now);
                redeem.execute(&mut *$tx).await?.rows_affected()
            }
            None => 1,
        };
        match (form, grant) {
            (0, _) => Some(IssueError::FormConsumed),
            (_, 0) => Some(IssueError::DeviceAuthorizationSpent),
            _ => None,
        }
    }};
}

/// Returns the error of a token that nodes of an older version would not judge alike, or of a person
/// with too many tokens.
macro_rules! exceeded {
    ($store:expr, $tx:expr, $new:expr, $token:expr, $replaced:expr, $now:expr) => {{
        let statement = $store.older_nodes_sql().filter(|_| !$token.limits.is_none() || $replaced.is_some());
        let older: i64 = match statement {
            Some(statement) => sqlx::query_scalar(statement).fetch_one(&mut *$tx).await?,
            None => 0,
        };
        let active: i64 = match $new.max_active {
            Some(_) => {
                let count = sqlx::query_scalar(COUNT_ACTIVE).bind($new.workspace_id).bind($new.person_id).bind($now);
                count.fetch_one(&mut *$tx).await?
            }
            None => 0,
        };
        // A token that is replaced at once does not count.
        let replaced_at_once = $new.replaces.is_some_and(|replaces| replaces.grace.as_seconds() == 0);
        match $new.max_active {
            _ if older > 0 => Some(IssueError::OlderNodes),
            Some(max) if active - i64::from(replaced_at_once) >= i64::from(max) => {
                Some(IssueError::TooManyActiveTokens { max })
            }
            _ => None,
        }
    }};
}

impl Store {
    /// Creates a token if the rules allow it inside the transaction. The transaction locks the
    /// workspace, so its settings and people cannot change until it ends. The scheduled deletion of a
    /// replaced token takes a right away, so the result waits for the revocation barrier.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time, and
    /// [`Error::AuthorizationLost`](crate::store::Error::AuthorizationLost) if the caller lost its right
    /// meanwhile. The inner result is the rule that forbids the token.
    pub async fn issue_token(
        &self,
        new: &NewToken,
        defaults: &Settings,
    ) -> Result<Committed<std::result::Result<IssueOutcome, IssueError>>> {
        let now = new.mutation.context.at;
        let forbidden = |error| Ok(Committed::unchanged(Err(error)));
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, new.workspace_id, &new.mutation);
            if let Some(error) = consume!(tx, new, now) {
                return forbidden(error);
            }
            let person: Option<PersonRow> = sqlx::query_as(SELECT_PERSON)
                .bind(new.workspace_id)
                .bind(new.person_id)
                .fetch_optional(&mut *tx)
                .await?;
            let Some(person) = person else { return forbidden(IssueError::PersonUnavailable) };
            let rows = sqlx::query_as(settings::SELECT_SETTINGS).bind(new.workspace_id).fetch_all(&mut *tx).await?;
            let policy = person.issue_policy(defaults.with_overrides(settings::parse_rows(rows)?))?;
            if let Err(error) = new.check_people(&policy, &person, context.caller()) {
                return forbidden(error);
            }
            if let Some(replayed) = idempotency::replay!(tx, new, now) {
                return Ok(Committed::unchanged(replayed));
            }
            let replaced = match new.replaces {
                None => None,
                Some(replaces) => match replace::find!(tx, new, replaces) {
                    Ok(replaced) => Some(replaced),
                    Err(error) => return forbidden(error),
                },
            };
            let created_at = person.next_created_at(now);
            let token = match new.resolve(&policy, &context, replaced.as_ref(), created_at) {
                Ok(token) => token,
                Err(error) => return forbidden(error),
            };
            if let Some(error) = exceeded!(self, tx, new, token, replaced, now) {
                return forbidden(error);
            }
            insert!(tx, new, token);
            idempotency::insert!(tx, new, token);
            let mut invalidations = Vec::new();
            let replaced_id = new.replaces.map(|replaces| replaces.token_id.to_string()).unwrap_or_default();
            let replaced_event = match (new.replaces, &replaced) {
                (Some(replaces), Some(replaced)) => {
                    invalidations.push(Invalidation::Token(replaced.digest()?));
                    Some(replace::schedule!(tx, new, replaces, replaced, &replaced_id))
                }
                _ => None,
            };
            record!(tx, new.workspace_id, context, new.event(&token, &token.id.to_string()));
            if let Some(event) = replaced_event {
                record!(tx, new.workspace_id, context, event);
            }
            tx.commit().await?;
            Ok(Committed::new(Ok(IssueOutcome::Created(token)), invalidations))
        })
    }
}

impl NewToken {
    /// Checks the rules for a caller who is not the owner.
    fn check_maker(&self, owner: &PersonRow, caller: Option<&CallerFacts>) -> std::result::Result<(), IssueError> {
        let (Some(authority), Some(caller)) = (&self.mutation.authority, caller) else { return Ok(()) };
        if authority.person_id == self.person_id {
            return Ok(());
        }
        // The caller was read again as a custodian of the account that the role names.
        let is_named = authority.role.service_account() == Some(self.person_id);
        let CallerFacts { is_admin, is_custodian, token_access, .. } = *caller;
        MakerFacts { is_admin, is_custodian, token_access }.check_owner(OwnerFacts {
            is_service_account: is_named && owner.kind == PersonKind::Service.as_str(),
            is_admin: owner.is_admin,
            is_disabled: owner.is_disabled,
        })
    }

    /// Checks the rules for the caller and the owner.
    fn check_people(
        &self,
        policy: &IssuePolicy,
        owner: &PersonRow,
        caller: Option<&CallerFacts>,
    ) -> std::result::Result<(), IssueError> {
        self.check_maker(owner, caller)?;
        policy.check_person()?;
        self.lifetime.map_or(Ok(()), |lifetime| policy.check_lifetime(lifetime))
    }

    /// Returns the token with everything that the request leaves out, if the rules allow it.
    fn resolve(
        &self,
        policy: &IssuePolicy,
        context: &Authorized<'_>,
        replaced: Option<&ReplacedToken>,
        created_at: Timestamp,
    ) -> std::result::Result<Token, IssueError> {
        let lifetime = self.lifetime.or_else(|| replaced.map(ReplacedToken::lifetime));
        let lifetime = lifetime.ok_or(IssueError::Lifetime(ValidationError::LifetimeMissing))?;
        policy.check_lifetime(lifetime)?;
        let expires_at = lifetime.expires_at(created_at);
        let issuer = match context.token_id {
            None => IssuedBy::Person,
            Some(_) => IssuedBy::Token { expires_at: context.ends_at(), is_exchanged: context.is_exchanged() },
        };
        policy.check_issuer(issuer, expires_at)?;
        let maker = context.limits();
        let defaults = replaced.map_or(maker, |replaced| &replaced.limits);
        let limits = maker.for_child(&self.limits, defaults).map_err(IssueError::Limits)?;
        policy.check_limits(&limits, &[&maker.scopes, &defaults.scopes])?;
        let description = self.description.clone().or_else(|| replaced.map(|replaced| replaced.description.clone()));
        Ok(Token {
            id: self.id,
            workspace_id: self.workspace_id,
            person_id: self.person_id,
            display_prefix: self.display_prefix.clone(),
            description: description.unwrap_or_default(),
            created_at,
            expires_at,
            last_used_at: None,
            last_used_from: None,
            parent_id: context.token_id,
            trust_rule_id: None,
            limits,
            replacement: None,
        })
    }

    fn event<'a>(&self, token: &'a Token, target: &'a str) -> EventDraft<'a> {
        let method = match (self.form, self.device, self.mutation.context.token_id) {
            (Some(_), _, _) => "page",
            (None, Some(_), _) => "device",
            (None, None, Some(_)) => "token",
            (None, None, None) => "password",
        };
        let Token { limits, expires_at, description, .. } = token;
        let details = Details::default()
            .with("by", method)
            .with_some("description", Some(description.as_str()).filter(|text| !text.is_empty()))
            .with_some("expiresAt", expires_at.map(|time| time.to_string()))
            .with_some("scopes", limits.scopes.as_str())
            .with_some("allowedNetworks", (!limits.networks.is_any()).then(|| limits.networks.to_string()))
            .with_some("replaces", self.replaces.map(|replaces| replaces.token_id.to_string()));
        EventDraft {
            action: Action::TokenCreated,
            person_id: Some(self.person_id),
            target,
            label: &token.display_prefix,
            details,
        }
    }
}

impl PersonRow {
    pub(super) fn issue_policy(&self, settings: Settings) -> Result<IssuePolicy> {
        let Self { is_admin, is_disabled, .. } = *self;
        let token_access = parse_token_access(&self.token_access)?;
        let is_service_account = self.kind == PersonKind::Service.as_str();
        Ok(IssuePolicy { is_service_account, is_admin, is_disabled, token_access, settings })
    }

    /// Returns the creation time of a token created now: later than the person's last bulk
    /// revocation, whatever this node's clock shows.
    pub(super) fn next_created_at(&self, now: Timestamp) -> Timestamp {
        match self.tokens_revoked_before {
            Some(revoked_before) if revoked_before >= now => Timestamp::from_millis(revoked_before.as_millis() + 1),
            _ => now,
        }
    }
}
