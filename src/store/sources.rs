//! Known sources of sign-ins.

use super::{Error, Result, Store, on_pool};
use crate::domain::{
    login_failures::{FORGOTTEN_AFTER_SECONDS, Tries},
    person::EmailDigest,
    source::{KNOWN_FOR_SECONDS, MOST_OF_A_KIND, Source, SourceDigest},
    time::Timestamp,
};

/// Resets the failure counters of a person's sources, on any connection.
pub(super) const FORGIVE: &str = "update known_source set failures = 0, failed_at = null where person_id = $1";

/// A known source, and the wrong passwords that came from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownSource {
    pub digest: SourceDigest,
    /// The last sign-in from there, to the day.
    pub seen_at: Timestamp,
    /// None: the last password that came from there was right.
    pub tries: Option<Tries>,
}

/// What decides about a try: the wrong passwords that count against it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Those that came from anywhere but known sources.
    pub common: Option<Tries>,
    /// The known ones among the sources that the try comes from.
    pub sources: Vec<KnownSource>,
}

type Row = (Option<Vec<u8>>, Option<Timestamp>, i32, Option<Timestamp>);

impl Store {
    /// Reads what counts against a try that comes from `sources`. One statement whether there is such an account or not, so that the
    /// time it takes does not tell.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn find_record(
        &self,
        email: &EmailDigest,
        person_id: Option<i64>,
        sources: &[Source],
        now: Timestamp,
    ) -> Result<Record> {
        const SELECT: &str = "select cast(null as bytea), last_at, failures, last_at from password_try \
             where email_digest = $1 and last_at > $2 union all \
             select digest, seen_at, failures, failed_at from known_source \
             where person_id = $3 and digest in ($4, $5) and seen_at > $6";
        // No digest is empty, and no person has the id 0.
        let digest = |n: usize| sources.get(n).map_or(&[][..], |source| source.digest.as_bytes().as_slice());
        let rows: Vec<Row> = on_pool!(self, pool => sqlx::query_as(SELECT)
            .bind(email.as_bytes().as_slice())
            .bind(now.plus_seconds(-FORGOTTEN_AFTER_SECONDS))
            .bind(person_id.unwrap_or(0))
            .bind(digest(0))
            .bind(digest(1))
            .bind(now.plus_seconds(-KNOWN_FOR_SECONDS))
            .fetch_all(pool)
            .await)?;
        let mut record = Record::default();
        for (digest, seen_at, failures, failed_at) in rows {
            let tries = tries(failures, failed_at, now)?;
            match digest {
                None => record.common = tries,
                Some(digest) => {
                    let known = sources.iter().find(|source| source.digest.as_bytes().as_slice() == digest);
                    let digest = known.ok_or_else(|| Error::corrupt("known_source.digest"))?.digest;
                    let seen_at = seen_at.ok_or_else(|| Error::corrupt("known_source.seen_at"))?;
                    record.sources.push(KnownSource { digest, seen_at, tries });
                }
            }
        }
        Ok(record)
    }

    /// Returns the wrong passwords in a row of an account: those from anywhere, and those of each known source.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn list_tries(&self, email: &EmailDigest, person_id: i64, now: Timestamp) -> Result<Vec<Tries>> {
        const SELECT: &str = "select failures, last_at from password_try where email_digest = $1 and last_at > $2 union all \
             select failures, failed_at from known_source where person_id = $3 and failed_at > $2";
        let rows: Vec<(i32, Option<Timestamp>)> = on_pool!(self, pool => sqlx::query_as(SELECT)
            .bind(email.as_bytes().as_slice())
            .bind(now.plus_seconds(-FORGOTTEN_AFTER_SECONDS))
            .bind(person_id)
            .fetch_all(pool)
            .await)?;
        rows.into_iter().filter_map(|(failures, last_at)| tries(failures, last_at, now).transpose()).collect()
    }

    /// Counts a wrong password that came from a known source. Returns false where the source is not known any more.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn count_source_try(&self, person_id: i64, source: &SourceDigest, now: Timestamp) -> Result<bool> {
        const COUNT: &str = "update known_source set \
             failures = case when failed_at > $4 then failures + 1 else 1 end, failed_at = $3 \
             where person_id = $1 and digest = $2";
        let done = on_pool!(self, pool => sqlx::query(COUNT)
            .bind(person_id)
            .bind(source.as_bytes().as_slice())
            .bind(now)
            .bind(now.plus_seconds(-FORGOTTEN_AFTER_SECONDS))
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(done == 1)
    }

    /// Notes a sign-in from a source, which has no failures then; the account's oldest sources give way to it.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn note_source(&self, person_id: i64, source: &Source, now: Timestamp) -> Result<()> {
        const UPSERT: &str = "insert into known_source (person_id, digest, is_device, seen_at) \
             select id, $2, $3, $4 from person where id = $1 \
             on conflict (person_id, digest) do update set seen_at = excluded.seen_at, failures = 0, failed_at = null";
        const TRIM: &str = "delete from known_source where person_id = $1 and is_device = $2 and digest not in \
             (select digest from known_source where person_id = $1 and is_device = $2 order by seen_at desc, digest limit $3)";
        on_pool!(self, pool => {
            let mut tx = pool.begin().await?;
            let digest = source.digest.as_bytes().as_slice();
            sqlx::query(UPSERT).bind(person_id).bind(digest).bind(source.is_device).bind(now).execute(&mut *tx).await?;
            sqlx::query(TRIM).bind(person_id).bind(source.is_device).bind(MOST_OF_A_KIND).execute(&mut *tx).await?;
            tx.commit().await?;
        });
        Ok(())
    }

    /// Removes the sources that are not known any more. Returns their number.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn delete_forgotten_sources(&self, now: Timestamp) -> Result<u64> {
        const DELETE: &str = "delete from known_source where seen_at <= $1";
        Ok(on_pool!(self, pool => sqlx::query(DELETE).bind(now.plus_seconds(-KNOWN_FOR_SECONDS))
            .execute(pool).await.map(|done| done.rows_affected()))?)
    }
}

/// Reads a counter; none where nothing is counted, or where it is forgotten.
fn tries(failures: i32, last_at: Option<Timestamp>, now: Timestamp) -> Result<Option<Tries>> {
    let failures = u32::try_from(failures).map_err(|_| Error::corrupt("failures"))?;
    let is_recent = |at: &Timestamp| *at > now.plus_seconds(-FORGOTTEN_AFTER_SECONDS);
    Ok(last_at.filter(is_recent).filter(|_| failures > 0).map(|last_at| Tries { failures, last_at }))
}
