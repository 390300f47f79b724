//! Making a token, if the rules allow it at the moment it is kept.

use sqlx::FromRow;
use uuid::Uuid;

use super::access;
use crate::{
    domain::{
        authority::Mutation,
        event::{Action, Details},
        setting::Settings,
        time::Timestamp,
        token::{Grounds, Lifetime, Maker, NotIssued, Token},
    },
    store::{
        Result, Store,
        authority::begin,
        events::{Done, record},
        on_pool, sessions, settings,
    },
};
use tokenward_guard::token_format::TokenDigest;

/// How long the same request is given the same answer.
const REPEATED_FOR_SECONDS: i64 = 600;

/// A token to be kept.
#[derive(Clone, Debug)]
pub struct NewToken {
    pub id: Uuid,
    pub workspace_id: i64,
    pub person_id: i64,
    pub digest: TokenDigest,
    pub hint: String,
    pub description: String,
    pub lifetime: Lifetime,
    /// Who makes it, and when.
    pub mutation: Mutation,
    /// The form on a page that asks for it, which makes one token and no more.
    pub form: Option<Form>,
    /// What makes the same request give the same answer.
    pub once: Option<Once>,
    /// The most live tokens that the person may have with it.
    pub most_live: Option<u32>,
}

/// A form on a page, as it was given to one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    pub session_id: Uuid,
    pub id: Uuid,
}

/// A request that may be sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// SHA-256 over whose key it is and the key.
    pub key: [u8; 32],
    /// SHA-256 of the body.
    pub body: [u8; 32],
    /// The value, encrypted under what only the key gives.
    pub sealed: Vec<u8>,
}

/// What came of a request that was allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issued {
    /// The token is kept, and lives from then till then.
    Now { created_at: Timestamp, expires_at: Option<Timestamp> },
    /// The same request came before.
    Before(Repeated),
}

/// The token that the same request has made already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeated {
    pub token: Token,
    pub sealed: Vec<u8>,
}

#[derive(FromRow)]
struct PersonRow {
    is_admin: bool,
    is_disabled: bool,
    token_access: String,
    tokens_dead_until: Option<Timestamp>,
}

#[derive(FromRow)]
struct RepeatedRow {
    body_digest: Vec<u8>,
    sealed: Vec<u8>,
    token_id: Uuid,
    hint: String,
    description: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    /// 1 while the token lives.
    living: i64,
}

const GROUNDS: &str = "select is_admin, is_disabled, token_access, tokens_dead_until from person \
                       where workspace_id = $1 and id = $2";
const LIVE: &str = "select count(*) from live_token where workspace_id = $1 and person_id = $2 \
                    and (expires_at is null or expires_at > $3)";
const INSERT: &str = "insert into token \
     (id, workspace_id, person_id, digest, hint, description, created_at, expires_at, last_used_at, parent_id) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, null, $9)";
const FORGET: &str = "delete from idempotent_create where key_digest = $1 and created_at <= $2";
const REPEATED: &str = "select body_digest, sealed, token_id, hint, description, created_at, expires_at, \
                        (select count(*) from live_token where id = idempotent_create.token_id) as living \
                        from idempotent_create where key_digest = $1";
const REMEMBER: &str = "insert into idempotent_create \
     (key_digest, body_digest, person_id, sealed, token_id, hint, description, created_at, expires_at) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// Keeps the token, and the answer to the same request where it may be sent again.
macro_rules! insert {
    ($tx:expr, $new:expr, $created_at:expr, $expires_at:expr) => {
        sqlx::query(INSERT)
            .bind($new.id)
            .bind($new.workspace_id)
            .bind($new.person_id)
            .bind($new.digest.as_bytes().as_slice())
            .bind(&$new.hint)
            .bind(&$new.description)
            .bind($created_at)
            .bind($expires_at)
            .bind($new.mutation.act.token_id)
            .execute(&mut *$tx)
            .await?;
        if let Some(once) = &$new.once {
            sqlx::query(REMEMBER)
                .bind(once.key.as_slice())
                .bind(once.body.as_slice())
                .bind($new.person_id)
                .bind(&once.sealed)
                .bind($new.id)
                .bind(&$new.hint)
                .bind(&$new.description)
                .bind($created_at)
                .bind($expires_at)
                .execute(&mut *$tx)
                .await?;
        }
    };
}

