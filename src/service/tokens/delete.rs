//! Deleting: what has answered is dead everywhere.

use uuid::Uuid;

use super::{Tokens, feature_off, own, verify::SLOWED_BY, within_reach};
use crate::{
    cache::{Unavailable, invalidation::Change},
    domain::{
        authority::{AuthorityLost, Mutation, RequiredRole},
        event::{Act, Action},
        ip_network::counted_by,
        time::Timestamp,
    },
    service::{Actor, Refusal, Result, request_context},
    store::{self, DeletedFamily, Owner, TokenLabel},
};
use tokenward_guard::token_format::{BearerToken, TokenDigest};

/// How many rows are removed at once, so that nobody waits long for them.
const AT_ONCE: i64 = 1_000;

impl Tokens {
    /// Deletes a token for good: the caller's own, or for an administrator one of the workspace. Once this has returned no
    /// check accepts the token.
    ///
    /// # Errors
    /// [`Refusal::TokenNotFound`], also the second time.
    pub async fn delete(&self, caller: &Actor, id: Uuid) -> Result<()> {
        let deleted = match self.delete_within(caller, within_reach(caller), id).await {
            // Demoted meanwhile: what is left is what any person may delete.
            Err(store::Error::AuthorityLost(AuthorityLost::NotAdministrator)) => {
                self.delete_within(caller, own(caller), id).await
            }
            deleted => deleted,
        };
        if deleted.map_err(feature_off)?.is_some() { Ok(()) } else { Err(Refusal::TokenNotFound) }
    }

    async fn delete_within(&self, caller: &Actor, owner: Owner, id: Uuid) -> store::Result<Option<TokenDigest>> {
        let mutation = self.mutations.by(caller, role_for(owner));
        let delete = self.store.delete_token(owner, id, &mutation);
        self.live.take_away(delete, |deleted| deleted.iter().copied().map(Change::Token).collect()).await
    }

    /// Deletes a token within reach and all that it has made, and that those have made; also where the token itself is gone already.
    ///
    /// # Errors
    /// [`Refusal::TokenNotFound`] where nothing of it lives.
    pub async fn delete_family(&self, caller: &Actor, id: Uuid) -> Result<()> {
        let deleted = match self.delete_family_within(caller, within_reach(caller), id).await {
            Err(store::Error::AuthorityLost(AuthorityLost::NotAdministrator)) => {
                self.delete_family_within(caller, own(caller), id).await
            }
            deleted => deleted,
        };
        if deleted.map_err(feature_off)?.is_empty() { Err(Refusal::TokenNotFound) } else { Ok(()) }
    }

    async fn delete_family_within(&self, caller: &Actor, owner: Owner, id: Uuid) -> store::Result<DeletedFamily> {
        let mutation = self.mutations.by(caller, role_for(owner));
        self.revoke_family(owner, id, Action::TokenDeleted, &mutation).await
    }

    /// Deletes a family, or revokes it and has its rows removed afterwards.
    async fn revoke_family(
        &self,
        owner: Owner,
        id: Uuid,
        action: Action,
        mutation: &Mutation,
    ) -> store::Result<DeletedFamily> {
        let changes = |deleted: &DeletedFamily| {
            let tokens = deleted.digests.iter().copied().map(Change::Token);
            tokens.chain(deleted.revoked_of.map(Change::Person)).collect()
        };
        let deleted = self.live.take_away(self.store.delete_family(owner, id, action, mutation), changes).await?;
        if deleted.revoked_of.is_some() {
            self.mutations.remove_remains();
        }
        Ok(deleted)
    }

