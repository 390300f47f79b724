//! Creation of tokens. The transaction that inserts a token also checks that it is allowed.

use uuid::Uuid;

use crate::{
    domain::{
        authority::Mutation,
        event::{Action, Details},
        id::{PersonId, WorkspaceId},
        setting::Settings,
        time::Timestamp,
        token::{IssueError, IssuePolicy, IssuedBy, Lifetime, Token},
    },
    store::{
        Result, Store,
        authority::begin,
        columns::parse_token_access,
        events::{EventDraft, record},
        from_row, on_pool, sessions, settings,
    },
};
use tokenward_guard::token_format::TokenDigest;

/// Time in which a repeated request gets the same response.
const IDEMPOTENCY_WINDOW_SECONDS: i64 = 600;

/// Token to be created.
#[derive(Clone, Debug)]
pub struct NewToken {
    pub id: Uuid,
    pub workspace_id: WorkspaceId,
    pub person_id: PersonId,
    pub digest: TokenDigest,
    pub display_prefix: String,
    pub description: String,
    pub lifetime: Lifetime,
    /// Caller and time.
    pub mutation: Mutation,
    /// Form that requested the token. Each form creates one token at most.
    pub form: Option<ConsumedForm>,
    /// Record that gives repeated requests the same response.
    pub idempotency: Option<IdempotentRequest>,
    /// Maximum number of active tokens of the person, the new one included.
    pub max_active: Option<u32>,
}

/// Form of a page, as rendered for one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumedForm {
    pub session_id: Uuid,
    pub id: Uuid,
}

/// Request with an `Idempotency-Key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotentRequest {
    /// SHA-256 of the caller and the key.
    pub key_digest: [u8; 32],
    /// SHA-256 of the request body.
    pub body_digest: [u8; 32],
    /// Token value, encrypted under a key that is derived from the idempotency key.
    pub encrypted_value: Vec<u8>,
}

/// Result of an allowed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssueOutcome {
    /// The token was created.
    Created { created_at: Timestamp, expires_at: Option<Timestamp> },
    /// The same request created a token before.
    Replayed(ReplayedToken),
}

/// Token that the same request created before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayedToken {
    pub token: Token,
    pub encrypted_value: Vec<u8>,
}

struct PersonRow {
    is_admin: bool,
    is_disabled: bool,
    token_access: String,
    tokens_revoked_before: Option<Timestamp>,
}

from_row!(PersonRow { is_admin, is_disabled, token_access, tokens_revoked_before });

struct IdempotencyRow {
    body_digest: Vec<u8>,
    encrypted_value: Vec<u8>,
    token_id: Uuid,
    display_prefix: String,
    description: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    /// 1 if the token is not revoked, else 0.
    unrevoked_count: i64,
}

from_row!(IdempotencyRow {
    body_digest,
    encrypted_value,
    token_id,
    display_prefix,
    description,
    created_at,
    expires_at,
    unrevoked_count
});

const SELECT_PERSON: &str = "select is_admin, is_disabled, token_access, tokens_revoked_before from person \
                             where workspace_id = $1 and id = $2";
const COUNT_ACTIVE: &str = "select count(*) from unrevoked_token where workspace_id = $1 and person_id = $2 \
                    and (expires_at is null or expires_at > $3)";
const INSERT_TOKEN: &str = "insert into token (id, workspace_id, person_id, digest, display_prefix, description, \
     created_at, expires_at, last_used_at, parent_id) values ($1, $2, $3, $4, $5, $6, $7, $8, null, $9)";
const DELETE_EXPIRED_RECORD: &str = "delete from idempotency_record where key_digest = $1 and created_at <= $2";
const SELECT_RECORD: &str = "select body_digest, encrypted_value, token_id, display_prefix, description, created_at, \
     expires_at, (select count(*) from unrevoked_token where id = idempotency_record.token_id) as unrevoked_count \
     from idempotency_record where key_digest = $1";
const INSERT_RECORD: &str = "insert into idempotency_record (key_digest, body_digest, person_id, encrypted_value, \
     token_id, display_prefix, description, created_at, expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// Inserts the token, and the idempotency record if the request has a key.
macro_rules! insert {
    ($tx:expr, $new:expr, $created_at:expr, $expires_at:expr) => {
        sqlx::query(INSERT_TOKEN)
            .bind($new.id)
            .bind($new.workspace_id)
            .bind($new.person_id)
            .bind($new.digest.as_bytes().as_slice())
            .bind(&$new.display_prefix)
            .bind(&$new.description)
            .bind($created_at)
            .bind($expires_at)
            .bind($new.mutation.context.token_id)
            .execute(&mut *$tx)
            .await?;
        if let Some(request) = &$new.idempotency {
            sqlx::query(INSERT_RECORD)
                .bind(request.key_digest.as_slice())
                .bind(request.body_digest.as_slice())
                .bind($new.person_id)
                .bind(&request.encrypted_value)
                .bind($new.id)
                .bind(&$new.display_prefix)
                .bind(&$new.description)
                .bind($created_at)
                .bind($expires_at)
                .execute(&mut *$tx)
                .await?;
        }
    };
}

