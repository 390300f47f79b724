//! Deletion of tokens. When an operation returns, no node accepts the tokens any more.

use std::time::Duration;

use uuid::Uuid;

use super::{TokenScope, Tokens, accessible_to, in_custody_of, map_feature_off, verify::TARPIT_DELAY};
use crate::{
    cache::Unavailable,
    domain::{
        authority::{AuthorizationLost, Mutation, RequiredRole},
        event::{Action, AuditContext, RequestContext},
        id::{PersonId, WorkspaceId},
        ip_network::rate_limit_key,
        time::Timestamp,
    },
    service::{Actor, Error, Result},
    store::{self, Committed, DeletedFamily, OwnerScope, TokenLabel},
};
use tokenward_guard::token_format::{BearerToken, TokenDigest};

/// The number of rows purged per statement. Short transactions keep other writers from waiting.
const PURGE_BATCH_SIZE: i64 = 1_000;

impl Tokens {
    /// Deletes a token of the caller or of a service account of which the caller is a custodian, or for
    /// administrators one of the workspace. When it returns,
    /// no auth check accepts the token.
    ///
    /// # Errors
    /// [`Error::TokenNotFound`] if there is no such token, or if it was deleted before.
    pub async fn delete(&self, caller: &Actor, id: Uuid) -> Result<()> {
        let deleted = match self.delete_within(caller, accessible_to(caller), id).await {
            // The caller was demoted meanwhile. Members may still delete their own tokens.
            Err(store::Error::AuthorizationLost(AuthorizationLost::NotAdministrator)) => {
                self.delete_within(caller, in_custody_of(caller), id).await
            }
            deleted => deleted,
        };
        if deleted.map_err(map_feature_off)?.is_some() { Ok(()) } else { Err(Error::TokenNotFound) }
    }

    async fn delete_within(&self, caller: &Actor, owner: OwnerScope, id: Uuid) -> store::Result<Option<TokenDigest>> {
        let mutation = self.mutations.by_actor(caller, role_for(owner));
        let deleted = self.store.delete_token(owner, id, &mutation).await;
        self.node.revoke_and_wait(&mutation.context.request, deleted).await
    }

    /// Deletes a token with all its descendants, even if the token itself was deleted before.
    ///
    /// # Errors
    /// [`Error::TokenNotFound`] if neither the token nor a descendant exists.
    pub async fn delete_with_descendants(&self, caller: &Actor, id: Uuid) -> Result<()> {
        let deleted = match self.delete_descendants_within(caller, accessible_to(caller), id).await {
            Err(store::Error::AuthorizationLost(AuthorizationLost::NotAdministrator)) => {
                self.delete_descendants_within(caller, in_custody_of(caller), id).await
            }
            deleted => deleted,
        };
        if deleted.map_err(map_feature_off)?.is_empty() { Err(Error::TokenNotFound) } else { Ok(()) }
    }

    async fn delete_descendants_within(
        &self,
        caller: &Actor,
        owner: OwnerScope,
        id: Uuid,
    ) -> store::Result<DeletedFamily> {
        let mutation = self.mutations.by_actor(caller, role_for(owner));
        self.revoke_with_descendants(owner, id, Action::TokenDeleted, &mutation).await
    }

    /// Deletes a token with its descendants. A large family is revoked at once, and its rows are
    /// purged later.
    async fn revoke_with_descendants(
        &self,
        owner: OwnerScope,
        id: Uuid,
        action: Action,
        mutation: &Mutation,
    ) -> store::Result<DeletedFamily> {
        let deleted = self.store.delete_family(owner, id, action, mutation).await;
        let deleted = self.node.revoke_and_wait(&mutation.context.request, deleted).await?;
        if deleted.is_purge_pending {
            self.mutations.schedule_purge();
        }
        Ok(deleted)
    }

    /// Deletes all tokens of a person of the workspace, of the caller, or of a service account of which
    /// the caller is a custodian. The revocation updates
    /// one row, whatever the number of tokens. Returns the number of tokens. When it returns, no
    /// auth check accepts a token that existed before the call.
    ///
    /// # Errors
    /// [`Error::NotAdministrator`] if a member names another person, [`Error::PersonNotFound`].
    pub async fn delete_all(&self, caller: &Actor, person_id: PersonId) -> Result<u64> {
        let is_own = PersonId::of(caller) == person_id;
        let scope = if is_own { TokenScope::Own } else { TokenScope::Workspace { person_id: Some(person_id) } };
        let role = self.required_role(caller, scope).await?;
        let mutation = self.mutations.by_actor(caller, role);
        let revoked = self.store.revoke_all_tokens(WorkspaceId::of(caller), person_id, &mutation).await;
        let revoked = self.node.revoke_and_wait(&mutation.context.request, revoked).await.map_err(map_feature_off)?;
        self.mutations.schedule_purge();
        revoked.ok_or(Error::PersonNotFound)
    }

    /// Waits until there are rows to purge.
    pub async fn wait_for_purge(&self) {
        self.mutations.wait_for_purge().await;
    }

