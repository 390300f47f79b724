//! Known sign-in sources and the login failures that each of them caused.

use super::{Error, Result, Store, on_pool};
use crate::domain::{
    id::PersonId,
    login_failures::{LoginFailures, RESET_AFTER_SECONDS},
    person::EmailDigest,
    source::{MAX_SOURCES_PER_KIND, RETENTION_SECONDS, SignInSource, SourceDigest},
    time::Timestamp,
};

/// Resets the failure counters of a person's sources, on any connection.
pub(super) const RESET_SOURCE_FAILURES: &str =
    "update known_source set failures = 0, failed_at = null where person_id = $1";

/// Known source and its consecutive login failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownSource {
    pub digest: SourceDigest,
    /// Last sign-in from the source, to the day.
    pub last_seen_at: Timestamp,
    /// `None` if the last password from the source was correct.
    pub failures: Option<LoginFailures>,
}

/// Login failures that count against an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginFailureCounts {
    /// Failures from all sources that are not known.
    pub unknown_sources: Option<LoginFailures>,
    /// Those of the attempt's sources that are known.
    pub known_sources: Vec<KnownSource>,
}

type Row = (Option<Vec<u8>>, Option<Timestamp>, i32, Option<Timestamp>);

impl Store {
    /// Reads the login failures that count against an attempt from `sources`. It executes one
    /// statement whether or not the account exists, so its duration does not reveal that.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached, and [`Error::Corrupt`] if
    /// a row is invalid.
    pub async fn find_login_failure_counts(
        &self,
        email: &EmailDigest,
        person_id: Option<PersonId>,
        sources: &[SignInSource],
        now: Timestamp,
    ) -> Result<LoginFailureCounts> {
        const SELECT: &str = "select cast(null as bytea), last_at, failures, last_at from login_failure \
             where email_digest = $1 and last_at > $2 union all \
             select digest, last_seen_at, failures, failed_at from known_source \
             where person_id = $3 and digest in ($4, $5) and last_seen_at > $6";
        // No digest is empty, and no person has the ID 0.
        let digest_at = |index: usize| sources.get(index).map_or(&[][..], |source| source.digest.as_bytes().as_slice());
        let rows: Vec<Row> = on_pool!(self, pool => sqlx::query_as(SELECT)
            .bind(email.as_bytes().as_slice())
            .bind(now.plus_seconds(-RESET_AFTER_SECONDS))
            .bind(person_id.map_or(0, PersonId::get))
            .bind(digest_at(0))
            .bind(digest_at(1))
            .bind(now.plus_seconds(-RETENTION_SECONDS))
            .fetch_all(pool)
            .await)?;
        let mut counts = LoginFailureCounts::default();
        for (digest, last_seen_at, failures, failed_at) in rows {
            let failures = parse_failures(failures, failed_at, now)?;
            match digest {
                None => counts.unknown_sources = failures,
                Some(digest) => {
                    let source = sources.iter().find(|source| source.digest.as_bytes().as_slice() == digest);
                    let digest = source.ok_or_else(|| Error::corrupt("known_source.digest"))?.digest;
                    let last_seen_at = last_seen_at.ok_or_else(|| Error::corrupt("known_source.last_seen_at"))?;
                    counts.known_sources.push(KnownSource { digest, last_seen_at, failures });
                }
            }
        }
        Ok(counts)
    }

