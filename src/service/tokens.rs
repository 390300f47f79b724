//! Access tokens. This file lists and reads them; `issue` creates, `delete` revokes, and `verify`
//! validates them.

mod bulk_delete;
mod delete;
mod idempotency;
mod issue;
mod listed;
mod operator;
mod pause;
mod read_access;
mod setting_preview;
mod verify;

use std::net::IpAddr;

use uuid::Uuid;

use crate::{
    cluster::Node,
    domain::{
        authority::{AuthorizationLost, RequiredRole},
        id::{PersonId, WorkspaceId},
        random::Random,
        rate_limit::Rate,
        reaffirmation::ReaffirmationRules,
        setting::Settings,
        time::{Clock, Timestamp},
        token::{Token, TokenStatus},
        token_filter::TokenFilter,
        token_query::TokenPageQuery,
    },
    service::{
        DeniedAttemptLog, Error, Mutations, ReadBudget, Result, list_pages::TokenPages, rate_limit::KeyedRateLimiter,
        read_budget::ReadRequester,
    },
    store::{self, OwnerScope, Store, TokenHolderCounts, TokenListQuery},
};
use tokenward_guard::{Principal, token_format::TokenFormat};

pub use crate::store::{BulkDeletion, ConsumedForm, NextExpiry, Replaces};
pub use bulk_delete::MAX_BULK_DELETIONS;
pub use idempotency::IdempotencyKey;
pub(in crate::service) use issue::map_issue_error;
pub use issue::{Idempotency, TokenRequest};
pub use listed::ListedToken;
pub use pause::TokenPause;
pub use read_access::ReadAccess;
pub use setting_preview::SettingPreview;
pub use verify::{CachedVerdict, TokenLookup, ValidToken};

/// The number of days before the expiry of a token in which pages show a notice to its owner.
const EXPIRY_NOTICE_DAYS: i64 = 7;

/// The operations on tokens.
#[derive(Clone)]
pub struct Tokens {
    store: Store,
    clock: Clock,
    random: Random,
    format: TokenFormat,
    defaults: Settings,
    node: Node,
    denied_attempts: DeniedAttemptLog,
    read_budget: ReadBudget,
    limits: TokenLimits,
    mutations: Mutations,
}

/// The limits on token creation, on rejected bearer tokens, and on the time without a sign-in.
#[derive(Clone, Debug)]
pub struct TokenLimits {
    creations: KeyedRateLimiter<PersonId>,
    max_active: Option<u32>,
    rejections: KeyedRateLimiter<IpAddr>,
    reaffirmation: ReaffirmationRules,
}

impl TokenLimits {
    /// Creates limits: `creations_per_minute` per person, `max_active` active tokens per person,
    /// and `rejections_per_minute` per client address. A rate of 0 is unlimited. The tokens of people who do
    /// not sign in pause by `reaffirmation`.
    #[must_use]
    pub fn new(
        creations_per_minute: u32,
        max_active: Option<u32>,
        rejections_per_minute: u32,
        reaffirmation: ReaffirmationRules,
    ) -> Self {
        let creations = KeyedRateLimiter::new(Rate::per_minute(creations_per_minute));
        let rejections = KeyedRateLimiter::new(Rate::per_minute(rejections_per_minute));
        Self { creations, max_active, rejections, reaffirmation }
    }
}

/// The numbers of active and of expired tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenStatusCounts {
    pub active: i64,
    pub expired: i64,
}

/// The scope of a token list.
#[derive(Clone, Copy, Debug)]
pub enum TokenScope {
    /// Tokens of the caller.
    Own,
    /// Tokens of the workspace, or those of one person in it. For administrators, and for the custodians
    /// of a service account.
    Workspace { person_id: Option<PersonId> },
}

impl Tokens {
    #[must_use]
    pub fn new(
        (store, node, denied_attempts, read_budget): (Store, Node, DeniedAttemptLog, ReadBudget),
        (clock, random): (Clock, Random),
        format: TokenFormat,
        defaults: Settings,
        limits: TokenLimits,
        mutations: Mutations,
    ) -> Self {
        Self { store, clock, random, format, defaults, node, denied_attempts, read_budget, limits, mutations }
    }

