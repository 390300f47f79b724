//! Wrong passwords in a row.

use super::{Error, Result, Store, on_pool};
use crate::domain::{
    login_failures::{FORGOTTEN_AFTER_SECONDS, Tries},
    person::EmailDigest,
    time::Timestamp,
};

/// Forgets the tries of an account, on any connection.
pub(super) const CLEAR: &str = "delete from password_try where email_digest = $1";

impl Store {
    /// The wrong passwords that were tried for an e-mail, as far as they are not forgotten.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn find_tries(&self, email: &EmailDigest, now: Timestamp) -> Result<Option<Tries>> {
        const SELECT: &str = "select failures, last_at from password_try where email_digest = $1 and last_at > $2";
        let row: Option<(i32, Timestamp)> = on_pool!(self, pool => sqlx::query_as(SELECT)
            .bind(email.as_bytes().as_slice()).bind(now.plus_seconds(-FORGOTTEN_AFTER_SECONDS)).fetch_optional(pool).await)?;
        row.map(|(failures, last_at)| {
            let failures = u32::try_from(failures).map_err(|_| Error::corrupt("password_try.failures"))?;
            Ok(Tries { failures, last_at })
        })
        .transpose()
    }

    /// Counts a wrong password; of many at once each is counted.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn count_try(&self, email: &EmailDigest, now: Timestamp) -> Result<()> {
        const COUNT: &str = "insert into password_try (email_digest, failures, last_at) values ($1, 1, $2) \
             on conflict (email_digest) do update set \
             failures = case when password_try.last_at > $3 then password_try.failures + 1 else 1 end, last_at = $2";
        on_pool!(self, pool => sqlx::query(COUNT).bind(email.as_bytes().as_slice()).bind(now)
            .bind(now.plus_seconds(-FORGOTTEN_AFTER_SECONDS)).execute(pool).await.map(|_| ()))?;
        Ok(())
    }

    /// Forgets the wrong passwords of an e-mail; answers whether there were any.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn clear_tries(&self, email: &EmailDigest) -> Result<bool> {
        let done = on_pool!(self, pool => sqlx::query(CLEAR).bind(email.as_bytes().as_slice())
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(done == 1)
    }

    /// Removes what is forgotten; answers how many e-mails that were.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn delete_forgotten_tries(&self, now: Timestamp) -> Result<u64> {
        const DELETE: &str = "delete from password_try where last_at <= $1";
        Ok(on_pool!(self, pool => sqlx::query(DELETE).bind(now.plus_seconds(-FORGOTTEN_AFTER_SECONDS))
            .execute(pool).await.map(|done| done.rows_affected()))?)
    }
}
