//! Service accounts, for custodians and for administrators. The pages of the Admin console that change
//! accounts are in `admin`, and the forms for their tokens in [`super::service_account_tokens`].

use std::collections::HashMap;

use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use serde::Deserialize;

use super::{
    error::PageResult,
    extract::{IdPath, LenientQuery},
    form_error::FormError,
    format::{TokenRow, TokenState},
    layout::{Layout, NavItem, render},
    reauth::Reauth,
    session_user::SessionUser,
    state::WebState,
    token_list::is_feature_off,
};
use crate::{
    domain::{
        id::PersonId,
        person::{Person, TokenAccess},
        token_filter::TokenFilter,
        token_query::{Sort, SortKey, TokenPageQuery},
    },
    service::{
        Error,
        people::AccountDetails,
        tokens::{ListedToken, TokenScope},
    },
};

/// The path of the list for custodians.
pub(super) const LIST_PATH: &str = "/preferences/service-accounts";
/// The maximum number of tokens on the page of an account.
const SHOWN_TOKENS: i64 = 100;

pub(super) fn routes() -> Router<WebState> {
    Router::new().route(LIST_PATH, get(list)).route("/preferences/service-accounts/{id}", get(show))
}

/// The list from which the page of an account was opened.
pub(super) struct AccountSection {
    pub nav_item: NavItem,
    pub list_path: &'static str,
    /// The pages of the Admin console.
    pub is_admin: bool,
}

/// The section of custodians.
pub(super) const OWN_ACCOUNTS: AccountSection =
    AccountSection { nav_item: NavItem::Tokens, list_path: LIST_PATH, is_admin: false };

impl AccountSection {
    /// Returns the path of the page of an account.
    pub(super) fn path(&self, id: PersonId) -> String {
        format!("{}/{id}", self.list_path)
    }
}

/// A row of a list of accounts.
pub(super) struct AccountRow {
    pub id: PersonId,
    pub name: String,
    pub is_disabled: bool,
    pub is_unowned: bool,
    pub is_admin: bool,
    /// The e-mail addresses of the custodians.
    pub custodians: String,
    pub active_tokens: i64,
}

impl AccountRow {
    /// Returns the row of an account, as the caller may see it.
    pub(super) async fn find(user: &SessionUser, state: &WebState, account: &Person) -> PageResult<Self> {
        let details = state.people.account_details(&user.actor(), &[account]).await?;
        Ok(Self::new(account, details.into_iter().next()))
    }

    /// Returns the rows of accounts, which are read at once.
    pub(super) async fn find_all(user: &SessionUser, state: &WebState, accounts: &[&Person]) -> PageResult<Vec<Self>> {
        let details = state.people.account_details(&user.actor(), accounts).await?;
        let mut details: HashMap<PersonId, AccountDetails> =
            details.into_iter().map(|details| (details.id, details)).collect();
        Ok(accounts.iter().map(|account| Self::new(account, details.remove(&account.id))).collect())
    }

    /// Returns the row of an account. There are no details if it was removed meanwhile.
    fn new(account: &Person, details: Option<AccountDetails>) -> Self {
        let (active_tokens, custodians) =
            details.map(|details| (details.active_tokens, details.custodian_emails.join(", "))).unwrap_or_default();
        Self {
            id: account.id,
            name: account.name.clone(),
            is_disabled: account.is_disabled,
            is_unowned: account.is_unowned(),
            is_admin: account.is_admin,
            custodians,
            active_tokens,
        }
    }
}

#[derive(Template)]
#[template(path = "service_accounts.html")]
pub(super) struct AccountsPage<'a> {
    pub layout: Layout,
    pub workspace: &'a str,
    pub list_path: &'static str,
    pub is_admin: bool,
    pub rows: Vec<AccountRow>,
    /// There are more accounts than the page shows.
    pub are_more: bool,
}

/// The maximum number of accounts on a page.
pub(super) const SHOWN_ACCOUNTS: i64 = 200;

/// Returns the accounts to show of one more than that, and whether there are more.
pub(super) fn shown<T>(mut listed: Vec<T>) -> (Vec<T>, bool) {
    let shown = usize::try_from(SHOWN_ACCOUNTS).unwrap_or(usize::MAX);
    let are_more = listed.len() > shown;
    listed.truncate(shown);
    (listed, are_more)
}