    /// Returns how often each limit on tokens was exceeded since the start: creations per person,
    /// and rejected tokens per address.
    #[must_use]
    pub fn rate_limit_rejections(&self) -> [(&'static str, u64); 2] {
        let TokenLimits { creations, rejections, .. } = &self.limits;
        [("created_tokens", creations.rejections()), ("rejected_tokens", rejections.rejections())]
    }

    /// Lists one page of the tokens in `scope`.
    ///
    /// # Errors
    /// [`Error::NotAdministrator`] if the scope requires an administrator, [`Error::RateLimited`]
    /// if the caller has too many reads in progress.
    pub async fn list(
        &self,
        caller: &Principal,
        scope: TokenScope,
        filter: TokenFilter,
        page: &TokenPageQuery,
    ) -> Result<Vec<ListedToken>> {
        let list_query = self.build_list_query(caller, scope, filter).await?;
        let (tokens, page, now) = (self.clone(), page.clone(), list_query.now);
        let query = async move {
            tokens.node.flush_last_used().await?;
            tokens.store.list_tokens(&list_query, &page).await
        };
        let rows = self.read_budget.run(ReadRequester::person(PersonId::of(caller)), query).await?;
        Ok(rows.into_iter().map(|row| ListedToken::new(row, now)).collect())
    }

    /// Counts the active and the expired tokens in `scope` that match the filter, whatever its status.
    ///
    /// # Errors
    /// [`Error::NotAdministrator`] if the scope requires an administrator, [`Error::RateLimited`]
    /// if the caller has too many reads in progress.
    pub async fn count_by_status(
        &self,
        caller: &Principal,
        scope: TokenScope,
        filter: TokenFilter,
    ) -> Result<TokenStatusCounts> {
        let all = self.build_list_query(caller, scope, TokenFilter { status: None, ..filter }).await?;
        let mut active = all.clone();
        active.filter.status = Some(TokenStatus::Active);
        let store = self.store.clone();
        let query = async move {
            let (all, active) = (store.count_tokens(&all).await?, store.count_tokens(&active).await?);
            // A token may be created between the two queries.
            Ok(TokenStatusCounts { active, expired: (all - active).max(0) })
        };
        self.read_budget.run(ReadRequester::person(PersonId::of(caller)), query).await
    }

    /// Lists the tokens in `scope` page by page, with the total number if `count` is set.
    ///
    /// # Errors
    /// [`Error::NotAdministrator`] if the scope requires an administrator, [`Error::RateLimited`]
    /// if the caller has too many reads in progress.
    pub async fn pages(
        &self,
        caller: &Principal,
        scope: TokenScope,
        filter: TokenFilter,
        page: &TokenPageQuery,
        count: bool,
    ) -> Result<(TokenPages, Option<i64>)> {
        let list_query = self.build_list_query(caller, scope, filter).await?;
        let (tokens, count_query) = (self.clone(), list_query.clone());
        let query = async move {
            tokens.node.flush_last_used().await?;
            if count { tokens.store.count_tokens(&count_query).await.map(Some) } else { Ok(None) }
        };
        let count = self.read_budget.run(ReadRequester::person(PersonId::of(caller)), query).await?;
        let pages =
            TokenPages::new(self.read_budget.clone(), self.store.clone(), PersonId::of(caller), list_query, page);
        Ok((pages, count))
    }

    async fn build_list_query(
        &self,
        caller: &Principal,
        scope: TokenScope,
        filter: TokenFilter,
    ) -> Result<TokenListQuery> {
        let workspace_id = WorkspaceId::of(caller);
        self.required_role(caller, scope).await?;
        let owner = match scope {
            TokenScope::Own => OwnerScope::Person { workspace_id, person_id: PersonId::of(caller) },
            TokenScope::Workspace { person_id: Some(person_id) } => OwnerScope::Person { workspace_id, person_id },
            TokenScope::Workspace { person_id: None } => OwnerScope::Workspace(workspace_id),
        };
        Ok(TokenListQuery { scope: owner, filter, now: self.clock.now() })
    }

    /// Returns the role that the caller needs for the tokens in `scope`, and has at present.
    ///
    /// # Errors
    /// [`Error::NotAdministrator`] if the caller has no such role.
    async fn required_role(&self, caller: &Principal, scope: TokenScope) -> Result<RequiredRole> {
        match scope {
            TokenScope::Own => Ok(RequiredRole::Member),
            TokenScope::Workspace { .. } if caller.is_admin => Ok(RequiredRole::Administrator),
            TokenScope::Workspace { person_id: Some(account) } => {
                let (workspace_id, custodian) = (WorkspaceId::of(caller), PersonId::of(caller));
                let is_custodian = self.store.is_custodian(workspace_id, account, custodian).await?;
                if is_custodian { Ok(RequiredRole::Custodian(account)) } else { Err(Error::NotAdministrator) }
            }
            TokenScope::Workspace { person_id: None } => Err(Error::NotAdministrator),
        }
    }

    /// Finds a token of the caller or of a service account of which the caller is a custodian, or for
    /// administrators one of the workspace.
    ///
    /// # Errors
    /// [`Error::TokenNotFound`] if there is no such token, or if it belongs to another person and
    /// the caller is not an administrator.
    pub async fn find(&self, caller: &Principal, id: Uuid) -> Result<(Token, TokenStatus)> {
        self.flush_last_used().await?;
        let token = self.store.find_token(accessible_to(caller), id).await?.ok_or(Error::TokenNotFound)?;
        let status = token.status(self.clock.now());
        Ok((token, status))
    }

    /// Counts the token holders of the caller's workspace and their active tokens, or the active
    /// tokens of one person.
    ///
    /// # Errors
    /// [`Error::NotAdministrator`] if a member asks for other people, [`Error::RateLimited`] if the
    /// caller has too many reads in progress.
    pub async fn count_holders(&self, caller: &Principal, person_id: Option<PersonId>) -> Result<TokenHolderCounts> {
        if person_id != Some(PersonId::of(caller)) {
            self.required_role(caller, TokenScope::Workspace { person_id }).await?;
        }
        let (store, workspace_id, now) = (self.store.clone(), WorkspaceId::of(caller), self.clock.now());
        let query = async move { store.count_token_holders(workspace_id, person_id, now).await };
        self.read_budget.run(ReadRequester::person(PersonId::of(caller)), query).await
    }

    /// Finds the caller's token that expires first, if it does so within a week.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn find_next_expiry(&self, caller: &Principal) -> Result<Option<NextExpiry>> {
        let (workspace_id, person_id) = (WorkspaceId::of(caller), PersonId::of(caller));
        Ok(self.store.find_next_expiry(workspace_id, person_id, self.clock.now(), EXPIRY_NOTICE_DAYS).await?)
    }