impl Store {
    /// Creates a token if the rules allow it inside the transaction. The transaction locks the
    /// workspace, so its settings and people cannot change until it ends.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time, and
    /// [`Error::AuthorizationLost`](crate::store::Error::AuthorizationLost) if the caller lost its right
    /// meanwhile. The inner result is the rule that forbids the token.
    pub async fn issue_token(
        &self,
        new: &NewToken,
        defaults: Settings,
    ) -> Result<std::result::Result<IssueOutcome, IssueError>> {
        let now = new.mutation.context.at;
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, new.workspace_id, &new.mutation);
            if let Some(form) = new.form {
                let consumed =
                    sqlx::query(sessions::CONSUME_FORM).bind(form.session_id).bind(form.id).execute(&mut *tx).await?;
                if consumed.rows_affected() == 0 {
                    return Ok(Err(IssueError::FormConsumed));
                }
            }
            let person: Option<PersonRow> = sqlx::query_as(SELECT_PERSON)
                .bind(new.workspace_id)
                .bind(new.person_id)
                .fetch_optional(&mut *tx)
                .await?;
            let Some(person) = person else { return Ok(Err(IssueError::PersonUnavailable)) };
            let created_at = person.next_created_at(now);
            let issuer = match context.token_id {
                None => IssuedBy::Person,
                Some(_) => IssuedBy::Token { expires_at: context.expires_at() },
            };
            let rows = sqlx::query_as(settings::SELECT_SETTINGS).bind(new.workspace_id).fetch_all(&mut *tx).await?;
            let policy = person.issue_policy(defaults.with_overrides(settings::parse_rows(rows)?))?;
            let expires_at = new.lifetime.expires_at(created_at);
            if let Err(error) = policy.check(new.lifetime) {
                return Ok(Err(error));
            }
            if let Some(request) = &new.idempotency {
                let key = request.key_digest.as_slice();
                let expired_by = now.plus_seconds(-IDEMPOTENCY_WINDOW_SECONDS);
                sqlx::query(DELETE_EXPIRED_RECORD).bind(key).bind(expired_by).execute(&mut *tx).await?;
                let record: Option<IdempotencyRow> =
                    sqlx::query_as(SELECT_RECORD).bind(key).fetch_optional(&mut *tx).await?;
                if let Some(record) = record {
                    return Ok(record.replay(new, request));
                }
            }
            if let Err(error) = policy.check_issuer(issuer, expires_at) {
                return Ok(Err(error));
            }
            if let Some(max) = new.max_active {
                let active: i64 = sqlx::query_scalar(COUNT_ACTIVE).bind(new.workspace_id).bind(new.person_id).bind(now)
                    .fetch_one(&mut *tx).await?;
                if active >= i64::from(max) {
                    return Ok(Err(IssueError::TooManyActiveTokens { max }));
                }
            }
            insert!(tx, new, created_at, expires_at);
            record!(tx, new.workspace_id, context, new.event(&new.id.to_string(), expires_at));
            tx.commit().await?;
            Ok(Ok(IssueOutcome::Created { created_at, expires_at }))
        })
    }

    /// Deletes the idempotency records that have expired. Returns their number.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time.
    pub async fn purge_idempotency_records(&self, now: Timestamp) -> Result<u64> {
        const DELETE: &str = "delete from idempotency_record where created_at <= $1";
        Ok(on_pool!(self, pool => sqlx::query(DELETE).bind(now.plus_seconds(-IDEMPOTENCY_WINDOW_SECONDS))
            .execute(pool).await.map(|result| result.rows_affected()))?)
    }
}

impl NewToken {
    fn event<'a>(&'a self, target: &'a str, expires_at: Option<Timestamp>) -> EventDraft<'a> {
        let method = match (self.form, self.mutation.context.token_id) {
            (Some(_), _) => "page",
            (None, Some(_)) => "token",
            (None, None) => "password",
        };
        let details = Details::default()
            .with("by", method)
            .with_some("description", Some(self.description.as_str()).filter(|text| !text.is_empty()))
            .with_some("expiresAt", expires_at.map(|time| time.to_string()));
        EventDraft {
            action: Action::TokenCreated,
            person_id: Some(self.person_id),
            target,
            label: &self.display_prefix,
            details,
        }
    }
}

impl PersonRow {
    fn issue_policy(&self, settings: Settings) -> Result<IssuePolicy> {
        let Self { is_admin, is_disabled, .. } = *self;
        Ok(IssuePolicy { is_admin, is_disabled, token_access: parse_token_access(&self.token_access)?, settings })
    }

    /// Returns the creation time of a token created now: later than the person's last bulk
    /// revocation, whatever this node's clock shows.
    fn next_created_at(&self, now: Timestamp) -> Timestamp {
        match self.tokens_revoked_before {
            Some(revoked_before) if revoked_before >= now => Timestamp::from_millis(revoked_before.as_millis() + 1),
            _ => now,
        }
    }
}

impl IdempotencyRow {
    fn replay(self, new: &NewToken, request: &IdempotentRequest) -> std::result::Result<IssueOutcome, IssueError> {
        if self.body_digest != request.body_digest {
            return Err(IssueError::IdempotencyKeyReused);
        }
        if self.unrevoked_count == 0 {
            return Err(IssueError::IdempotentTokenDeleted);
        }
        let token = Token {
            id: self.token_id,
            workspace_id: new.workspace_id,
            person_id: new.person_id,
            display_prefix: self.display_prefix,
            description: self.description,
            created_at: self.created_at,
            expires_at: self.expires_at,
            last_used_at: None,
            parent_id: new.mutation.context.token_id,
        };
        Ok(IssueOutcome::Replayed(ReplayedToken { token, encrypted_value: self.encrypted_value }))
    }
}
