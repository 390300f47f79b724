//! Tokens: issuing, looking up by digest, reading; lists are in `list`, deleting in `delete`.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Error, Pool, Result, Store, events::record, on_pool, sessions, settings};
use crate::{
    domain::{
        event::{Act, Action},
        person::TokenAccess,
        setting::{Key, Settings, Value},
        time::Timestamp,
        token::{Grounds, Lifetime, NotIssued, Token},
    },
    value::TokenDigest,
};

mod delete;
mod list;

use delete::Gone;
pub use list::{TokenFilter, TokenOwner};

/// A token to be kept.
#[derive(Clone, Debug)]
pub struct NewToken {
    pub id: Uuid,
    pub workspace_id: i64,
    pub person_id: i64,
    pub digest: TokenDigest,
    pub hint: String,
    pub description: String,
    pub created_at: Timestamp,
    pub lifetime: Lifetime,
    /// Who makes it; at `created_at`.
    pub act: Act,
    /// The form on a page that asks for it, which makes one token and no more.
    pub form: Option<Form>,
}

/// A form on a page, as it was given to one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    pub session_id: Uuid,
    pub id: Uuid,
}

/// Whose tokens a method may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Those of one person.
    Person { workspace_id: i64, person_id: i64 },
    /// Those of everybody in a workspace.
    Workspace(i64),
}

impl Owner {
    const fn workspace_id(self) -> i64 {
        match self {
            Self::Person { workspace_id, .. } | Self::Workspace(workspace_id) => workspace_id,
        }
    }

    const fn person_id(self) -> Option<i64> {
        match self {
            Self::Person { person_id, .. } => Some(person_id),
            Self::Workspace(_) => None,
        }
    }
}

/// What a check learns of a token: facts, no decision.
#[derive(Clone, Debug)]
pub struct Found {
    pub token_id: Uuid,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub person_id: i64,
    pub workspace_id: i64,
    pub email: String,
    pub name: String,
    pub is_admin: bool,
    pub is_platform_admin: bool,
    pub is_disabled: bool,
    pub token_access: TokenAccess,
    /// What the workspace set its switch to, if it did.
    pub enabled: Option<bool>,
}

/// The columns of a check, in the order of its statement: looking them up by name would cost as much as the rest.
type FoundRow =
    (Vec<u8>, Uuid, Timestamp, Option<Timestamp>, i64, i64, String, String, bool, bool, bool, String, Option<String>);

fn found(row: FoundRow) -> Result<(TokenDigest, Found)> {
    let (bytes, token_id, created_at, expires_at, person_id, workspace_id, email, name, ..) = row;
    let (.., is_admin, is_platform_admin, is_disabled, token_access, enabled) = row;
    let enabled = match enabled.map(|text| Key::Enabled.parse_value(&text)) {
        None => None,
        Some(Some(Value::Switch(on))) => Some(on),
        Some(_) => return Err(Error::corrupt("setting.value")),
    };
    let found = Found {
        token_id,
        created_at,
        expires_at,
        person_id,
        workspace_id,
        email,
        name,
        is_admin,
        is_platform_admin,
        is_disabled,
        token_access: access(&token_access)?,
        enabled,
    };
    Ok((digest(&bytes)?, found))
}

fn digest(bytes: &[u8]) -> Result<TokenDigest> {
    bytes.try_into().map(TokenDigest::from_bytes).map_err(|_| Error::corrupt("token.digest"))
}

fn access(text: &str) -> Result<TokenAccess> {
    TokenAccess::parse(text).map_err(|_| Error::corrupt("person.token_access"))
}

#[derive(FromRow)]
struct TokenRow {
    id: Uuid,
    workspace_id: i64,
    person_id: i64,
    hint: String,
    description: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
}

impl From<TokenRow> for Token {
    fn from(row: TokenRow) -> Self {
        Self {
            id: row.id,
            workspace_id: row.workspace_id,
            person_id: row.person_id,
            hint: row.hint,
            description: row.description,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        }
    }
}

