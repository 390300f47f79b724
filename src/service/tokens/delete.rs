//! Deleting: what has answered is dead everywhere.

use uuid::Uuid;

use super::{Tokens, within_reach};
use crate::{
    domain::event::Act,
    guard::Principal,
    live::Change,
    service::{Refusal, Result, act::act_of},
    value::{Presented, TokenDigest},
};

impl Tokens {
    /// Deletes a token for good: the caller's own, or for an administrator one of the workspace. Once this has answered no
    /// check accepts the token.
    ///
    /// # Errors
    /// [`Refusal::TokenNotFound`], also the second time.
    pub async fn delete(&self, caller: &Principal, id: Uuid) -> Result<()> {
        let act = act_of(caller, self.clock.now());
        let delete = self.store.delete_token(within_reach(caller), id, &act);
        let deleted =
            self.live.take_away(delete, |deleted| deleted.iter().copied().map(Change::Token).collect()).await?;
        if deleted.is_some() { Ok(()) } else { Err(Refusal::TokenNotFound) }
    }

    /// Deletes all tokens within reach, of one person or of the caller; answers how many. When it answers, no check accepts one
    /// that was there when it was asked.
    ///
    /// # Errors
    /// [`Refusal::NotAdministrator`] for somebody else's.
    pub async fn delete_all(&self, caller: &Principal, person_id: i64) -> Result<u64> {
        if !(caller.is_admin || caller.person_id == person_id) {
            return Err(Refusal::NotAdministrator);
        }
        let act = act_of(caller, self.clock.now());
        self.delete_in_parts(|most| self.store.delete_tokens(caller.workspace_id, person_id, most, &act)).await
    }

    /// Deletes a thousand at a time, so that nobody waits long for the rows, until there are no more. Fewer than a thousand may only
    /// mean that somebody else deleted some of them meanwhile.
    async fn delete_in_parts<F>(&self, delete: impl Fn(i64) -> F) -> Result<u64>
    where
        F: Future<Output = crate::store::Result<Vec<TokenDigest>>>,
    {
        const AT_ONCE: i64 = 1_000;
        let mut deleted = 0;
        loop {
            let changes = |deleted: &Vec<_>| deleted.iter().copied().map(Change::Token).collect();
            let now = self.live.take_away(delete(AT_ONCE), changes).await?.len();
            deleted += now as u64;
            if now == 0 {
                return Ok(deleted);
            }
        }
    }

    /// Removes tokens that expired more than `days` ago; answers how many.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`].
    pub async fn remove_expired(&self, days: u32) -> Result<u64> {
        let before = self.clock.now().plus_seconds(-86_400 * i64::from(days));
        self.delete_in_parts(|most| self.store.delete_expired(before, most)).await
    }

    /// Deletes the token of this value, whoever sends it: who holds it could use it. One that is not there is no error.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`]: then the token may still be good.
    pub async fn revoke(&self, presented: Presented<'_>) -> Result<()> {
        if let Some(digest) = self.format.recognise(presented) {
            let act = Act::of_holder(self.clock.now());
            let delete = self.store.delete_by_digest(&digest, &act);
            self.live
                .take_away(delete, |deleted| deleted.then_some(Change::Token(digest)).into_iter().collect())
                .await?;
        }
        Ok(())
    }
}