    /// Returns whether one of these sources is a known one of the person.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn has_known_source(
        &self,
        person_id: PersonId,
        sources: &[SignInSource],
        now: Timestamp,
    ) -> Result<bool> {
        const SELECT: &str = "select exists (select 1 from known_source where person_id = $1 and digest in ($2, $3) \
                              and last_seen_at > $4)";
        let digest_at = |index: usize| sources.get(index).map_or(&[][..], |source| source.digest.as_bytes().as_slice());
        Ok(on_pool!(self, pool => sqlx::query_scalar(SELECT).bind(person_id).bind(digest_at(0)).bind(digest_at(1))
            .bind(now.plus_seconds(-RETENTION_SECONDS)).fetch_one(pool).await)?)
    }

    /// Lists the consecutive login failures of an account: those from unknown sources, and those of
    /// each known source.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached, and [`Error::Corrupt`] if
    /// a row is invalid.
    pub async fn list_login_failures(
        &self,
        email: &EmailDigest,
        person_id: PersonId,
        now: Timestamp,
    ) -> Result<Vec<LoginFailures>> {
        const SELECT: &str = "select failures, last_at from login_failure where email_digest = $1 and last_at > $2 \
             union all select failures, failed_at from known_source where person_id = $3 and failed_at > $2";
        let rows: Vec<(i32, Option<Timestamp>)> = on_pool!(self, pool => sqlx::query_as(SELECT)
            .bind(email.as_bytes().as_slice())
            .bind(now.plus_seconds(-RESET_AFTER_SECONDS))
            .bind(person_id)
            .fetch_all(pool)
            .await)?;
        rows.into_iter().filter_map(|(failures, last_at)| parse_failures(failures, last_at, now).transpose()).collect()
    }

    /// Counts a login failure of a known source. Returns false if the source is not known any more.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn record_source_failure(
        &self,
        person_id: PersonId,
        source: &SourceDigest,
        now: Timestamp,
    ) -> Result<bool> {
        const COUNT: &str = "update known_source set \
             failures = case when failed_at > $4 then failures + 1 else 1 end, failed_at = $3 \
             where person_id = $1 and digest = $2";
        let updated = on_pool!(self, pool => sqlx::query(COUNT)
            .bind(person_id)
            .bind(source.as_bytes().as_slice())
            .bind(now)
            .bind(now.plus_seconds(-RESET_AFTER_SECONDS))
            .execute(pool)
            .await
            .map(|result| result.rows_affected()))?;
        Ok(updated == 1)
    }

    /// Records a sign-in from a source and resets its failures. The account's oldest sources beyond
    /// the maximum are deleted.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn record_source(&self, person_id: PersonId, source: &SignInSource, now: Timestamp) -> Result<()> {
        const UPSERT: &str = "insert into known_source (person_id, digest, is_device, last_seen_at) select id, $2, \
             $3, $4 from person where id = $1 on conflict (person_id, digest) do update set last_seen_at = \
             excluded.last_seen_at, failures = 0, failed_at = null";
        const TRIM: &str = "delete from known_source where person_id = $1 and is_device = $2 and digest not in \
             (select digest from known_source where person_id = $1 and is_device = $2 order by last_seen_at desc, \
             digest limit $3)";
        on_pool!(self, pool => {
            let mut tx = pool.begin().await?;
            let digest = source.digest.as_bytes().as_slice();
            sqlx::query(UPSERT).bind(person_id).bind(digest).bind(source.is_device).bind(now).execute(&mut *tx).await?;
            sqlx::query(TRIM)
                .bind(person_id)
                .bind(source.is_device)
                .bind(MAX_SOURCES_PER_KIND)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(())
        })
    }

    /// Deletes the sources that are not known any more. Returns their number.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn purge_sources(&self, now: Timestamp) -> Result<u64> {
        const DELETE: &str = "delete from known_source where last_seen_at <= $1";
        Ok(on_pool!(self, pool => sqlx::query(DELETE).bind(now.plus_seconds(-RETENTION_SECONDS))
            .execute(pool).await.map(|result| result.rows_affected()))?)
    }
}

/// Converts a counter; `None` if it is zero or has expired.
fn parse_failures(failures: i32, last_at: Option<Timestamp>, now: Timestamp) -> Result<Option<LoginFailures>> {
    let failures = u32::try_from(failures).map_err(|_| Error::corrupt("known_source.failures"))?;
    let is_recent = |time: &Timestamp| *time > now.plus_seconds(-RESET_AFTER_SECONDS);
    Ok(last_at
        .filter(is_recent)
        .filter(|_| failures > 0)
        .map(|last_at| LoginFailures { count: failures, last_failed_at: last_at }))
}
