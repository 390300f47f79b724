//! Removing people and workspaces that hold many rows: revoked by one row at once, removed in parts afterwards.

use super::{Result, Store, on_pool};

/// The most tokens, people or events that the deletion of an account or a workspace takes along in one statement.
pub(super) const MOST_AT_ONCE: i64 = 1_000;

/// Counts the tokens of a person, up to a limit.
pub(super) const TOKENS_OF_PERSON: &str =
    "select count(*) from (select 1 from token where workspace_id = $1 and person_id = $2 limit $3) few";

/// Takes everything from a person but the row: rights, tokens and the e-mail, which another account may have from now on.
pub(super) const REVOKE_PERSON: &str = "update person set removed_at = $3, updated_at = $3, is_disabled = true, is_admin = false, \
     is_platform_admin = false, email_key = 'removed ' || id, tokens_dead_until = coalesce((select max(created_at) from token \
     where workspace_id = $1 and person_id = $2 and created_at > $3), $3) where workspace_id = $1 and id = $2";

/// Counts the rows of a workspace, up to a limit for each kind.
pub(super) const ROWS_OF_WORKSPACE: &str = "select (select count(*) from (select 1 from token where workspace_id = $1 limit $2) t) \
     + (select count(*) from (select 1 from person where workspace_id = $1 limit $2) p) \
     + (select count(*) from (select 1 from event where workspace_id = $1 limit $2) e)";

impl Store {
    /// Removes one part of what removed people and workspaces left behind; returns how many rows. None are left where it returns 0.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable).
    pub async fn remove_remains(&self, most: i64) -> Result<u64> {
        const STEPS: [&str; 5] = [
            "delete from token where id in (select t.id from workspace w join token t on t.workspace_id = w.id \
             where w.removed_at is not null limit $1)",
            "delete from person where id in (select p.id from workspace w join person p on p.workspace_id = w.id \
             where w.removed_at is not null limit $1)",
            "delete from event where id in (select e.id from workspace w join event e on e.workspace_id = w.id \
             where w.removed_at is not null limit $1)",
            "delete from workspace where id in (select w.id from workspace w where w.removed_at is not null \
             and not exists (select 1 from token t where t.workspace_id = w.id) \
             and not exists (select 1 from person p where p.workspace_id = w.id) \
             and not exists (select 1 from event e where e.workspace_id = w.id) limit $1)",
            "delete from person where id in (select p.id from person p where p.removed_at is not null \
             and not exists (select 1 from token t where t.workspace_id = p.workspace_id and t.person_id = p.id) limit $1)",
        ];
        for step in STEPS {
            let removed = on_pool!(self, pool => sqlx::query(step).bind(most).execute(pool).await.map(|done| done.rows_affected()))?;
            if removed > 0 {
                return Ok(removed);
            }
        }
        Ok(0)
    }
}
