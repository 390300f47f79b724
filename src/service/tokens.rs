//! Tokens: listing, reading; making is in `issue`, deleting in `delete`, verifying in `verify`.

mod delete;
mod idempotency;
mod issue;
mod read_access;
mod verify;

use std::net::IpAddr;

use uuid::Uuid;

use crate::{
    cluster::Live,
    domain::{
        authority::AuthorityLost,
        random::Random,
        rate_limit::Rate,
        setting::Settings,
        time::{Clock, Timestamp},
        token::{Status, Token},
        token_query::{Page, Which},
    },
    service::{
        Lists, Mutations, Refusal, Refusals, Result, list_pages::TokenPages, rate_limit::Budgets, read_budget::Share,
    },
    store::{self, Holders, Owner, Store, TokenFilter, TokenOwner},
};
use tokenward_guard::{Principal, token_format::TokenFormat};

pub use crate::store::Form;
pub use idempotency::IdempotencyKey;
pub use issue::Once;
pub use read_access::Reading;
pub use verify::Inspected;

/// The tokens of the service.
#[derive(Clone)]
pub struct Tokens {
    store: Store,
    clock: Clock,
    random: Random,
    format: TokenFormat,
    defaults: Settings,
    live: Live,
    refusals: Refusals,
    lists: Lists,
    limits: Limits,
    mutations: Mutations,
}

/// How many tokens may be made, and how many bearers may be wrong.
#[derive(Clone, Debug)]
pub struct Limits {
    made: Budgets<i64>,
    most_live: Option<u32>,
    refused: Budgets<IpAddr>,
}

impl Limits {
    /// So many made a minute by each person, at most so many live ones of a person, and so many refused bearers a minute of each
    /// address. A rate of 0 is no limit.
    #[must_use]
    pub fn new(made_per_minute: u32, most_live: Option<u32>, refused_per_minute: u32) -> Self {
        let (made, refused) = (Rate::per_minute(made_per_minute), Rate::per_minute(refused_per_minute));
        Self { made: Budgets::new(made), most_live, refused: Budgets::new(refused) }
    }
}

/// Which tokens a list is to show.
#[derive(Clone, Copy, Debug)]
pub enum Reach {
    /// The caller's own.
    Own,
    /// Those of everybody in the caller's workspace, or of one person there; for administrators.
    Workspace { person_id: Option<i64> },
}

/// A token in a list, with its owner's e-mail and its status now.
#[derive(Clone, Debug)]
pub struct Listed {
    pub token: Token,
    pub email: String,
    pub status: Status,
    /// The owner may not use tokens at present, however long this one lives.
    pub is_blocked: bool,
}

impl Listed {
    pub(super) fn new((token, owner): (Token, TokenOwner), now: Timestamp) -> Self {
        Self {
            status: token.status(now),
            token,
            is_blocked: owner.is_disabled || !owner.token_access.lets_use(),
            email: owner.email,
        }
    }
}

impl Tokens {
    #[must_use]
    pub fn new(
        (store, live, refusals, lists): (Store, Live, Refusals, Lists),
        (clock, random): (Clock, Random),
        format: TokenFormat,
        defaults: Settings,
        limits: Limits,
        mutations: Mutations,
    ) -> Self {
        Self { store, clock, random, format, defaults, live, refusals, lists, limits, mutations }
    }

    /// Lists the tokens of one page within reach.
    ///
    /// # Errors
    /// [`Refusal::NotAdministrator`] where the reach is an administrator's and the caller is none.
    pub async fn list(&self, caller: &Principal, reach: Reach, which: Which, page: &Page) -> Result<Vec<Listed>> {
        let filter = self.filter(caller, reach, which)?;
        let (tokens, page, now) = (self.clone(), page.clone(), filter.now);
        let read = async move {
            tokens.live.flush_uses().await?;
            tokens.store.list_tokens(&filter, &page).await
        };
        let rows = self.lists.read(Share::of(caller.person_id), read).await?;
        Ok(rows.into_iter().map(|row| Listed::new(row, now)).collect())
    }

