//! The users of a provisioning client.

use super::{Scim, ScimClient};
use crate::{
    domain::{
        ValidationError,
        authority::Mutation,
        id::PersonId,
        scim::{EditError, ScimAttributes, ScimEdit, ScimFilter, ScimUser, ValidAttributes},
    },
    service::{Error, Result, read_budget::ReadRequester},
    store::{self, Committed, NewScimUser, ScimUserChange, ScimUserOutcome},
};

/// The number of attempts of a change that other requests overtake.
const MAX_ATTEMPTS: usize = 8;

/// The unvalidated attributes of a new user.
#[derive(Clone, Debug)]
pub struct CreateScimUser {
    pub attributes: ScimAttributes,
    pub is_active: bool,
}

/// A change of a user.
#[derive(Clone, Debug)]
pub enum ScimChange {
    /// New values of all attributes. `None` keeps a state; a missing external ID keeps the old one.
    Replace { attributes: ScimAttributes, is_active: Option<bool> },
    /// Changes of single attributes, in order.
    Edit(Vec<ScimEdit>),
}

/// A page of users.
#[derive(Clone, Debug)]
pub struct ScimUserPage {
    pub users: Vec<ScimUser>,
    /// The number of users of all pages.
    pub total: i64,
}

impl ScimChange {
    /// Returns the attributes of the user after the change, and the new state.
    fn apply(&self, user: &ScimUser) -> std::result::Result<(ScimAttributes, Option<bool>), EditError> {
        match self {
            Self::Replace { attributes, is_active } => {
                let external_id = attributes.external_id.clone().or_else(|| user.attributes.external_id.clone());
                Ok((ScimAttributes { external_id, ..attributes.clone() }, *is_active))
            }
            Self::Edit(edits) => {
                let (mut attributes, mut is_active) = (user.attributes.clone(), None);
                for edit in edits {
                    edit.apply(&mut attributes, &mut is_active)?;
                }
                Ok((attributes, is_active))
            }
        }
    }
}

impl Scim {
    /// Finds a user.
    ///
    /// # Errors
    /// [`Error::ScimUserNotFound`] if the client may see no such user.
    pub async fn find_user(&self, client: &ScimClient, id: PersonId) -> Result<ScimUser> {
        self.store.find_scim_user(&client.credential, id).await?.ok_or(Error::ScimUserNotFound)
    }

    /// Lists users by ID. `part` is limit and offset.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow, or too many reads are in
    /// progress.
    pub async fn list_users(
        &self,
        client: &ScimClient,
        filter: Option<ScimFilter>,
        part: (i64, i64),
    ) -> Result<ScimUserPage> {
        let (store, credential) = (self.store.clone(), client.credential.clone());
        let query = async move {
            let total = store.count_scim_users(&credential, filter.as_ref()).await?;
            Ok((store.list_scim_users(&credential, filter.as_ref(), part).await?, total))
        };
        let (users, total) = self.read_budget.run(ReadRequester::provisioning_client(), query).await?;
        Ok(ScimUserPage { users, total })
    }

    /// Creates a user, or takes over the account with the same external ID that the client deleted
    /// before. Tokens that were revoked with the deletion stay revoked.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an attribute, [`Error::ScimUserTaken`] if another account has the user
    /// name, the external ID or the e-mail, and for administrators as in [`Scim::change_user`].
    pub async fn create_user(&self, client: &ScimClient, new: CreateScimUser) -> Result<ScimUser> {
        let attributes = new.attributes.validate()?;
        if let (Some(provider), None) = (&client.credential.provider, &attributes.attributes.external_id) {
            return Err(ValidationError::ScimExternalIdMissing { provider: provider.name.clone() }.into());
        }
        let new = NewScimUser { attributes, is_active: new.is_active, identity_id: self.generate_id() };
        let inserted = self.store.insert_scim_user(&client.credential, &new, &self.mutation(client)).await;
        match self.settle(client, inserted).await? {
            ScimUserOutcome::Changed(id) => self.find_user(client, id).await,
            outcome => Err(rejection(outcome)),
        }
    }

