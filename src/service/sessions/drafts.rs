//! Drafts: the text of forms that were submitted after their session had ended.

use super::Sessions;
use crate::{
    domain::{draft_key::SealedDraft, id::PersonId, session::SessionValue},
    service::Result,
};

impl Sessions {
    /// Encrypts form text for the person of an ended session. Returns `None` if the session is
    /// unknown, because then nothing proves who typed the text.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::service::Error::Unavailable) if the database is unreachable or
    /// too slow.
    pub async fn seal_draft(&self, ended: &SessionValue, text: &[u8]) -> Result<Option<SealedDraft>> {
        let Some((id, person_id, key)) = self.store.find_draft_key(&ended.digest()).await? else { return Ok(None) };
        Ok(key.seal(id, person_id, text, &self.random))
    }

    /// Decrypts form text of a person. Returns `None` if another person typed it, or if its session
    /// was purged.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::service::Error::Unavailable) if the database is unreachable or
    /// too slow.
    pub async fn open_draft(&self, draft: &SealedDraft, person_id: PersonId) -> Result<Option<Vec<u8>>> {
        let key = self.store.find_draft_key_of(draft.session_id(), person_id).await?;
        Ok(key.and_then(|key| key.open(draft, person_id)))
    }
}
