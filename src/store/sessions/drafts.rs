//! Keys of the form text that browsers keep after the end of a session.

use uuid::Uuid;

use crate::{
    domain::{draft_key::DraftKey, id::PersonId, session::SessionDigest},
    store::{Result, Store, on_pool},
};

impl Store {
    /// Finds the draft key of the session with this cookie value, expired or not, and its person.
    /// Returns `None` if there is no such session, or if it is older than draft keys.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn find_draft_key(&self, digest: &SessionDigest) -> Result<Option<(Uuid, PersonId, DraftKey)>> {
        const SELECT: &str =
            "select id, person_id, draft_key from web_session where digest = $1 and draft_key is not null";
        let row: Option<(Uuid, PersonId, Vec<u8>)> = on_pool!(self, pool => sqlx::query_as(SELECT)
            .bind(digest.as_bytes().as_slice()).fetch_optional(pool).await)?;
        Ok(row.and_then(|(id, person_id, key)| Some((id, person_id, DraftKey::from_bytes(key)?))))
    }

    /// Finds the draft key of a session of this person, expired or not. Returns `None` if the person
    /// has no such session, or if it is older than draft keys.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn find_draft_key_of(&self, id: Uuid, person_id: PersonId) -> Result<Option<DraftKey>> {
        const SELECT: &str =
            "select draft_key from web_session where id = $1 and person_id = $2 and draft_key is not null";
        let key: Option<Vec<u8>> =
            on_pool!(self, pool => sqlx::query_scalar(SELECT).bind(id).bind(person_id).fetch_optional(pool).await)?;
        Ok(key.and_then(DraftKey::from_bytes))
    }
}