    /// Changes a user. When this returns, a disabled user is rejected on every node.
    ///
    /// # Errors
    /// [`Error::ScimUserNotFound`], [`Error::Invalid`] for an attribute, [`Error::ScimNoTarget`] if the
    /// filter of a path selects nothing, [`Error::ScimExternalIdImmutable`], [`Error::ScimUserTaken`],
    /// [`Error::ScimAdministratorEmail`], and [`Error::LastAdministrator`],
    /// [`Error::LastPlatformAdministrator`] and [`Error::LastLocalAdministrator`] if none would be left.
    pub async fn change_user(&self, client: &ScimClient, id: PersonId, change: &ScimChange) -> Result<ScimUser> {
        for _ in 0..MAX_ATTEMPTS {
            let user = self.find_user(client, id).await?;
            let (attributes, is_active) = change.apply(&user).map_err(|EditError| Error::ScimNoTarget)?;
            let change = validate_change(client, &user, attributes, is_active)?;
            match self.write(client, id, &change).await? {
                ScimUserOutcome::Changed(id) => return self.find_user(client, id).await,
                ScimUserOutcome::Stale => {}
                outcome => return Err(rejection(outcome)),
            }
        }
        Err(Error::timed_out())
    }

    /// Deletes a user: the account is disabled, its tokens are revoked, and the client does not see it
    /// any more. When this returns, every node rejects the tokens.
    ///
    /// # Errors
    /// [`Error::ScimUserNotFound`], and for administrators as in [`Scim::change_user`].
    pub async fn delete_user(&self, client: &ScimClient, id: PersonId) -> Result<()> {
        for _ in 0..MAX_ATTEMPTS {
            let user = self.find_user(client, id).await?;
            let change = ScimUserChange {
                attributes: user.attributes,
                changed: Vec::new(),
                email: None,
                name: None,
                is_active: Some(false),
                deletes: true,
                expected_revision: user.revision,
            };
            match self.write(client, id, &change).await? {
                ScimUserOutcome::Changed(_) => {
                    self.mutations.schedule_purge();
                    return Ok(());
                }
                ScimUserOutcome::Stale => {}
                outcome => return Err(rejection(outcome)),
            }
        }
        Err(Error::timed_out())
    }

    async fn write(&self, client: &ScimClient, id: PersonId, change: &ScimUserChange) -> Result<ScimUserOutcome> {
        let mutation = self.mutation(client);
        let updated = self.store.update_scim_user(&client.credential, id, change, &mutation).await;
        self.settle(client, updated).await
    }

    /// Waits until a change is effective on every node.
    async fn settle(
        &self,
        client: &ScimClient,
        result: store::Result<Committed<ScimUserOutcome>>,
    ) -> Result<ScimUserOutcome> {
        self.node.revoke_and_wait(&client.request, result).await.map_err(|error| match error {
            store::Error::Conflict => Error::ScimUserTaken,
            other => other.into(),
        })
    }

    fn mutation(&self, client: &ScimClient) -> Mutation {
        Mutation::without_caller(client.credential.audit_context(self.clock.now(), client.request.clone()))
    }
}

/// Validates the attributes after a change, and returns what changes. Facts of the account that an
/// administrator has set meanwhile stay, unless the client changes the attribute that they follow from.
fn validate_change(
    client: &ScimClient,
    user: &ScimUser,
    attributes: ScimAttributes,
    is_active: Option<bool>,
) -> Result<ScimUserChange> {
    if let Some(provider) = &client.credential.provider
        && attributes.external_id != user.attributes.external_id
    {
        return Err(Error::ScimExternalIdImmutable { provider: provider.name.clone() });
    }
    let changed = attributes.changed_from(&user.attributes);
    let before = user.attributes.clone().validate().ok();
    let ValidAttributes { attributes, email, name } = attributes.validate()?;
    let (is_new_email, is_new_name) = match &before {
        Some(before) => (before.email != email, before.name != name),
        None => (true, true),
    };
    Ok(ScimUserChange {
        attributes,
        changed,
        email: Some(email).filter(|email| is_new_email && email.as_str() != user.person.email),
        name: Some(name).filter(|name| is_new_name && name.as_str() != user.person.name),
        is_active,
        deletes: false,
        expected_revision: user.revision,
    })
}

/// Returns the error of a change that was not made.
fn rejection(outcome: ScimUserOutcome) -> Error {
    match outcome {
        ScimUserOutcome::NotFound => Error::ScimUserNotFound,
        ScimUserOutcome::Taken => Error::ScimUserTaken,
        ScimUserOutcome::AdministratorEmail => Error::ScimAdministratorEmail,
        ScimUserOutcome::LastAdministrator => Error::LastAdministrator,
        ScimUserOutcome::LastPlatformAdministrator => Error::LastPlatformAdministrator,
        ScimUserOutcome::LastLocalAdministrator => Error::LastLocalAdministrator,
        ScimUserOutcome::Stale | ScimUserOutcome::Changed(_) => Error::timed_out(),
    }
}
