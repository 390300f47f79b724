//! Deletion of people and workspaces with many rows: marked as removed by one row, then deleted in
//! batches.

use super::{Result, Store, on_pool};

/// Maximum number of tokens, people or events that the deletion of an account or workspace deletes
/// in one statement.
pub(super) const MAX_ROWS_PER_STATEMENT: i64 = 1_000;

/// Counts the tokens of a person, up to a limit.
pub(super) const COUNT_PERSON_TOKENS: &str =
    "select count(*) from (select 1 from token where workspace_id = $1 and person_id = $2 limit $3) few";

/// Revokes all rights and tokens of a person and frees the e-mail for another account. The row
/// stays.
pub(super) const REVOKE_PERSON: &str = "update person set removed_at = $3, updated_at = $3, is_disabled = true, \
     is_admin = false, is_platform_admin = false, email_key = 'deleted ' || id, tokens_revoked_before = \
     coalesce((select max(created_at) from token where workspace_id = $1 and person_id = $2 and created_at > $3), \
     $3) where workspace_id = $1 and id = $2";

/// Counts the rows of a workspace, up to a limit for each kind.
pub(super) const COUNT_WORKSPACE_ROWS: &str = "select (select count(*) from (select 1 from token where workspace_id \
     = $1 limit $2) t) + (select count(*) from (select 1 from person where workspace_id = $1 limit $2) p) + (select \
     count(*) from (select 1 from event where workspace_id = $1 limit $2) e)";

impl Store {
    /// Deletes one batch of the rows of removed people and workspaces. Returns its size, which is 0
    /// if no row is left.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn purge_removed(&self, limit: i64) -> Result<u64> {
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
            "delete from person where id in (select p.id from person p where p.removed_at is not null and not exists \
             (select 1 from token t where t.workspace_id = p.workspace_id and t.person_id = p.id) limit $1)",
        ];
        for step in STEPS {
            let deleted = on_pool!(self, pool => sqlx::query(step).bind(limit).execute(pool).await
                .map(|result| result.rows_affected()))?;
            if deleted > 0 {
                return Ok(deleted);
            }
        }
        Ok(0)
    }
}
