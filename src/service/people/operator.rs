//! Operations on people by the operator at the command line.

use super::{People, check_outcome};
use crate::{domain::person::Person, service::Result};

impl People {
    /// Removes a person with all tokens and sessions.
    ///
    /// # Errors
    /// [`Error::PersonNotFound`](crate::service::Error::PersonNotFound), or
    /// [`Error::LastAdministrator`](crate::service::Error::LastAdministrator) and
    /// [`Error::LastPlatformAdministrator`](crate::service::Error::LastPlatformAdministrator) if
    /// none would be left.
    pub async fn remove_as_operator(&self, person: &Person) -> Result<()> {
        let mutation = self.mutations.by_operator();
        let delete = self.store.delete_person(person.workspace_id, person.id, &mutation).await;
        let outcome = self.node.revoke_and_wait(&mutation.context.request, delete).await?;
        self.mutations.schedule_purge();
        check_outcome(outcome)
    }
}
