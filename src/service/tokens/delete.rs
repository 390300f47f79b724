//! Deleting: what has answered is dead everywhere.

use uuid::Uuid;

use super::{Tokens, within_reach};
use crate::{
    domain::{
        event::{Act, Action},
        time::Timestamp,
    },
    guard::Principal,
    live::Change,
    service::{
        Refusal, Result,
        act::{self, act_of},
    },
    store::{Owner, TokenLabel},
    value::Presented,
};

/// How many rows are removed at once, so that nobody waits long for them.
const AT_ONCE: i64 = 1_000;

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

    /// Deletes a token within reach and all that it has made, and that those have made; also where the token itself is gone already.
    /// Answers how many.
    ///
    /// # Errors
    /// [`Refusal::TokenNotFound`] where nothing of it lives.
    pub async fn delete_family(&self, caller: &Principal, id: Uuid) -> Result<usize> {
        let act = act_of(caller, self.clock.now());
        let delete = self.store.delete_family(within_reach(caller), id, Action::TokenDeleted, &act);
        let deleted =
            self.live.take_away(delete, |deleted| deleted.iter().copied().map(Change::Token).collect()).await?;
        if deleted.is_empty() { Err(Refusal::TokenNotFound) } else { Ok(deleted.len()) }
    }

    /// Deletes all tokens of one person of the workspace, or of the caller, by one change of one row, however many there are; answers how
    /// many. When it answers, no check accepts one that was there when it was asked.
    ///
    /// # Errors
    /// [`Refusal::NotAdministrator`] for somebody else's, [`Refusal::PersonNotFound`].
    pub async fn delete_all(&self, caller: &Principal, person_id: i64) -> Result<u64> {
        if !(caller.is_admin || caller.person_id == person_id) {
            return Err(Refusal::NotAdministrator);
        }
        let act = act_of(caller, self.clock.now());
        let kill = self.store.kill_tokens(caller.workspace_id, person_id, &act);
        let killed = self.live.take_away(kill, |_| vec![Change::Person(person_id)]).await?;
        self.dead.notify_one();
        killed.ok_or(Refusal::PersonNotFound)
    }

    /// Completes when there are rows of dead tokens to be removed.
    pub async fn some_are_dead(&self) {
        self.dead.notified().await;
    }

    /// Removes the rows of tokens that are dead; answers how many.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`].
    pub async fn remove_dead(&self) -> Result<u64> {
        let mut removed = 0;
        loop {
            match self.store.delete_dead(AT_ONCE).await? {
                0 => return Ok(removed),
                now => removed += now,
            }
        }
    }

    /// Forgets tokens that are gone for so many days, and answers that are no longer repeated; answers how many.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`].
    pub async fn forget(&self, deleted_tokens_days: u32) -> Result<u64> {
        let now = self.clock.now();
        let before = now.plus_seconds(-86_400 * i64::from(deleted_tokens_days));
        Ok(self.store.forget_deleted(before).await? + self.store.delete_repeatable(now).await?)
    }

    /// Removes tokens that expired more than `days` ago; answers how many.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`].
    pub async fn remove_expired(&self, days: u32) -> Result<u64> {
        let before: Timestamp = self.clock.now().plus_seconds(-86_400 * i64::from(days));
        let mut removed = 0;
        loop {
            let delete = self.store.delete_expired(before, AT_ONCE);
            let changes = |deleted: &Vec<_>| deleted.iter().copied().map(Change::Token).collect();
            match self.live.take_away(delete, changes).await?.len() {
                0 => return Ok(removed),
                now => removed += now as u64,
            }
        }
    }

    /// Deletes the token of this value, whoever sends it: who holds it could use it. One that is not there is no error.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`]: then the token may still be good.
    pub async fn revoke(&self, presented: Presented<'_>) -> Result<()> {
        if let Some(digest) = self.format.recognise(presented) {
            let act = Act::of_holder(self.clock.now(), act::origin());
            let delete = self.store.delete_by_digest(&digest, &act);
            self.live
                .take_away(delete, |deleted| deleted.then_some(Change::Token(digest)).into_iter().collect())
                .await?;
        }
        Ok(())
    }

    /// Deletes the token of a value that has become known to others, with all that it has made: whoever found it may have used it.
    /// Answers whose it was, if there was one.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`]: then the token may still be good.
    pub async fn revoke_leaked(&self, presented: Presented<'_>) -> Result<Option<TokenLabel>> {
        let Some(digest) = self.format.recognise(presented) else { return Ok(None) };
        let Some(token) = self.store.find_living(&digest).await? else { return Ok(None) };
        let act = Act::by("whoever reported the leak", self.clock.now(), act::origin());
        let owner = Owner::Person { workspace_id: token.workspace_id, person_id: token.person_id };
        let delete = self.store.delete_family(owner, token.id, Action::TokenLeaked, &act);
        let changes = |deleted: &Vec<_>| deleted.iter().copied().map(Change::Token).collect();
        let deleted = self.live.take_away(delete, changes).await?;
        Ok((!deleted.is_empty()).then_some(token))
    }
}
