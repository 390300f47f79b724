//! People as a provisioning client sees them: those that it provisioned, and those who are linked to
//! its identity provider. Changes are in `change`, new users in `create`.

mod change;
mod create;
mod outcome;

use super::{Error, Result, Store, from_row, on_pool, on_readers, people};
use crate::domain::{
    id::PersonId,
    person::{EmailKey, Person},
    scim::{ScimAttributes, ScimCredential, ScimEmail, ScimFilter, ScimProfile, ScimUser},
    time::Timestamp,
};
pub use outcome::{NewScimUser, ScimUserChange, ScimUserOutcome};

struct Row {
    person: people::Row,
    scim_user_name: Option<String>,
    scim_external_id: Option<String>,
    scim_profile: Option<String>,
    scim_revision: Option<i64>,
    scim_created_at: Option<Timestamp>,
    scim_updated_at: Option<Timestamp>,
}

from_row!(Row {
    scim_user_name,
    scim_external_id,
    scim_profile,
    scim_revision,
    scim_created_at,
    scim_updated_at
    ; person
});

/// The people of workspace `$1` that a client with the provider `$2` may see.
macro_rules! visible {
    () => {
        " from person left join (select person_id as scim_person_id, user_name as scim_user_name, user_name_key as \
         scim_user_name_key, external_id as scim_own_external_id, profile as scim_profile, revision as scim_revision, \
         created_at as scim_created_at, updated_at as scim_updated_at, deleted_at as scim_deleted_at from scim_user \
         where workspace_id = $1 and provider = $2) s on scim_person_id = person.id left join (select person_id as \
         linked_person_id, subject as linked_subject from external_identity where workspace_id = $1 and provider = $2) l \
         on linked_person_id = person.id where workspace_id = $1 and kind = 'person' and removed_at is null and \
         scim_deleted_at is null and (scim_person_id is not null or linked_person_id is not null)"
    };
}

macro_rules! select {
    ($($more:tt)*) => {
        concat!(
            "select ",
            people::columns!(),
            ", scim_user_name, coalesce(scim_own_external_id, linked_subject) as scim_external_id, scim_profile, \
             scim_revision, scim_created_at, scim_updated_at",
            visible!(),
            $($more)*
        )
    };
}

/// The condition on a user name `$3`. A linked person whom no client has changed yet is found by the
/// e-mail address, which is the user name then. The subquery uses indexes.
macro_rules! by_user_name {
    () => {
        " and person.id in (select u.person_id from scim_user u where u.workspace_id = $1 and u.provider = $2 and \
         u.user_name_key = $3 union all select q.id from person q where q.workspace_id = $1 and q.email_key = $3) \
         and (scim_person_id is null or scim_user_name_key = $3)"
    };
}

/// The condition on an external ID `$3`.
macro_rules! by_external_id {
    () => {
        " and person.id in (select u.person_id from scim_user u where u.workspace_id = $1 and u.provider = $2 and \
         u.external_id = $3 union all select i.person_id from external_identity i where i.workspace_id = $1 and \
         i.provider = $2 and i.subject = $3)"
    };
}

impl TryFrom<Row> for ScimUser {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let person = Person::try_from(row.person)?;
        let profile = match &row.scim_profile {
            Some(text) => serde_json::from_str(text).map_err(|_| Error::corrupt("scim_user.profile"))?,
            None => profile_of(&person),
        };
        let user_name = row.scim_user_name.unwrap_or_else(|| person.email.clone());
        Ok(Self {
            attributes: ScimAttributes { user_name, external_id: row.scim_external_id, profile },
            revision: row.scim_revision.unwrap_or(0),
            created_at: row.scim_created_at.unwrap_or(person.created_at),
            updated_at: row.scim_updated_at.map_or(person.updated_at, |updated| updated.max(person.updated_at)),
            person,
        })
    }
}

/// Returns the profile of a person whom no client has changed yet.
fn profile_of(person: &Person) -> ScimProfile {
    ScimProfile {
        display_name: Some(person.name.clone()).filter(|name| !name.is_empty()),
        emails: vec![ScimEmail { value: person.email.clone(), kind: Some("work".to_owned()), primary: Some(true) }],
        ..ScimProfile::default()
    }
}

/// Returns the bound value of a filter, which is null without one; `None` if no stored value can equal
/// it.
fn filter_value(filter: Option<&ScimFilter>) -> Option<Option<String>> {
    match filter {
        None => Some(None),
        Some(ScimFilter::UserName(name)) => Some(Some(EmailKey::from_text(name).as_str().to_owned())),
        // PostgreSQL rejects U+0000 in text.
        Some(ScimFilter::ExternalId(id)) => (!id.contains('\0')).then(|| Some(id.clone())),
    }
}

impl Store {
    /// Finds a user that the client may see.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn find_scim_user(&self, credential: &ScimCredential, id: PersonId) -> Result<Option<ScimUser>> {
        const SELECT: &str = select!(" and person.id = $3");
        let row: Option<Row> = on_pool!(self, pool => sqlx::query_as(SELECT).bind(credential.workspace_id)
            .bind(credential.provider_key()).bind(id).fetch_optional(pool).await)?;
        row.map(ScimUser::try_from).transpose()
    }

    /// Lists the users that the client may see, by ID. `part` is limit and offset.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn list_scim_users(
        &self,
        credential: &ScimCredential,
        filter: Option<&ScimFilter>,
        (limit, offset): (i64, i64),
    ) -> Result<Vec<ScimUser>> {
        const ALL: &str = select!(" and cast($3 as text) is null order by person.id limit $4 offset $5");
        const BY_USER_NAME: &str = select!(by_user_name!(), " order by person.id limit $4 offset $5");
        const BY_EXTERNAL_ID: &str = select!(by_external_id!(), " order by person.id limit $4 offset $5");
        let statement = match filter {
            None => ALL,
            Some(ScimFilter::UserName(_)) => BY_USER_NAME,
            Some(ScimFilter::ExternalId(_)) => BY_EXTERNAL_ID,
        };
        let Some(value) = filter_value(filter) else { return Ok(Vec::new()) };
        let rows: Vec<Row> = on_readers!(self, pool => sqlx::query_as(statement).bind(credential.workspace_id)
            .bind(credential.provider_key()).bind(value).bind(limit).bind(offset).fetch_all(pool).await)?;
        rows.into_iter().map(ScimUser::try_from).collect()
    }

    /// Counts the users that the client may see.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn count_scim_users(&self, credential: &ScimCredential, filter: Option<&ScimFilter>) -> Result<i64> {
        const ALL: &str = concat!("select count(*)", visible!(), " and cast($3 as text) is null");
        const BY_USER_NAME: &str = concat!("select count(*)", visible!(), by_user_name!());
        const BY_EXTERNAL_ID: &str = concat!("select count(*)", visible!(), by_external_id!());
        let statement = match filter {
            None => ALL,
            Some(ScimFilter::UserName(_)) => BY_USER_NAME,
            Some(ScimFilter::ExternalId(_)) => BY_EXTERNAL_ID,
        };
        let Some(value) = filter_value(filter) else { return Ok(0) };
        Ok(on_readers!(self, pool => sqlx::query_scalar(statement).bind(credential.workspace_id)
            .bind(credential.provider_key()).bind(value).fetch_one(pool).await)?)
    }
}
