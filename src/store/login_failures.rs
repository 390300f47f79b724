//! Consecutive login failures per e-mail.

use super::{Error, Result, Store, on_pool};
use crate::domain::{
    login_failures::{LoginFailures, RESET_AFTER_SECONDS},
    person::EmailDigest,
    time::Timestamp,
};

/// Deletes the login failures of an e-mail, on any connection.
pub(super) const DELETE_LOGIN_FAILURES: &str = "delete from login_failure where email_digest = $1";

impl Store {
    /// Finds the login failures of an e-mail that have not expired.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached, and [`Error::Corrupt`] if
    /// the stored count is invalid.
    pub async fn find_login_failures(&self, email: &EmailDigest, now: Timestamp) -> Result<Option<LoginFailures>> {
        const SELECT: &str = "select failures, last_at from login_failure where email_digest = $1 and last_at > $2";
        let row: Option<(i32, Timestamp)> = on_pool!(self, pool => sqlx::query_as(SELECT)
            .bind(email.as_bytes().as_slice()).bind(now.plus_seconds(-RESET_AFTER_SECONDS)).fetch_optional(pool).await)?;
        row.map(|(failures, last_at)| {
            let failures = u32::try_from(failures).map_err(|_| Error::corrupt("login_failure.failures"))?;
            Ok(LoginFailures { count: failures, last_failed_at: last_at })
        })
        .transpose()
    }

    /// Counts a login failure. Concurrent failures are all counted.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn record_login_failure(&self, email: &EmailDigest, now: Timestamp) -> Result<()> {
        const COUNT: &str = "insert into login_failure (email_digest, failures, last_at) values ($1, 1, $2) \
             on conflict (email_digest) do update set \
             failures = case when login_failure.last_at > $3 then login_failure.failures + 1 else 1 end, last_at = $2";
        on_pool!(self, pool => sqlx::query(COUNT).bind(email.as_bytes().as_slice()).bind(now)
            .bind(now.plus_seconds(-RESET_AFTER_SECONDS)).execute(pool).await.map(|_| ()))?;
        Ok(())
    }

    /// Deletes the login failures of an e-mail. Returns whether there were any.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn delete_login_failures(&self, email: &EmailDigest) -> Result<bool> {
        let deleted = on_pool!(self, pool => sqlx::query(DELETE_LOGIN_FAILURES).bind(email.as_bytes().as_slice())
            .execute(pool).await.map(|result| result.rows_affected()))?;
        Ok(deleted == 1)
    }

    /// Deletes expired login failures. Returns the number of e-mails.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn purge_login_failures(&self, now: Timestamp) -> Result<u64> {
        const DELETE: &str = "delete from login_failure where last_at <= $1";
        Ok(on_pool!(self, pool => sqlx::query(DELETE).bind(now.plus_seconds(-RESET_AFTER_SECONDS))
            .execute(pool).await.map(|result| result.rows_affected()))?)
    }
}