impl Store {
    /// Keeps a new token, if the rules allow it at the moment it is kept. Until the transaction ends nobody can change the
    /// workspace's settings or people: a token that was refused by then is never made a moment later.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::store::Error::Unavailable); the inner result says which rule forbids it.
    pub async fn issue_token(
        &self,
        new: &NewToken,
        defaults: Settings,
    ) -> Result<std::result::Result<Issued, NotIssued>> {
        let now = new.mutation.act.at;
        on_pool!(self, pool => {
            let (mut tx, act, _) = begin!(self, pool, new.workspace_id, &new.mutation);
            if let Some(form) = new.form {
                let spent = sqlx::query(sessions::SPEND).bind(form.session_id).bind(form.id).execute(&mut *tx).await?;
                if spent.rows_affected() == 0 {
                    return Ok(Err(NotIssued::FormSpent));
                }
            }
            let person: Option<PersonRow> =
                sqlx::query_as(GROUNDS).bind(new.workspace_id).bind(new.person_id).fetch_optional(&mut *tx).await?;
            let Some(person) = person else { return Ok(Err(NotIssued::PersonGone)) };
            let created_at = person.next_moment(now);
            let maker = act.token_id.map_or(Maker::Person, |_| Maker::Token { expires_at: act.expires_at() });
            let set = sqlx::query_as(settings::SELECT).bind(new.workspace_id).fetch_all(&mut *tx).await?;
            let grounds = person.grounds(defaults.overlaid(settings::read(set)?))?;
            let expires_at = new.lifetime.end(created_at);
            if let Err(refused) = grounds.permit(new.lifetime) {
                return Ok(Err(refused));
            }
            if let Some(once) = &new.once {
                let key = once.key.as_slice();
                sqlx::query(FORGET).bind(key).bind(now.plus_seconds(-REPEATED_FOR_SECONDS)).execute(&mut *tx).await?;
                let before: Option<RepeatedRow> = sqlx::query_as(REPEATED).bind(key).fetch_optional(&mut *tx).await?;
                if let Some(before) = before {
                    return Ok(before.again(new, once));
                }
            }
            if let Err(refused) = grounds.permit_maker(maker, expires_at) {
                return Ok(Err(refused));
            }
            if let Some(most) = new.most_live {
                let live: i64 = sqlx::query_scalar(LIVE).bind(new.workspace_id).bind(new.person_id).bind(now)
                    .fetch_one(&mut *tx).await?;
                if live >= i64::from(most) {
                    return Ok(Err(NotIssued::TooMany { most }));
                }
            }
            insert!(tx, new, created_at, expires_at);
            record!(tx, new.workspace_id, act, new.told(&new.id.to_string(), expires_at));
            tx.commit().await?;
            Ok(Ok(Issued::Now { created_at, expires_at }))
        })
    }

    /// Removes answers that are no longer given again; answers how many.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::store::Error::Unavailable).
    pub async fn delete_repeatable(&self, now: Timestamp) -> Result<u64> {
        const DELETE: &str = "delete from idempotent_create where created_at <= $1";
        Ok(on_pool!(self, pool => sqlx::query(DELETE).bind(now.plus_seconds(-REPEATED_FOR_SECONDS))
            .execute(pool).await.map(|done| done.rows_affected()))?)
    }
}

impl NewToken {
    fn told<'a>(&'a self, target: &'a str, expires_at: Option<Timestamp>) -> Done<'a> {
        let by = match (self.form, self.mutation.act.token_id) {
            (Some(_), _) => "page",
            (None, Some(_)) => "token",
            (None, None) => "password",
        };
        let details = Details::default()
            .with("by", by)
            .with_some("description", Some(self.description.as_str()).filter(|text| !text.is_empty()))
            .with_some("expiresAt", expires_at.map(|end| end.to_string()));
        Done { action: Action::TokenCreated, person_id: Some(self.person_id), target, label: &self.hint, details }
    }
}

impl PersonRow {
    fn grounds(&self, settings: Settings) -> Result<Grounds> {
        let Self { is_admin, is_disabled, .. } = *self;
        Ok(Grounds { is_admin, is_disabled, token_access: access(&self.token_access)?, settings })
    }

    /// When a token made now begins: behind the moment until which all of the person's are dead, whatever this node's clock says.
    fn next_moment(&self, now: Timestamp) -> Timestamp {
        match self.tokens_dead_until {
            Some(dead_until) if dead_until >= now => Timestamp::from_millis(dead_until.as_millis() + 1),
            _ => now,
        }
    }
}

impl RepeatedRow {
    fn again(self, new: &NewToken, once: &Once) -> std::result::Result<Issued, NotIssued> {
        if self.body_digest != once.body {
            return Err(NotIssued::OtherBody);
        }
        if self.living == 0 {
            return Err(NotIssued::Deleted);
        }
        let token = Token {
            id: self.token_id,
            workspace_id: new.workspace_id,
            person_id: new.person_id,
            hint: self.hint,
            description: self.description,
            created_at: self.created_at,
            expires_at: self.expires_at,
            last_used_at: None,
            parent_id: new.mutation.act.token_id,
        };
        Ok(Issued::Before(Repeated { token, sealed: self.sealed }))
    }
}
