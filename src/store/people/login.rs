//! Writes that follow a login: its time, and a new hash of the password.

use crate::{
    domain::{
        event::{Action, AuditContext, Details},
        id::PersonId,
        person::Person,
        time::Timestamp,
    },
    store::{
        Result, Store,
        authority::Authorized,
        events::{EventDraft, record},
        on_pool,
    },
};

impl Store {
    /// Records a sign-in by password, unless one at or after `not_before` is already recorded. With
    /// `with_event` it also appends an event.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be reached or does not respond in
    /// time.
    pub async fn record_sign_in(
        &self,
        person: &Person,
        context: &AuditContext,
        not_before: Timestamp,
        with_event: bool,
    ) -> Result<()> {
        const UPDATE: &str =
            "update person set last_login_at = $2 where id = $1 and (last_login_at is null or last_login_at < $3)";
        on_pool!(self, pool => {
            let mut tx = pool.begin().await?;
            let result =
                sqlx::query(UPDATE).bind(person.id).bind(context.at).bind(not_before).execute(&mut *tx).await?;
            if result.rows_affected() == 0 {
                return Ok(());
            }
            if with_event {
                let target = person.id.to_string();
                let action = Action::LoginSucceeded;
                let details = Details::default();
                let person_id = Some(person.id);
                let event = EventDraft { action, person_id, target: &target, label: &person.email, details };
                record!(tx, person.workspace_id, Authorized::without_caller(context), event);
            }
            tx.commit().await?;
            Ok(())
        })
    }

    /// Replaces a password hash by another hash of the same password. Returns false if the password
    /// was changed meanwhile.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be reached or does not respond in
    /// time.
    pub async fn replace_password_hash(&self, id: PersonId, old: &str, new: &str) -> Result<bool> {
        const UPDATE: &str = "update person set password_hash = $3 where id = $1 and password_hash = $2";
        let updated = on_pool!(self, pool => sqlx::query(UPDATE).bind(id).bind(old).bind(new)
            .execute(pool).await.map(|result| result.rows_affected()))?;
        Ok(updated == 1)
    }
}
