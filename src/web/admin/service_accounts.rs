//! Service accounts in the Admin console: the list, and the forms that add, change and remove an
//! account.

use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{
    domain::{
        ValidationError,
        id::{PersonId, WorkspaceId},
        service_account::Custodians,
    },
    service::{
        Error,
        people::{ActorKind, CreateServiceAccount, PageStart, PersonSearch, UpdatePerson},
    },
    web::{
        draft::Draft,
        error::{PageResult, see_other},
        extract::{IdPath, LenientQuery, PageForm, is_checked},
        form_error::FormError,
        generate::{GenerateForm, generate_for, show_form_for},
        layout::{Layout, NavItem, render, render_form},
        reauth::{Reauth, require_recent_password},
        service_account_tokens::{NamedToken, confirm_deletion, delete_token, generate_target},
        service_accounts::{
            AccountPage, AccountQuery, AccountRow, AccountSection, AccountsPage, SHOWN_ACCOUNTS, ShownAccount,
            account_page, shown,
        },
        session_user::AdminUser,
        state::WebState,
        tokens::ReauthForm,
    },
};

const LIST_PATH: &str = "/admin/service-accounts";

const SECTION: AccountSection =
    AccountSection { nav_item: NavItem::ServiceAccounts, list_path: LIST_PATH, is_admin: true };

pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route(LIST_PATH, get(list))
        .route("/admin/service-accounts/new", get(show_new_form).post(add))
        .route("/admin/service-accounts/{id}", get(show).post(change))
        .route("/admin/service-accounts/{id}/remove", get(show_remove_form).post(remove))
        .route("/admin/service-accounts/{id}/generate", get(show_generate_form).post(generate))
        .route("/admin/service-accounts/{id}/delete-token", get(show_delete_form).post(delete))
}

async fn list(
    user: AdminUser,
    State(state): State<WebState>,
    LenientQuery(query): LenientQuery<AccountQuery>,
) -> PageResult<Response> {
    let search = PersonSearch::service_accounts();
    let start = PageStart::default();
    let listed = state.people.list_with_token_counts(&user.actor(), &search, &start, SHOWN_ACCOUNTS + 1).await?;
    let (listed, are_more) = shown(listed);
    let accounts: Vec<_> = listed.iter().map(|entry| &entry.person).collect();
    let rows = AccountRow::find_all(&user, &state, &accounts).await?;
    render(&AccountsPage {
        layout: user.layout(NavItem::ServiceAccounts).with_notice(query.done.as_deref()),
        workspace: &user.workspace_name,
        list_path: LIST_PATH,
        is_admin: true,
        rows,
        are_more,
    })
}

#[derive(Template)]
#[template(path = "admin/new_service_account.html")]
struct NewAccountPage<'a> {
    layout: Layout,
    error: Option<&'a FormError>,
    name: &'a str,
    custodians: &'a str,
    is_admin: bool,
    reauth: Reauth,
}

/// The form of a new account, and of the page of an account.
#[derive(Deserialize)]
struct AccountForm {
    /// `enable`, `disable` or `save`.
    #[serde(default)]
    operation: String,
    #[serde(default)]
    name: String,
    /// E-mail addresses, separated by white space or commas.
    #[serde(default)]
    custodians: String,
    is_admin: Option<String>,
    /// The initial values of the form. A field that was not edited is not sent to the database, where it may
    /// have changed meanwhile.
    shown_name: Option<String>,
    shown_custodians: Option<String>,
    shown_is_admin: Option<String>,
    own_password: Option<Zeroizing<String>>,
}

impl AccountForm {
    fn password(&self) -> Option<&str> {
        self.own_password.as_ref().map(|password| password.as_str())
    }

    fn is_admin(&self) -> bool {
        is_checked(self.is_admin.as_ref())
    }