    /// Deletes all tokens of one person of the workspace, or of the caller, by one change of one row, however many there are; returns how
    /// many. When it returns, no check accepts one that was there when it was asked.
    ///
    /// # Errors
    /// [`Refusal::NotAdministrator`] for somebody else's, [`Refusal::PersonNotFound`].
    pub async fn delete_all(&self, caller: &Actor, person_id: i64) -> Result<u64> {
        let is_own = caller.person_id == person_id;
        if !(caller.is_admin || is_own) {
            return Err(Refusal::NotAdministrator);
        }
        let role = if is_own { RequiredRole::Member } else { RequiredRole::Administrator };
        let mutation = self.mutations.by(caller, role);
        let kill = self.store.kill_tokens(caller.workspace_id, person_id, &mutation);
        let killed = self.live.take_away(kill, |_| vec![Change::Person(person_id)]).await.map_err(feature_off)?;
        self.mutations.remove_remains();
        killed.ok_or(Refusal::PersonNotFound)
    }

    /// Completes when there are rows of revoked tokens to be removed.
    pub async fn some_are_dead(&self) {
        self.mutations.wait_for_remains().await;
    }

    /// Removes the rows of tokens, people and workspaces that are revoked or removed; returns how many.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`].
    pub async fn remove_dead(&self) -> Result<u64> {
        let mut removed = 0;
        for root in self.store.list_revoked_families().await? {
            removed += self.store.remove_family(root).await?;
        }
        loop {
            let now = self.store.delete_dead(AT_ONCE).await? + self.store.remove_remains(AT_ONCE).await?;
            if now == 0 {
                return Ok(removed);
            }
            removed += now;
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

    /// Deletes the token of this value for its holder, who needs no other credential. One that is not there is no error.
    ///
    /// An address that sends many values without a token is served by reads, which are shared, and no longer by transactions: then only
    /// tokens that are found are deleted.
    ///
    /// # Errors
    /// [`Refusal::TooFast`]: there is no such token, and the address has sent too many such values. [`Refusal::Unavailable`]: the token
    /// may still be good.
    pub async fn revoke(&self, presented: BearerToken<'_>) -> Result<()> {
        let Some(digest) = self.format.parse_digest(presented) else { return Ok(()) };
        let now = self.clock.now();
        let address = request_context::origin().address.map(counted_by);
        let spent = address.map_or(Ok(()), |address| self.limits.refused.spend(address, now));
        if let Err(millis) = spent {
            let found = self.live.read(&digest).await.map_err(|Unavailable| store::Error::timed_out())?;
            if found.is_none() {
                tokio::time::sleep(SLOWED_BY).await;
                return Err(Refusal::TooFast { millis });
            }
        }
        let mutation = Mutation::without_caller(Act::of_holder(now, request_context::origin()));
        let delete = self.store.delete_by_digest(&digest, &mutation);
        let changes = |deleted: &bool| deleted.then_some(Change::Token(digest)).into_iter().collect();
        let deleted = self.live.take_away(delete, changes).await?;
        if let (true, Ok(()), Some(address)) = (deleted, spent, address) {
            self.limits.refused.give_back(address);
        }
        Ok(())
    }

    /// Deletes the token of a value that has become known to others, with all that it has made: whoever found it may have used it.
    /// However large the family is, that is one short transaction. Returns which it was, if there was one.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`]: then the token, or one that it has made, may still be good.
    pub async fn revoke_leaked(&self, presented: BearerToken<'_>) -> Result<Option<TokenLabel>> {
        let Some(digest) = self.format.parse_digest(presented) else { return Ok(None) };
        let mutation =
            Mutation::without_caller(Act::by("whoever reported the leak", self.clock.now(), request_context::origin()));
        let Some(token) = self.store.find_living(&digest).await? else { return Ok(None) };
        let owner = Owner::Person { workspace_id: token.workspace_id, person_id: token.person_id };
        let deleted = self.revoke_family(owner, token.id, Action::TokenLeaked, &mutation).await?;
        Ok((!deleted.is_empty()).then_some(token))
    }
}

/// The role that a deletion within `owner` demands.
fn role_for(owner: Owner) -> RequiredRole {
    match owner {
        Owner::Person { .. } => RequiredRole::Member,
        Owner::Workspace(_) => RequiredRole::Administrator,
    }
}
