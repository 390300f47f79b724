//! Token statements. `lookup` reads tokens by digest, `issue` creates tokens, `exchange` creates them for
//! JWTs, `replace` schedules the
//! deletion of older ones, `list` lists them, `delete` and `family` delete them, and `descendants`
//! revokes all tokens of a person and reads tombstones.

use uuid::Uuid;

use super::{Error, Result, Store, columns::parse_limits, from_row, on_pool};
use crate::domain::{
    id::{PersonId, WorkspaceId},
    time::Timestamp,
    token::{Replacement, Token},
};

use tokenward_guard::token_format::TokenDigest;

/// Column of the client address of the last use of the token `t`, null if the workspace does not record
/// addresses.
macro_rules! last_used_from {
    () => {
        "(select l.last_used_from from token l where l.id = t.id and not exists (select 1 from setting s where \
         s.workspace_id = l.workspace_id and s.key = 'tokenward.recordAddresses' and s.value = 'false')) as \
         last_used_from"
    };
}

/// Columns of [`TokenRow`] in the view `unrevoked_token`.
macro_rules! token_columns {
    () => {
        concat!(
            "t.id, t.workspace_id, t.person_id, t.display_prefix, t.description, t.created_at, t.expires_at, \
             t.last_used_at, t.parent_id, t.trust_rule_id, t.limits, t.deletes_at, t.replaced_by, ",
            last_used_from!()
        )
    };
}

mod bulk_delete;
mod delete;
mod descendants;
mod due_deletion;
mod exchange;
pub(super) mod family;
mod filter;
mod idempotency;
mod issue;
mod list;
mod lookup;
mod new_token;
mod replace;

pub use bulk_delete::BulkDeletion;
use delete::{DeletedToken, DeletedTokenWithDigest};
pub use descendants::TokenLabel;
pub use exchange::{ExchangeDenied, NewExchange};
pub use family::DeletedFamily;
pub use list::{TokenListQuery, TokenOwner};
pub use lookup::FoundToken;
pub use new_token::{ConsumedForm, DeviceGrant, IdempotentRequest, IssueOutcome, NewToken, Replaces, ReplayedToken};

/// Set of tokens that a method may access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerScope {
    /// The tokens of one person.
    Person { workspace_id: WorkspaceId, person_id: PersonId },
    /// The tokens of one person, and those of the service accounts of which the person is a custodian.
    Custody { workspace_id: WorkspaceId, person_id: PersonId },
    /// All tokens of a workspace.
    Workspace(WorkspaceId),
}

impl OwnerScope {
    const fn workspace_id(self) -> WorkspaceId {
        match self {
            Self::Person { workspace_id, .. } | Self::Custody { workspace_id, .. } | Self::Workspace(workspace_id) => {
                workspace_id
            }
        }
    }

    const fn person_id(self) -> Option<PersonId> {
        match self {
            Self::Person { person_id, .. } | Self::Custody { person_id, .. } => Some(person_id),
            Self::Workspace(_) => None,
        }
    }

    /// Returns the custodian whose service accounts are included.
    const fn custodian(self) -> Option<PersonId> {
        if let Self::Custody { person_id, .. } = self { Some(person_id) } else { None }
    }
}

/// Condition that a token belongs to person `$3`, if there is one, or to a service account of which
/// person `$4` is a custodian.
macro_rules! is_in_scope {
    () => {
        "(person_id = coalesce($3, person_id) \
         or person_id in (select c.service_account_id from custodian c where c.person_id = $4))"
    };
}
use is_in_scope;

fn parse_digest(bytes: &[u8]) -> Result<TokenDigest> {
    bytes.try_into().map(TokenDigest::from_bytes).map_err(|_| Error::corrupt("token.digest"))
}

struct TokenRow {
    id: Uuid,
    workspace_id: WorkspaceId,
    person_id: PersonId,
    display_prefix: String,
    description: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    last_used_from: Option<String>,
    parent_id: Option<Uuid>,
    trust_rule_id: Option<Uuid>,
    limits: Option<String>,
    deletes_at: Option<Timestamp>,
    replaced_by: Option<Uuid>,
}

from_row!(TokenRow {
    id,
    workspace_id,
    person_id,
    display_prefix,
    description,
    created_at,
    expires_at,
    last_used_at,
    last_used_from,
    parent_id,
    trust_rule_id,
    limits,
    deletes_at,
    replaced_by
});

impl TryFrom<TokenRow> for Token {
    type Error = Error;

    fn try_from(row: TokenRow) -> Result<Self> {
        let replacement = row.replaced_by.zip(row.deletes_at);
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            person_id: row.person_id,
            display_prefix: row.display_prefix,
            description: row.description,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            last_used_from: row.last_used_from.and_then(|address| address.parse().ok()),
            parent_id: row.parent_id,
            trust_rule_id: row.trust_rule_id,
            limits: parse_limits(row.limits.as_deref())?,
            replacement: replacement.map(|(replaced_by, deletes_at)| Replacement { replaced_by, deletes_at }),
        })
    }
}

impl Store {
    /// Finds an unrevoked token within the scope.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn find_token(&self, scope: OwnerScope, id: Uuid) -> Result<Option<Token>> {
        const SELECT: &str = concat!(
            "select ",
            token_columns!(),
            " from unrevoked_token t where t.id = $1 and t.workspace_id = $2 and ",
            is_in_scope!()
        );
        let row: Option<TokenRow> = on_pool!(self, pool => sqlx::query_as(SELECT)
            .bind(id).bind(scope.workspace_id()).bind(scope.person_id()).bind(scope.custodian()).fetch_optional(pool).await)?;
        row.map(Token::try_from).transpose()
    }
}