async fn list(user: SessionUser, State(state): State<WebState>) -> PageResult<Response> {
    let (listed, are_more) = shown(state.people.list_own_service_accounts(&user.actor(), SHOWN_ACCOUNTS + 1).await?);
    let rows = AccountRow::find_all(&user, &state, &listed.iter().collect::<Vec<_>>()).await?;
    render(&AccountsPage {
        layout: user.layout(NavItem::Tokens),
        workspace: &user.workspace_name,
        list_path: LIST_PATH,
        is_admin: false,
        rows,
        are_more,
    })
}

/// The page of an account.
#[derive(Template)]
#[template(path = "service_account.html")]
pub(super) struct AccountPage<'a> {
    pub layout: Layout,
    pub error: Option<&'a FormError>,
    pub account: AccountRow,
    pub path: String,
    pub list_path: &'static str,
    /// The viewer may change the account.
    pub is_admin: bool,
    /// The reason why the viewer creates no token for the account.
    pub denied_reason: Option<String>,
    pub tokens: Vec<TokenRow>,
    /// There are more tokens than the page shows.
    pub are_more: bool,
    /// The values of the form.
    pub name: String,
    pub custodians: String,
    pub is_admin_checked: bool,
    pub shown: ShownAccount,
    pub reauth: Reauth,
}

/// The initial values of the form.
pub(super) struct ShownAccount {
    pub name: String,
    pub custodians: String,
    pub is_admin: bool,
}

#[derive(Default, Deserialize)]
pub(super) struct AccountQuery {
    pub done: Option<String>,
}

/// Returns the page of an account.
pub(super) async fn account_page<'a>(
    user: &SessionUser,
    state: &WebState,
    id: PersonId,
    section: &AccountSection,
    error: Option<&'a FormError>,
) -> PageResult<AccountPage<'a>> {
    let account = state.people.find_service_account(&user.actor(), id).await?;
    let denied_reason = match state.tokens.check_may_issue_for(&user.person, &account).await {
        Ok(_) => None,
        Err(error @ (Error::Unavailable(_) | Error::Internal(_) | Error::CallerRevoked)) => return Err(error.into()),
        Err(Error::TokenAccessDisabled) if account.token_access == TokenAccess::Disabled => {
            Some("The token access of this account is disabled.".to_owned())
        }
        Err(error) => Some(super::messages::for_error(&error)),
    };
    let mut tokens = token_rows(user, state, &account, section).await?;
    let shown = usize::try_from(SHOWN_TOKENS).unwrap_or(usize::MAX);
    let are_more = tokens.len() > shown;
    tokens.truncate(shown);
    let row = AccountRow::find(user, state, &account).await?;
    Ok(AccountPage {
        layout: user.layout(section.nav_item),
        error,
        path: section.path(id),
        list_path: section.list_path,
        is_admin: section.is_admin,
        denied_reason,
        tokens,
        are_more,
        shown: ShownAccount {
            name: account.name.clone(),
            custodians: row.custodians.clone(),
            is_admin: account.is_admin,
        },
        name: account.name,
        custodians: row.custodians.clone(),
        is_admin_checked: account.is_admin,
        reauth: user.reauth(),
        account: row,
    })
}

/// Returns the tokens of an account, the newest first, and one more than the page shows.
async fn token_rows(
    user: &SessionUser,
    state: &WebState,
    account: &Person,
    section: &AccountSection,
) -> PageResult<Vec<TokenRow>> {
    let (caller, now) = (user.actor(), state.tokens.now());
    let sort = Sort { key: SortKey::CreatedAt, descending: true };
    let page = TokenPageQuery { sort, limit: Some(SHOWN_TOKENS + 1), offset: 0, after: None };
    let scope = TokenScope::Workspace { person_id: Some(account.id) };
    let listed = state.tokens.list(&caller, scope, TokenFilter::default(), &page).await?;
    let is_off = is_feature_off(state, &caller).await?;
    let row = |listed: ListedToken| {
        let token_state = TokenState::for_token(&listed.token, listed.status, is_off || listed.is_blocked, now);
        TokenRow::new(listed.token, token_state, None, &section.path(account.id))
    };
    Ok(listed.into_iter().map(row).collect())
}

async fn show(
    user: SessionUser,
    State(state): State<WebState>,
    IdPath(id): IdPath<PersonId>,
    LenientQuery(query): LenientQuery<AccountQuery>,
) -> PageResult<Response> {
    let page = account_page(&user, &state, id, &OWN_ACCOUNTS, None).await?;
    render(&AccountPage { layout: page.layout.with_notice(query.done.as_deref()), ..page })
}