    /// Purges the rows of revoked tokens and of removed people and workspaces. Returns the number
    /// of rows.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn purge_revoked(&self) -> Result<u64> {
        let mut total = 0;
        for family in self.store.list_revoked_families().await? {
            total += self.store.purge_family(family).await?;
        }
        loop {
            let purged =
                self.store.purge_revoked(PURGE_BATCH_SIZE).await? + self.store.purge_removed(PURGE_BATCH_SIZE).await?;
            if purged == 0 {
                return Ok(total);
            }
            total += purged;
        }
    }

    /// Purges tombstones older than `retention`, and expired idempotency records. Returns the
    /// number of rows.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn purge_tombstones(&self, retention: Duration) -> Result<u64> {
        let now = self.clock.now();
        let before = now.before(retention);
        Ok(self.store.purge_tombstones(before).await? + self.store.purge_idempotency_records(now).await?)
    }

    /// Purges tokens that expired longer than `retention` ago. Returns their number.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn purge_expired(&self, retention: Duration) -> Result<u64> {
        let before: Timestamp = self.clock.now().before(retention);
        let mut total = 0;
        loop {
            let purged = self.store.delete_expired(before, PURGE_BATCH_SIZE).await;
            match self.node.revoke_and_wait(&RequestContext::default(), purged).await? {
                0 => return Ok(total),
                purged => total += purged,
            }
        }
    }

    /// Purges tokens that were issued by exchange and expired longer than `retention` ago. Returns their
    /// number.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn purge_exchanged(&self, retention: Duration) -> Result<u64> {
        let before = self.clock.now().before(retention);
        let mut total = 0;
        loop {
            let purged = self.store.delete_expired_exchanged(before, PURGE_BATCH_SIZE).await;
            match self.node.revoke_and_wait(&RequestContext::default(), purged).await? {
                0 => return Ok(total),
                purged => total += purged,
            }
        }
    }

    /// Deletes the replaced tokens whose grace period has ended. Returns their number.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn delete_replaced(&self) -> Result<u64> {
        let now = self.clock.now();
        let mut total = 0;
        loop {
            let workspaces = self.store.find_workspaces_with_due_tokens(now, PURGE_BATCH_SIZE).await?;
            if workspaces.is_empty() {
                return Ok(total);
            }
            total += self.delete_replaced_of(&workspaces, now).await?;
        }
    }

    /// Deletes a batch of replaced tokens in each workspace, and waits once for all of them.
    async fn delete_replaced_of(&self, workspaces: &[WorkspaceId], now: Timestamp) -> Result<u64> {
        let context = AuditContext::for_named_actor("renewal", now, RequestContext::default());
        let mutation = Mutation::without_caller(context);
        let (mut batches, mut failure) = (Vec::new(), None);
        for workspace_id in workspaces {
            match self.store.delete_due_tokens(*workspace_id, PURGE_BATCH_SIZE, &mutation).await {
                Ok(batch) => batches.push(batch),
                // What was deleted before still takes effect.
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        let request = RequestContext::default();
        let counts = self.node.revoke_and_wait(&request, Ok(Committed::join(batches))).await?;
        match failure {
            Some(error) => Ok(self.node.revoke_and_wait(&request, Err(error)).await?),
            None => Ok(counts.into_iter().sum()),
        }
    }

    /// Deletes the token with this value. The value is the only credential required. An unknown
    /// value is not an error.
    ///
    /// An address that sends many unknown values is served by shared reads instead of transactions.
    /// A token is then deleted only if the read finds it.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if there is no such token and the address sent too many unknown
    /// values. [`Error::Unavailable`] if the database is unreachable or too slow; the token may
    /// still be valid.
    pub async fn revoke(&self, bearer: BearerToken<'_>, request: &RequestContext) -> Result<()> {
        let Some(digest) = self.format.parse_digest(bearer) else { return Ok(()) };
        let now = self.clock.now();
        let address = request.client_ip.map(rate_limit_key);
        let acquired = address.map_or(Ok(()), |address| self.limits.rejections.try_acquire(address, now));
        if let Err(millis) = acquired {
            let token = self.node.load(&digest).await.map_err(|Unavailable| store::Error::timed_out())?;
            if token.is_none() {
                tokio::time::sleep(TARPIT_DELAY).await;
                return Err(Error::RateLimited { retry_after_millis: millis });
            }
        }
        let mutation = Mutation::without_caller(AuditContext::for_token_holder(now, request.clone()));
        let deleted = self.store.delete_by_digest(&digest, &mutation).await;
        let deleted = self.node.revoke_and_wait(request, deleted).await?;
        if let (true, Ok(()), Some(address)) = (deleted, acquired, address) {
            self.limits.rejections.refund(address);
        }
        Ok(())
    }

    /// Deletes a leaked token with all its descendants, because the finder may have used it to
    /// create tokens. This is one short transaction, whatever the size of the family. Returns the
    /// token, if there was one.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow; the token or a descendant
    /// may still be valid.
    pub async fn revoke_leaked(&self, bearer: BearerToken<'_>, request: &RequestContext) -> Result<Option<TokenLabel>> {
        let Some(digest) = self.format.parse_digest(bearer) else { return Ok(None) };
        let mutation =
            Mutation::without_caller(AuditContext::for_named_actor("leak reporter", self.clock.now(), request.clone()));
        let Some(token) = self.store.find_unrevoked(&digest).await? else { return Ok(None) };
        let owner = OwnerScope::Person { workspace_id: token.workspace_id, person_id: token.person_id };
        let deleted = self.revoke_with_descendants(owner, token.id, Action::TokenLeaked, &mutation).await?;
        Ok((!deleted.is_empty()).then_some(token))
    }
}

/// Returns the role required for a deletion within `owner`.
fn role_for(owner: OwnerScope) -> RequiredRole {
    match owner {
        OwnerScope::Person { .. } | OwnerScope::Custody { .. } => RequiredRole::Member,
        OwnerScope::Workspace(_) => RequiredRole::Administrator,
    }
}