    /// Lists tokens within reach page by page, however many; with their number, where that is asked for.
    ///
    /// # Errors
    /// [`Refusal::NotAdministrator`] where the reach is an administrator's and the caller is none.
    pub async fn pages(
        &self,
        caller: &Principal,
        reach: Reach,
        which: Which,
        page: &Page,
        count: bool,
    ) -> Result<(TokenPages, Option<i64>)> {
        let filter = self.filter(caller, reach, which)?;
        let (tokens, counted) = (self.clone(), filter.clone());
        let begin = async move {
            tokens.live.flush_uses().await?;
            if count { tokens.store.count_tokens(&counted).await.map(Some) } else { Ok(None) }
        };
        let count = self.lists.read(Share::of(caller.person_id), begin).await?;
        let pages = TokenPages::new(self.lists.clone(), self.store.clone(), caller.person_id, filter, page);
        Ok((pages, count))
    }

    fn filter(&self, caller: &Principal, reach: Reach, which: Which) -> Result<TokenFilter> {
        let workspace_id = caller.workspace_id;
        let owner = match reach {
            Reach::Own => Owner::Person { workspace_id, person_id: caller.person_id },
            Reach::Workspace { .. } if !caller.is_admin => return Err(Refusal::NotAdministrator),
            Reach::Workspace { person_id: Some(person_id) } => Owner::Person { workspace_id, person_id },
            Reach::Workspace { person_id: None } => Owner::Workspace(workspace_id),
        };
        Ok(TokenFilter { owner, which, now: self.clock.now() })
    }

    /// Reads one token: the caller's own, or for an administrator one of the workspace.
    ///
    /// # Errors
    /// [`Refusal::TokenNotFound`], also for a token that is somebody else's.
    pub async fn find(&self, caller: &Principal, id: Uuid) -> Result<(Token, Status)> {
        self.flush_uses().await?;
        let token = self.store.find_token(within_reach(caller), id).await?.ok_or(Refusal::TokenNotFound)?;
        let status = token.status(self.clock.now());
        Ok((token, status))
    }

    /// How many people of the caller's workspace hold how many active tokens; or one person there.
    ///
    /// # Errors
    /// [`Refusal::NotAdministrator`] for anybody but oneself.
    pub async fn holders(&self, caller: &Principal, person_id: Option<i64>) -> Result<Holders> {
        if !(caller.is_admin || person_id == Some(caller.person_id)) {
            return Err(Refusal::NotAdministrator);
        }
        let (store, workspace_id, now) = (self.store.clone(), caller.workspace_id, self.clock.now());
        let count = async move { store.count_holders(workspace_id, person_id, now).await };
        self.lists.read(Share::of(caller.person_id), count).await
    }

    /// This moment, by which tokens are judged.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Refuses where the caller's workspace has the feature off.
    ///
    /// # Errors
    /// [`Refusal::FeatureOff`].
    pub async fn ensure_enabled(&self, caller: &Principal) -> Result<()> {
        let set = self.store.find_settings(caller.workspace_id).await?;
        let settings = self.defaults.overlaid(set);
        if settings.enabled { Ok(()) } else { Err(Refusal::FeatureOff) }
    }

    /// Writes the uses noted until now; called on a timer, before reading, and at a clean stop.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`]; nothing is lost then.
    pub async fn flush_uses(&self) -> Result<()> {
        Ok(self.live.flush_uses().await?)
    }

    /// Completes when so many uses wait that they should be written before their time.
    pub async fn uses_are_many(&self) {
        self.live.uses_are_many().await;
    }
}

fn within_reach(caller: &Principal) -> Owner {
    if caller.is_admin { Owner::Workspace(caller.workspace_id) } else { own(caller) }
}

fn own(caller: &Principal) -> Owner {
    Owner::Person { workspace_id: caller.workspace_id, person_id: caller.person_id }
}

/// Turns an authorization that was lost to the workspace's switch into what the token routes say then.
fn feature_off(error: store::Error) -> Refusal {
    match error {
        store::Error::AuthorityLost(AuthorityLost::FeatureOff) => Refusal::FeatureOff,
        error => error.into(),
    }
}

/// A UUID of version 7 (RFC 9562, section 5.7): begins with the time, so that new rows stand side by side in the index.
pub(super) fn new_id(now: Timestamp, random: &Random) -> Uuid {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random.bytes::<10>()).into_uuid()
}