    /// Returns the IDs of the custodians.
    async fn custodian_ids(&self, user: &AdminUser, state: &WebState) -> Result<Vec<i64>, Error> {
        let emails = self.custodians.split(|c: char| c.is_whitespace() || c == ',' || c == ';');
        let emails: Vec<&str> = emails.filter(|email| !email.is_empty()).collect();
        if emails.len() > Custodians::MAX {
            let (field, count, max) = ("custodians", emails.len(), Custodians::MAX);
            return Err(ValidationError::TooManyEntries { field, count, max }.into());
        }
        state.people.find_custodian_ids(&user.actor(), &emails).await
    }
}

async fn show_new_form(user: AdminUser) -> PageResult<Response> {
    render(&NewAccountPage {
        layout: user.layout(NavItem::ServiceAccounts),
        error: None,
        name: "",
        custodians: &user.person.email,
        is_admin: false,
        reauth: user.reauth(),
    })
}

async fn add(
    user: AdminUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    PageForm(form): PageForm<AccountForm>,
) -> PageResult<Response> {
    let error = match require_recent_password(&state, &user, &headers, form.password()).await? {
        Ok(()) => match create(&user, &state, &form).await {
            Ok(id) => return Ok(see_other(&format!("{LIST_PATH}/{id}?done=account-added"))),
            Err(error) => FormError::from_error(error)?,
        },
        Err(error) => error,
    };
    let page = NewAccountPage {
        layout: user.layout(NavItem::ServiceAccounts),
        error: Some(&error),
        name: &form.name,
        custodians: &form.custodians,
        is_admin: form.is_admin(),
        reauth: user.reauth(),
    };
    render_form(&page, Some(&error))
}

async fn create(user: &AdminUser, state: &WebState, form: &AccountForm) -> Result<PersonId, Error> {
    let custodians = &form.custodian_ids(user, state).await?;
    let request = CreateServiceAccount { name: form.name.trim(), custodians, is_admin: form.is_admin() };
    let actor = user.actor();
    let initiator = ActorKind::Person(&actor);
    Ok(state.people.add_service_account(initiator, user.person.workspace_id, request).await?.id)
}

async fn show(
    user: AdminUser,
    State(state): State<WebState>,
    IdPath(id): IdPath<PersonId>,
    LenientQuery(query): LenientQuery<AccountQuery>,
) -> PageResult<Response> {
    let page = account_page(&user, &state, id, &SECTION, None).await?;
    render(&AccountPage { layout: page.layout.with_notice(query.done.as_deref()), ..page })
}

async fn change(
    user: AdminUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    IdPath(id): IdPath<PersonId>,
    PageForm(form): PageForm<AccountForm>,
) -> PageResult<Response> {
    state.people.find_service_account(&user.actor(), id).await?;
    let (is_save, done) = match form.operation.as_str() {
        "disable" => (false, "account-disabled"),
        "enable" => (false, "enabled"),
        _ => (true, "saved"),
    };
    // As on the page of a user, only changes of the fields require the password.
    let confirmed = match is_save {
        true => require_recent_password(&state, &user, &headers, form.password()).await?,
        false => Ok(()),
    };
    let error = match confirmed {
        Ok(()) => match apply(&user, &state, id, &form, is_save).await {
            Ok(()) => return Ok(see_other(&format!("{LIST_PATH}/{id}?done={done}"))),
            Err(error) => FormError::from_error(error)?,
        },
        Err(error) => error,
    };
    let page = account_page(&user, &state, id, &SECTION, Some(&error)).await?;
    let page = match is_save {
        true => AccountPage {
            name: form.name.clone(),
            custodians: form.custodians.clone(),
            is_admin_checked: form.is_admin(),
            shown: ShownAccount {
                name: form.shown_name.clone().unwrap_or(page.shown.name),
                custodians: form.shown_custodians.clone().unwrap_or(page.shown.custodians),
                is_admin: form.shown_is_admin.as_ref().map_or(page.shown.is_admin, |shown| shown == "yes"),
            },
            ..page
        },
        false => page,
    };
    render_form(&page, Some(&error))
}

