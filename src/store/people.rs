//! People: inserting, finding and listing. Updates and deletion are in `change`.

mod change;
mod login;

use super::{
    Error, Result, Store,
    authority::begin,
    events::{EventDraft, record},
    from_row,
    new_password_link::{self, NewPasswordLink},
    on_pool, on_readers,
};
use crate::domain::{
    authority::Mutation,
    event::{Action, Details},
    external_identity::DisabledBy,
    id::{PersonId, WorkspaceId},
    person::{Email, EmailKey, Person, PersonName, TokenAccess},
    service_account::PersonKind,
    time::Timestamp,
};
pub(super) use change::administrators_outcome;
pub use change::{PersonChange, UpdateOutcome};

/// Person to be created.
#[derive(Clone)]
pub struct NewPerson {
    pub email: Email,
    pub name: PersonName,
    /// Argon2id hash, a PHC string. `None`: no password.
    pub password_hash: Option<String>,
    /// Invite link that is created with the person.
    pub invite: Option<NewPasswordLink>,
    pub is_admin: bool,
    pub is_platform_admin: bool,
    pub force_password_change: bool,
}

/// Person and password hash.
#[derive(Clone)]
pub struct PersonWithHash {
    pub person: Person,
    /// `None`: no password.
    pub password_hash: Option<String>,
}

/// Conditions on listed people. `None` matches everything.
#[derive(Clone, Debug, Default)]
pub struct PersonFilter {
    pub email: Option<EmailKey>,
    pub is_disabled: Option<bool>,
    pub kind: Option<PersonKind>,
}

pub(super) struct Row {
    pub(super) id: PersonId,
    workspace_id: WorkspaceId,
    kind: String,
    email: String,
    name: String,
    is_admin: bool,
    is_platform_admin: bool,
    is_disabled: bool,
    disabled_by_administrator: bool,
    disabled_by_directory: bool,
    disabled_by_scim: bool,
    admin_by_directory: bool,
    token_access: String,
    force_password_change: bool,
    notify_on_expiry: bool,
    has_password: bool,
    provider: Option<String>,
    sso_principal: Option<String>,
    last_login_at: Option<Timestamp>,
    last_sign_in_at: Option<Timestamp>,
    custodians: Option<String>,
    has_enabled_custodian: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

from_row!(Row {
    id,
    workspace_id,
    kind,
    email,
    name,
    is_admin,
    is_platform_admin,
    is_disabled,
    disabled_by_administrator,
    disabled_by_directory,
    disabled_by_scim,
    admin_by_directory,
    token_access,
    force_password_change,
    notify_on_expiry,
    has_password,
    provider,
    sso_principal,
    last_login_at,
    last_sign_in_at,
    custodians,
    has_enabled_custodian,
    created_at,
    updated_at
});

impl Row {
    /// Returns the draft of an event about the person.
    pub(super) fn event<'a>(&'a self, action: Action, target: &'a str, details: Details) -> EventDraft<'a> {
        EventDraft { action, person_id: Some(self.id), target, label: &self.email, details }
    }
}

impl NewPerson {
    pub(super) fn role_details(&self) -> Details {
        Details::default().with("role", role_name(self.is_admin))
    }
}

/// Returns the name of a person's role in events.
pub(super) fn role_name(is_admin: bool) -> &'static str {
    if is_admin { "administrator" } else { "user" }
}