    /// Returns the current time, as used for expiry.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Checks that the caller's workspace has the feature switched on.
    ///
    /// # Errors
    /// [`Error::FeatureOff`] if it is switched off.
    pub async fn ensure_enabled(&self, caller: &Principal) -> Result<()> {
        let overrides = self.store.find_settings(WorkspaceId::of(caller)).await?;
        let settings = self.defaults.with_overrides(overrides);
        if settings.enabled { Ok(()) } else { Err(Error::FeatureOff) }
    }

    /// Flushes buffered last-used timestamps. Called on a timer, before reads, and at a clean
    /// shutdown.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow. The timestamps stay in
    /// the buffer.
    pub async fn flush_last_used(&self) -> Result<()> {
        Ok(self.node.flush_last_used().await?)
    }

    /// Waits until enough last-used timestamps are buffered for an early flush.
    pub async fn wait_for_flush_threshold(&self) {
        self.node.wait_for_flush_threshold().await;
    }
}

/// Returns the tokens that the caller may read and delete.
fn accessible_to(caller: &Principal) -> OwnerScope {
    if caller.is_admin { OwnerScope::Workspace(WorkspaceId::of(caller)) } else { in_custody_of(caller) }
}

/// Returns the tokens of the caller, and of the service accounts of which the caller is a custodian.
fn in_custody_of(caller: &Principal) -> OwnerScope {
    OwnerScope::Custody { workspace_id: WorkspaceId::of(caller), person_id: PersonId::of(caller) }
}

/// Maps a lost authorization of a workspace with the feature switched off to the error of the token
/// routes.
fn map_feature_off(error: store::Error) -> Error {
    match error {
        store::Error::AuthorizationLost(AuthorizationLost::FeatureOff) => Error::FeatureOff,
        error => error.into(),
    }
}

/// Generates a version 7 UUID (RFC 9562, section 5.7). It starts with the time, so that new rows
/// are adjacent in the index.
pub(in crate::service) fn generate_id(now: Timestamp, random: &Random) -> Uuid {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random.bytes::<10>()).into_uuid()
}
