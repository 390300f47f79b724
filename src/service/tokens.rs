//! Tokens: listing, reading; making is in `issue`, deleting in `delete`, verifying in `verify`.

mod delete;
mod issue;
mod seal;
mod verify;

use std::net::IpAddr;

use uuid::Uuid;

use crate::{
    domain::{
        authority::AuthorityLost,
        budget::Rate,
        list::{Cursor, Page, SortKey, Which},
        setting::Settings,
        time::{Clock, Timestamp},
        token::{Status, Token},
    },
    guard::Principal,
    live::Live,
    service::{Mutations, Refusal, Refusals, Result, budgets::Budgets},
    store::{self, Holders, Owner, Store, TokenFilter, TokenOwner},
    value::{Format, Random},
};

pub use crate::store::Form;
pub use issue::Once;
pub use seal::IdempotencyKey;
pub use verify::Inspected;

/// The tokens of the service.
#[derive(Clone)]
pub struct Tokens {
    store: Store,
    clock: Clock,
    random: Random,
    format: Format,
    defaults: Settings,
    live: Live,
    refusals: Refusals,
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

/// A part of a list.
#[derive(Clone, Debug)]
pub struct List {
    pub tokens: Vec<Listed>,
    /// How many there are in all, where that was asked for.
    pub count: Option<i64>,
}

impl Tokens {
    #[must_use]
    pub fn new(
        (store, live, refusals): (Store, Live, Refusals),
        (clock, random): (Clock, Random),
        format: Format,
        defaults: Settings,
        limits: Limits,
        mutations: Mutations,
    ) -> Self {
        Self { store, clock, random, format, defaults, live, refusals, limits, mutations }
    }

    /// Lists tokens within reach.
    ///
    /// # Errors
    /// [`Refusal::NotAdministrator`] where the reach is an administrator's and the caller is none.
    pub async fn list(&self, caller: &Principal, reach: Reach, which: Which, page: &Page, count: bool) -> Result<List> {
        let workspace_id = caller.workspace_id;
        let owner = match reach {
            Reach::Own => Owner::Person { workspace_id, person_id: caller.person_id },
            Reach::Workspace { .. } if !caller.is_admin => return Err(Refusal::NotAdministrator),
            Reach::Workspace { person_id: Some(person_id) } => Owner::Person { workspace_id, person_id },
            Reach::Workspace { person_id: None } => Owner::Workspace(workspace_id),
        };
        self.flush_uses().await?;
        let now = self.clock.now();
        let filter = TokenFilter { owner, which, now };
        let count = if count { Some(self.store.count_tokens(&filter).await?) } else { None };
        let rows = self.rows(&filter, page).await?;
        let listed = |(token, owner): (Token, TokenOwner)| Listed {
            status: token.status(now),
            token,
            is_blocked: owner.is_disabled || !owner.token_access.lets_use(),
            email: owner.email,
        };
        let tokens = rows.into_iter().map(listed).collect();
        Ok(List { tokens, count })
    }

    /// The rows of a list. A whole list in the order of an index is read in parts, so that it never keeps a connection, or
    /// SQLite's only one, from those who check tokens.
    async fn rows(&self, filter: &TokenFilter, page: &Page) -> Result<Vec<(Token, TokenOwner)>> {
        const AT_ONCE: i64 = 1_000;
        if page.limit.is_some() || page.sort.key != SortKey::CreatedAt {
            return Ok(self.store.list_tokens(filter, page).await?);
        }
        let mut part = Page { limit: Some(AT_ONCE), ..page.clone() };
        let mut rows = Vec::new();
        loop {
            let read = self.store.list_tokens(filter, &part).await?;
            let is_last = i64::try_from(read.len()).is_ok_and(|count| count < AT_ONCE);
            rows.extend(read);
            match rows.last() {
                Some((last, _)) if !is_last => {
                    part = Page { offset: 0, after: Some(Cursor::of(last, page.sort.key)), ..part };
                }
                _ => return Ok(rows),
            }
        }
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
        Ok(self.store.count_holders(caller.workspace_id, person_id, self.clock.now()).await?)
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