impl Store {
    /// Keeps a new token, if the rules allow it at the moment it is kept. Until the transaction ends nobody can change the
    /// workspace's settings or people: a token that was refused by then is never made a moment later.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; the inner result says which rule forbids it.
    pub async fn issue_token(&self, new: &NewToken, defaults: Settings) -> Result<std::result::Result<(), NotIssued>> {
        const GROUNDS: &str =
            "select is_admin, is_disabled, token_access from person where workspace_id = $1 and id = $2";
        // A token that was deleted while it asked makes no other.
        const PRESENTED: &str = "select workspace_id from token where id = $1";
        const INSERT: &str = "insert into token \
             (id, workspace_id, person_id, digest, hint, description, created_at, expires_at, last_used_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, null)";
        let hold = self.hold_statement();
        on_pool!(self, pool => {
            let mut tx = pool.begin().await?;
            sqlx::query(hold).bind(new.workspace_id).execute(&mut *tx).await?;
            if let Some(form) = new.form {
                let spent = sqlx::query(sessions::SPEND).bind(form.session_id).bind(form.id).execute(&mut *tx).await?;
                if spent.rows_affected() == 0 {
                    return Ok(Err(NotIssued::FormSpent));
                }
            }
            let person: Option<(bool, bool, String)> =
                sqlx::query_as(GROUNDS).bind(new.workspace_id).bind(new.person_id).fetch_optional(&mut *tx).await?;
            if let Some(parent) = new.act.token_id {
                let is_there: Option<i64> = sqlx::query_scalar(PRESENTED).bind(parent).fetch_optional(&mut *tx).await?;
                if is_there.is_none() {
                    return Ok(Err(NotIssued::TokenGone));
                }
            }
            let set = sqlx::query_as(settings::SELECT).bind(new.workspace_id).fetch_all(&mut *tx).await?;
            if let Err(refused) = permit(person, set, defaults, new.lifetime)? {
                return Ok(Err(refused));
            }
            sqlx::query(INSERT)
                .bind(new.id)
                .bind(new.workspace_id)
                .bind(new.person_id)
                .bind(new.digest.as_bytes().as_slice())
                .bind(&new.hint)
                .bind(&new.description)
                .bind(new.created_at)
                .bind(new.lifetime.end(new.created_at))
                .execute(&mut *tx)
                .await?;
            let row = Gone { id: new.id, person_id: new.person_id, hint: new.hint.clone(), description: new.description.clone() };
            record!(tx, new.workspace_id, &new.act, row.told(Action::TokenCreated, &row.id.to_string()));
            tx.commit().await?;
        });
        Ok(Ok(()))
    }

    /// Keeps the workspace's row from changing. Holders queue, so that a change of settings comes to its turn however many
    /// tokens are being made; a shared lock would let them pass it. SQLite knows only writers, one at a time.
    pub(super) fn hold_statement(&self) -> &'static str {
        match self.pool {
            Pool::Postgres(_) => "select id from workspace where id = $1 for no key update",
            Pool::Sqlite(_) => "update workspace set id = id where id = $1",
        }
    }

    /// How many reads of [`Store::find_by_digests`] are worth making at once.
    #[must_use]
    pub fn readers(&self) -> usize {
        match self.pool {
            Pool::Postgres(_) => 2,
            Pool::Sqlite(_) => 1,
        }
    }

    /// The facts of checks, in one indexed read: tokens, holders and the workspaces' switches. Digests that no token has are
    /// not among the answers.
    ///
    /// # Errors
    /// [`Error::Unavailable`], which is not "no such token".
    pub async fn find_by_digests(&self, digests: &[TokenDigest]) -> Result<Vec<(TokenDigest, Found)>> {
        macro_rules! facts {
            ($person:literal, $condition:literal) => {
                concat!(
                    "select t.digest, t.id, t.created_at, t.expires_at, p.id, p.workspace_id, p.email, p.name, p.is_admin, \
                     p.is_platform_admin, p.is_disabled, p.token_access, \
                     (select value from setting where workspace_id = t.workspace_id and key = $2) from token t join ",
                    $person,
                    " where t.digest ",
                    $condition
                )
            };
        }
        // Each person by the index: the planner would rather read all of a small workspace for a handful of tokens, and does not
        // look behind an offset.
        const MANY: &str = facts!(
            "lateral (select id, workspace_id, email, name, is_admin, is_platform_admin, is_disabled, token_access \
             from person where id = t.person_id offset 0) p on true",
            "= any($1)"
        );
        const ONE: &str = facts!("person p on p.id = t.person_id", "= $1");
        let key = Key::Enabled.as_str();
        let rows: Vec<FoundRow> = match &self.pool {
            Pool::Postgres(pool) => {
                let digests: Vec<&[u8]> = digests.iter().map(|digest| digest.as_bytes().as_slice()).collect();
                sqlx::query_as(MANY).bind(digests).bind(key).fetch_all(pool).await?
            }
            // SQLite has no arrays, and no way to its file that would be worth saving.
            Pool::Sqlite(pool) => {
                let mut rows = Vec::new();
                for digest in digests {
                    let bytes = digest.as_bytes().as_slice();
                    rows.extend(sqlx::query_as(ONE).bind(bytes).bind(key).fetch_optional(pool).await?);
                }
                rows
            }
        };
        rows.into_iter().map(found).collect()
    }

    /// Finds a token within reach of an owner.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn find_token(&self, owner: Owner, id: Uuid) -> Result<Option<Token>> {
        const SELECT: &str = "select id, workspace_id, person_id, hint, description, created_at, expires_at, last_used_at \
             from token where id = $1 and workspace_id = $2 and person_id = coalesce($3, person_id)";
        let row: Option<TokenRow> = on_pool!(self, pool => sqlx::query_as(SELECT)
            .bind(id).bind(owner.workspace_id()).bind(owner.person_id()).fetch_optional(pool).await)?;
        Ok(row.map(Token::from))
    }
}

fn permit(
    person: Option<(bool, bool, String)>,
    set: Vec<(String, String)>,
    defaults: Settings,
    lifetime: Lifetime,
) -> Result<std::result::Result<(), NotIssued>> {
    let Some((is_admin, is_disabled, token_access)) = person else { return Ok(Err(NotIssued::PersonGone)) };
    let in_force = defaults.overlaid(settings::read(set)?);
    let grounds = Grounds { is_admin, is_disabled, token_access: access(&token_access)?, settings: in_force };
    Ok(grounds.permit(lifetime))
}