impl TryFrom<Row> for Person {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let custodians = row.custodians.as_deref().unwrap_or_default().split_terminator(',');
        let custodians = custodians.map(str::parse).collect::<std::result::Result<Vec<PersonId>, _>>();
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            kind: PersonKind::parse(&row.kind).ok_or(Error::corrupt("person.kind"))?,
            custodians: custodians.map_err(|_| Error::corrupt("custodian.person_id"))?,
            has_enabled_custodian: row.has_enabled_custodian,
            email: row.email,
            name: row.name,
            is_admin: row.is_admin,
            is_platform_admin: row.is_platform_admin,
            is_disabled: row.is_disabled,
            disabled_by: DisabledBy {
                administrator: row.disabled_by_administrator,
                directory: row.disabled_by_directory,
                scim: row.disabled_by_scim,
            },
            admin_by_directory: row.admin_by_directory,
            token_access: TokenAccess::parse(&row.token_access).map_err(|_| Error::corrupt("person.token_access"))?,
            force_password_change: row.force_password_change,
            notify_on_expiry: row.notify_on_expiry,
            has_password: row.has_password,
            provider: row.provider,
            sso_principal: row.sso_principal,
            last_login_at: row.last_login_at,
            last_sign_in_at: row.last_sign_in_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

struct RowWithHash {
    person: Row,
    password_hash: Option<String>,
}

from_row!(RowWithHash { password_hash; person });

/// Columns of [`Row`]. More columns may follow.
macro_rules! columns {
    () => {
        "id, workspace_id, person.kind as kind, email, name, is_admin, is_platform_admin, is_disabled, disabled_by_administrator, \
         disabled_by_directory, disabled_by_scim, admin_by_directory, token_access, force_password_change, notify_on_expiry, \
         (password_hash is not null) as has_password, (select i.provider from external_identity i \
         where i.person_id = person.id order by i.linked_at, i.id limit 1) as provider, \
         (select i.label from external_identity i where i.person_id = person.id order by i.linked_at, i.id limit 1) \
         as sso_principal, last_login_at, last_sign_in_at, (select string_agg(cast(c.person_id as text), ',' \
         order by c.person_id) from custodian c where c.service_account_id = person.id) as custodians, \
         exists (select 1 from custodian c join person q on q.id = c.person_id where c.service_account_id = person.id \
         and not q.is_disabled) as has_enabled_custodian, created_at, updated_at"
    };
}
pub(super) use columns;

/// People of workspace `$1` with e-mail `$2`, disabled state `$3` and kind `$4`; null matches
/// everything.
macro_rules! matching {
    () => {
        " from person where workspace_id = $1 and removed_at is null and email_key = coalesce($2, email_key) \
         and is_disabled = coalesce($3, is_disabled) and kind = coalesce($4, kind)"
    };
}

pub(super) const INSERT_PERSON: &str = concat!(
    "insert into person (workspace_id, email, email_key, name, password_hash, is_admin, is_platform_admin, \
     is_disabled, token_access, force_password_change, created_at, updated_at) select id, $2, $3, $4, $5, $6, $7, \
     false, 'default', $9, $8, $8 from workspace where id = $1 and removed_at is null returning ",
    columns!()
);

/// Inserts a person on any connection. Evaluates to no row if the workspace was deleted.
macro_rules! insert {
    ($executor:expr, $workspace_id:expr, $new:expr, $now:expr) => {
        sqlx::query_as::<_, crate::store::people::Row>(crate::store::people::INSERT_PERSON)
            .bind($workspace_id)
            .bind($new.email.as_str())
            .bind($new.email.key().as_str())
            .bind($new.name.as_str())
            .bind(&$new.password_hash)
            .bind($new.is_admin)
            .bind($new.is_platform_admin)
            .bind($now)
            .bind($new.force_password_change)
            .fetch_optional($executor)
            .await
    };
}
pub(super) use insert;

impl Store {
    /// Creates a person, with an invite link if there is one. Returns `None` if the workspace was
    /// deleted.
    ///
    /// # Errors
    /// Returns [`Error::Conflict`] if the e-mail is taken in any workspace,
    /// [`Error::AuthorizationLost`] if the caller was revoked meanwhile, and [`Error::Unavailable`] if
    /// the database cannot be reached.
    pub async fn insert_person(
        &self,
        workspace_id: WorkspaceId,
        new: &NewPerson,
        mutation: &Mutation,
    ) -> Result<Option<Person>> {
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let Some(row) = insert!(&mut *tx, workspace_id, new, context.at)? else { return Ok(None) };
            let target = row.id.to_string();
            record!(tx, workspace_id, context, row.event(Action::PersonAdded, &target, new.role_details()));
            if let Some(invite) = &new.invite {
                new_password_link::insert!(tx, workspace_id, row.id, invite, context);
                record!(tx, workspace_id, context, row.event(invite.action(), &target, invite.details()));
            }
            tx.commit().await?;
            Ok(Some(row.try_into()?))
        })
    }

    /// Finds a person of a workspace.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn find_person(&self, workspace_id: WorkspaceId, id: PersonId) -> Result<Option<Person>> {
        const SELECT: &str =
            concat!("select ", columns!(), " from person where workspace_id = $1 and id = $2 and removed_at is null");
        let row: Option<Row> =
            on_pool!(self, pool => sqlx::query_as(SELECT).bind(workspace_id).bind(id).fetch_optional(pool).await)?;
        row.map(Person::try_from).transpose()
    }

    /// Finds the person who signs in with this e-mail, in any workspace. Service accounts do not sign in.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn find_person_by_email(&self, key: &EmailKey) -> Result<Option<PersonWithHash>> {
        const SELECT: &str = concat!(
            "select ",
            columns!(),
            ", password_hash from person where email_key = $1 and person.kind = 'person' \
             and workspace_id in (select id from workspace where removed_at is null)"
        );
        let row: Option<RowWithHash> =
            on_pool!(self, pool => sqlx::query_as(SELECT).bind(key.as_str()).fetch_optional(pool).await)?;
        row.map(|row| Ok(PersonWithHash { person: row.person.try_into()?, password_hash: row.password_hash }))
            .transpose()
    }

    /// Lists the people of a workspace in the order of their IDs. The list starts after the ID
    /// `after`, or with the first person.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn list_people_after(
        &self,
        workspace_id: WorkspaceId,
        filter: &PersonFilter,
        after: Option<PersonId>,
        (limit, offset): (i64, i64),
    ) -> Result<Vec<Person>> {
        const LIST: &str = concat!("select ", columns!(), matching!(), " and id > $5 order by id limit $6 offset $7");
        let email = filter.email.as_ref().map(EmailKey::as_str);
        let rows: Vec<Row> = on_readers!(self, pool => sqlx::query_as(LIST).bind(workspace_id).bind(email)
            .bind(filter.is_disabled).bind(filter.kind.map(PersonKind::as_str)).bind(after.map_or(0, PersonId::get)).bind(limit).bind(offset)
            .fetch_all(pool).await)?;
        rows.into_iter().map(Person::try_from).collect()
    }

    /// Counts the people of a workspace that match the filter.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn count_people(&self, workspace_id: WorkspaceId, filter: &PersonFilter) -> Result<i64> {
        const COUNT: &str = concat!("select count(*)", matching!());
        let PersonFilter { email, is_disabled, kind } = filter;
        if email.is_none() && is_disabled.is_none() && *kind == Some(PersonKind::Person) {
            return Ok(self.count_people_and_tokens(workspace_id).await?.0);
        }
        let email = filter.email.as_ref().map(EmailKey::as_str);
        Ok(on_readers!(self, pool => sqlx::query_scalar(COUNT).bind(workspace_id).bind(email).bind(filter.is_disabled)
            .bind(filter.kind.map(PersonKind::as_str)).fetch_one(pool).await)?)
    }

    /// Counts the enabled people who are administrators of a workspace, and those of them who are platform
    /// administrators, in this order.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn count_administrators(&self, workspace_id: WorkspaceId) -> Result<(i64, i64)> {
        let remaining: RemainingAdministrators =
            on_pool!(self, pool => sqlx::query_as(COUNT_ADMINISTRATORS).bind(workspace_id).fetch_one(pool).await)?;
        Ok((remaining.administrators, remaining.platform_administrators))
    }
}

/// Condition that a person is an enabled administrator who signs in with a local password only.
macro_rules! is_local_administrator {
    () => {
        "(is_admin and not is_disabled and password_hash is not null \
         and not exists (select 1 from external_identity i where i.person_id = person.id))"
    };
}
pub(super) use is_local_administrator;

/// Numbers of enabled administrators of a workspace.
pub(super) struct RemainingAdministrators {
    administrators: i64,
    platform_administrators: i64,
    /// Administrators who sign in with a local password only.
    local_administrators: i64,
    /// People of the workspace sign in through an identity provider.
    has_identities: bool,
}

from_row!(RemainingAdministrators { administrators, platform_administrators, local_administrators, has_identities });

/// Counts the enabled administrators of workspace `$1`.
pub(super) const COUNT_ADMINISTRATORS: &str = concat!(
    "select count(*) as administrators, count(case when is_platform_admin then 1 end) as platform_administrators, \
     count(case when ",
    is_local_administrator!(),
    " then 1 end) as local_administrators, exists (select 1 from external_identity where workspace_id = $1) \
     as has_identities from person where workspace_id = $1 and is_admin and not is_disabled and kind = 'person'"
);
