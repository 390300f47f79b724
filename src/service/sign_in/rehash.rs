//! New hashes of passwords after a change of the hashing parameters.

use super::SignIn;
use crate::{
    domain::{
        causes::Causes,
        password::Password,
        person::{EmailKey, Person},
    },
    store::PersonWithHash,
};

impl SignIn {
    /// Hashes the password again if the hashing parameters have changed. Returns the stored hash if
    /// it differs from the one that was found. Errors are logged only.
    pub(super) async fn rehash(&self, found: &PersonWithHash, password: &Password) -> Option<String> {
        let stored = found.password_hash.as_deref().filter(|stored| self.hasher.needs_rehash(stored))?;
        let id = found.person.id;
        let new = self.hasher.hash(password).await.ok()?;
        match self.store.replace_password_hash(id, stored, &new).await {
            Ok(true) => Some(new),
            Ok(false) => self.concurrent_rehash(&found.person, password).await,
            Err(error) => {
                tracing::warn!(
                    person.id = id.get(),
                    error = %Causes(&error),
                    "failed to rehash a password"
                );
                None
            }
        }
    }

    /// Returns the hash that a concurrent login stored, if the password matches it.
    async fn concurrent_rehash(&self, person: &Person, password: &Password) -> Option<String> {
        let current = self.store.find_person_by_email(&EmailKey::from_text(&person.email)).await.ok()??;
        let current = Some(current).filter(|current| current.person.id == person.id)?.password_hash?;
        let permit = self.hasher.reserve().ok()?;
        let matches = self.hasher.verify(password, Some(&current), permit).await.ok()?;
        matches.then_some(current)
    }
}
