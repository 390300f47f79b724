//! Tokens: issuing, listing, reading; deleting is in `delete`, verifying in `verify`.

mod delete;
mod verify;

use uuid::Uuid;

use crate::{
    domain::{
        list::{Cursor, Page, SortKey, Which},
        person::Person,
        setting::Settings,
        time::{Clock, Timestamp},
        token::{Description, Grounds, Lifetime, NotIssued, Status, Token},
    },
    guard::Principal,
    live::Live,
    service::{Refusal, Result, act::act_of},
    store::{Holders, NewToken, Owner, Store, TokenFilter, TokenOwner},
    value::{Format, Random, TokenValue},
};

pub use crate::store::Form;
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
    pub fn new(store: Store, live: Live, clock: Clock, random: Random, format: Format, defaults: Settings) -> Self {
        Self { store, clock, random, format, defaults, live }
    }

    /// Makes a token for the caller; the value is in no other answer, ever.
    ///
    /// # Errors
    /// Where the feature is off, the caller may not generate, or the lifetime is over the maximum.
    pub async fn issue(
        &self,
        caller: &Principal,
        lifetime: Lifetime,
        description: Description,
    ) -> Result<(TokenValue, Token)> {
        self.issue_by(caller, lifetime, description, None).await
    }

    /// The same for a form on a page, which makes one token however often it is sent.
    ///
    /// # Errors
    /// Those of [`Tokens::issue`], and [`Refusal::FormSpent`].
    pub async fn issue_once(
        &self,
        caller: &Principal,
        lifetime: Lifetime,
        description: Description,
        form: Form,
    ) -> Result<(TokenValue, Token)> {
        self.issue_by(caller, lifetime, description, Some(form)).await
    }

    async fn issue_by(
        &self,
        caller: &Principal,
        lifetime: Lifetime,
        description: Description,
        form: Option<Form>,
    ) -> Result<(TokenValue, Token)> {
        let now = self.clock.now();
        let value = self.format.make(&self.random);
        let new = NewToken {
            id: new_id(now, &self.random),
            workspace_id: caller.workspace_id,
            person_id: caller.person_id,
            digest: value.digest(),
            hint: value.hint().to_owned(),
            description: description.into_string(),
            created_at: now,
            lifetime,
            act: act_of(caller, now),
            form,
        };
        self.store.issue_token(&new, self.defaults).await?.map_err(not_issued)?;
        let token = Token {
            id: new.id,
            workspace_id: new.workspace_id,
            person_id: new.person_id,
            hint: new.hint,
            description: new.description,
            created_at: new.created_at,
            expires_at: lifetime.end(now),
            last_used_at: None,
        };
        Ok((value, token))
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

    /// Whether the caller could make a token now, and for how many days at the most.
    ///
    /// # Errors
    /// Why not.
    pub async fn may_issue(&self, caller: &Person) -> Result<Option<i64>> {
        let settings = self.defaults.overlaid(self.store.find_settings(caller.workspace_id).await?);
        let Person { is_admin, is_disabled, token_access, .. } = *caller;
        let grounds = Grounds { is_admin, is_disabled, token_access, settings };
        grounds.permit(Lifetime::Seconds(1)).map_err(not_issued)?;
        Ok(settings.max_lifetime_days)
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
    let workspace_id = caller.workspace_id;
    if caller.is_admin {
        Owner::Workspace(workspace_id)
    } else {
        Owner::Person { workspace_id, person_id: caller.person_id }
    }
}

/// A UUID of version 7 (RFC 9562, section 5.7): begins with the time, so that new rows stand side by side in the index.
pub(super) fn new_id(now: Timestamp, random: &Random) -> Uuid {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random.bytes::<10>()).into_uuid()
}

fn not_issued(reason: NotIssued) -> Refusal {
    match reason {
        NotIssued::PersonGone | NotIssued::TokenGone => Refusal::CallerGone,
        NotIssued::FeatureOff => Refusal::FeatureOff,
        NotIssued::AccessDisabled => Refusal::TokenAccessDisabled,
        NotIssued::AdministratorsOnly => Refusal::GeneratingIsForAdministrators,
        NotIssued::Lifetime(invalid) => Refusal::Invalid(invalid),
        NotIssued::FormSpent => Refusal::FormSpent,
    }
}
