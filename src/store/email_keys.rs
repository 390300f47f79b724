//! Rewriting the keys of e-mails that an earlier version stored in another form.

use super::{Error, Result, Store, on_pool};
use crate::domain::person::EmailKey;

impl Store {
    /// Makes the keys of e-mails canonical that a migration has marked. An account whose canonical key another account has keeps its
    /// own, and is named in the log at each start until its e-mail is changed: it cannot sign in by password.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn review_email_keys(&self) -> Result<()> {
        const MARKED: &str = "select id, email, email_key from person where removed_at is null \
             and id in (select person_id from email_key_review) order by id";
        const UPDATE: &str = "update person set email_key = $3 where id = $1 and email_key = $2";
        const DONE: &str = "delete from email_key_review where person_id = $1";
        let marked: Vec<(i64, String, String)> = on_pool!(self, pool => sqlx::query_as(MARKED).fetch_all(pool).await)?;
        for (id, email, present) in marked {
            let key = EmailKey::of(&email);
            let done: Result<()> = on_pool!(self, pool => async {
                let mut tx = pool.begin().await?;
                if key.as_str() != present {
                    sqlx::query(UPDATE).bind(id).bind(&present).bind(key.as_str()).execute(&mut *tx).await?;
                }
                sqlx::query(DONE).bind(id).execute(&mut *tx).await?;
                Ok(tx.commit().await?)
            }.await);
            match done {
                Err(Error::Conflict) => tracing::warn!(
                    person.id = id,
                    "another account has the same e-mail in another spelling; give one of the two another e-mail"
                ),
                done => done?,
            }
        }
        Ok(())
    }
}
