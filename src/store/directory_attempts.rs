//! Password attempts that were sent to a directory. Each is counted before it is sent, so concurrent
//! attempts and other nodes cannot exceed the limit.

use super::{Error, Result, Store, on_pool};
use crate::domain::{directory_attempts::AttemptDigest, time::Timestamp};

impl Store {
    /// Counts an attempt, and begins a new window if the last one has ended. Each attempt up to `limit`
    /// moves the end of the window, as the directory counts from the last wrong password. Returns the
    /// number of attempts in the window, this one included, and its end.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn count_directory_attempt(
        &self,
        account: &AttemptDigest,
        limit: u32,
        now: Timestamp,
        window_ends_at: Timestamp,
    ) -> Result<(u32, Timestamp)> {
        const COUNT: &str = "insert into directory_attempt (account_digest, attempts, window_ends_at) values ($1, 1, $3) \
             on conflict (account_digest) do update set \
             attempts = case when directory_attempt.window_ends_at > $2 then directory_attempt.attempts + 1 else 1 end, \
             window_ends_at = case when directory_attempt.window_ends_at > $2 and directory_attempt.attempts >= $4 \
             then directory_attempt.window_ends_at else $3 end returning attempts, window_ends_at";
        let (attempts, ends_at): (i32, Timestamp) = on_pool!(self, pool => sqlx::query_as(COUNT)
            .bind(account.as_bytes().as_slice()).bind(now).bind(window_ends_at).bind(i64::from(limit)).fetch_one(pool).await)?;
        Ok((u32::try_from(attempts).map_err(|_| Error::corrupt("directory_attempt.attempts"))?, ends_at))
    }

    /// Takes one attempt back, because the directory did not judge its password.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn refund_directory_attempt(&self, account: &AttemptDigest) -> Result<()> {
        const UPDATE: &str =
            "update directory_attempt set attempts = attempts - 1 where account_digest = $1 and attempts > 0";
        Ok(on_pool!(self, pool => sqlx::query(UPDATE).bind(account.as_bytes().as_slice()).execute(pool).await
            .map(|_| ()))?)
    }

    /// Forgets the attempts after a correct password.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn reset_directory_attempts(&self, account: &AttemptDigest) -> Result<()> {
        const DELETE: &str = "delete from directory_attempt where account_digest = $1";
        Ok(on_pool!(self, pool => sqlx::query(DELETE).bind(account.as_bytes().as_slice()).execute(pool).await
            .map(|_| ()))?)
    }

    /// Rejects all attempts until a time, because the directory has locked the account.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn block_directory_attempts(&self, account: &AttemptDigest, until: Timestamp) -> Result<()> {
        const BLOCK: &str = "insert into directory_attempt (account_digest, attempts, window_ends_at) \
             values ($1, 1000000, $2) on conflict (account_digest) do update set attempts = 1000000, \
             window_ends_at = $2";
        Ok(on_pool!(self, pool => sqlx::query(BLOCK).bind(account.as_bytes().as_slice()).bind(until).execute(pool)
            .await.map(|_| ()))?)
    }

    /// Deletes the counts of windows that have ended.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn purge_directory_attempts(&self, now: Timestamp) -> Result<u64> {
        const DELETE: &str = "delete from directory_attempt where window_ends_at <= $1";
        Ok(on_pool!(self, pool => sqlx::query(DELETE).bind(now).execute(pool).await
            .map(|result| result.rows_affected()))?)
    }
}