async fn apply(
    user: &AdminUser,
    state: &WebState,
    id: PersonId,
    form: &AccountForm,
    is_save: bool,
) -> Result<(), Error> {
    let actor = user.actor();
    let is_edited = is_save && form.shown_custodians.as_ref() != Some(&form.custodians);
    let custodians = if is_edited { Some(form.custodian_ids(user, state).await?) } else { None };
    let shown_is_admin = form.shown_is_admin.as_ref().map(|shown| shown == "yes");
    let change = match is_save {
        true => UpdatePerson {
            name: Some(form.name.trim()).filter(|name| form.shown_name.as_deref() != Some(*name)),
            custodians: custodians.as_deref(),
            is_admin: Some(form.is_admin()).filter(|is_admin| shown_is_admin != Some(*is_admin)),
            ..UpdatePerson::default()
        },
        false => UpdatePerson { is_disabled: Some(form.operation == "disable"), ..UpdatePerson::default() },
    };
    state.people.update(ActorKind::Person(&actor), WorkspaceId::of(&actor), id, &change).await.map(|_| ())
}

/// The confirmation page for removing an account.
#[derive(Template)]
#[template(path = "admin/remove_service_account.html")]
struct RemoveAccountPage<'a> {
    layout: Layout,
    error: Option<&'a FormError>,
    account: AccountRow,
    reauth: Reauth,
}

async fn remove_page<'a>(
    user: &AdminUser,
    state: &WebState,
    id: PersonId,
    error: Option<&'a FormError>,
) -> PageResult<RemoveAccountPage<'a>> {
    let account = state.people.find_service_account(&user.actor(), id).await?;
    Ok(RemoveAccountPage {
        layout: user.layout(NavItem::ServiceAccounts),
        error,
        account: AccountRow::find(user, state, &account).await?,
        reauth: user.reauth(),
    })
}

async fn show_remove_form(
    user: AdminUser,
    State(state): State<WebState>,
    IdPath(id): IdPath<PersonId>,
) -> PageResult<Response> {
    render(&remove_page(&user, &state, id, None).await?)
}

async fn remove(
    user: AdminUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    IdPath(id): IdPath<PersonId>,
    PageForm(form): PageForm<ReauthForm>,
) -> PageResult<Response> {
    state.people.find_service_account(&user.actor(), id).await?;
    let error = match require_recent_password(&state, &user, &headers, form.password()).await? {
        Ok(()) => match state.people.remove(&user.actor(), id).await {
            Ok(()) => return Ok(see_other(&format!("{LIST_PATH}?done=account-removed"))),
            Err(error) => FormError::from_error(error)?,
        },
        Err(error) => error,
    };
    render_form(&remove_page(&user, &state, id, Some(&error)).await?, Some(&error))
}

async fn show_generate_form(
    user: AdminUser,
    State(state): State<WebState>,
    IdPath(id): IdPath<PersonId>,
    draft: Draft,
) -> PageResult<Response> {
    let target = generate_target(&user, &state, id, &SECTION).await?;
    show_form_for(&user, &state, &draft, &target).await
}

async fn generate(
    user: AdminUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    IdPath(id): IdPath<PersonId>,
    PageForm(form): PageForm<GenerateForm>,
) -> PageResult<Response> {
    let target = generate_target(&user, &state, id, &SECTION).await?;
    generate_for(&user, &state, &headers, &form, &target).await
}

async fn show_delete_form(
    user: AdminUser,
    State(state): State<WebState>,
    IdPath(id): IdPath<PersonId>,
    LenientQuery(named): LenientQuery<NamedToken>,
) -> PageResult<Response> {
    confirm_deletion(&user, &state, id, &named, &SECTION).await
}

async fn delete(
    user: AdminUser,
    State(state): State<WebState>,
    IdPath(id): IdPath<PersonId>,
    PageForm(named): PageForm<NamedToken>,
) -> PageResult<Response> {
    delete_token(&user, &state, id, &named, &SECTION).await
}
