//! Values as SQL literals of both databases.

use uuid::Uuid;

use super::{NOW, OldToken};
use crate::support::Engine;

/// Writes values as SQL literals of an engine.
pub(super) struct SqlLiterals(pub(super) Engine);

impl SqlLiterals {
    pub(super) fn bytes(&self, bytes: &[u8]) -> String {
        let digits = hex::encode(bytes);
        match self.0 {
            Engine::Postgres => format!("'\\x{digits}'::bytea"),
            Engine::Sqlite => format!("x'{digits}'"),
        }
    }

    pub(super) fn uuid(&self, id: Uuid) -> String {
        match self.0 {
            Engine::Postgres => format!("'{id}'::uuid"),
            Engine::Sqlite => self.bytes(id.as_bytes()),
        }
    }

    /// Returns the literal of a time, relative to the test clock.
    pub(super) fn timestamp(&self, seconds: i64) -> String {
        let moment = NOW.plus_seconds(seconds);
        match self.0 {
            Engine::Postgres => format!("'{moment}'::timestamptz"),
            Engine::Sqlite => moment.as_millis().to_string(),
        }
    }

    pub(super) fn boolean(&self, is_set: bool) -> &'static str {
        match (self.0, is_set) {
            (Engine::Postgres, true) => "true",
            (Engine::Postgres, false) => "false",
            (Engine::Sqlite, true) => "1",
            (Engine::Sqlite, false) => "0",
        }
    }

    pub(super) fn insert_token(
        &self,
        token: &OldToken,
        (workspace, person): (i64, i64),
        created: i64,
        expires: Option<i64>,
    ) -> String {
        let (id, digest, created) = (self.uuid(token.id), self.bytes(&token.digest), self.timestamp(created));
        let expires = expires.map_or("null".to_owned(), |seconds| self.timestamp(seconds));
        let display_prefix = &token.value[..8];
        format!(
            "insert into token (id, workspace_id, person_id, digest, display_prefix, description, created_at, expires_at) \
             values ({id}, {workspace}, {person}, {digest}, '{display_prefix}', 'old data', {created}, {expires})"
        )
    }
}
