//! The first start: creates workspace 1 and its administrator in an empty database.

use zeroize::Zeroizing;

use crate::{
    domain::{random::Random, time::Clock, workspace::WorkspaceName},
    service::{People, Result, people::CreatePerson},
    store::Store,
};

/// The length of a generated password: 24 base62 characters are 142 bits.
const GENERATED_PASSWORD_LENGTH: usize = 24;

/// The first administrator as configured by the operator.
#[derive(Debug)]
pub struct FirstAdministrator {
    pub email: String,
    pub password: Zeroizing<String>,
}

/// Generates the password of the first administrator.
#[must_use]
pub fn generate_password(random: &Random) -> Zeroizing<String> {
    Zeroizing::new(random.base62(GENERATED_PASSWORD_LENGTH))
}

/// Creates workspace 1 and its first administrator, who is also a platform administrator, unless
/// they exist. Returns the e-mail address of the administrator. If several nodes start at once, one
/// of them does this and the others get `None`.
///
/// # Errors
/// [`Error::Invalid`](crate::service::Error::Invalid) if the e-mail address or the password is not
/// acceptable, [`Error::Unavailable`](crate::service::Error::Unavailable) if the database is
/// unreachable or too slow.
pub async fn bootstrap(
    store: &Store,
    people: &People,
    clock: &Clock,
    first: &FirstAdministrator,
) -> Result<Option<String>> {
    const WORKSPACE_NAME: &str = "Workspace 1";
    if store.is_bootstrapped().await? {
        return Ok(None);
    }
    let request = CreatePerson {
        email: &first.email,
        name: "Administrator",
        password: &first.password,
        is_admin: true,
        is_platform_admin: true,
        force_password_change: false,
    };
    let admin = people.validate_new(request, WORKSPACE_NAME).await?;
    // The first sign-in may be hours away.
    people.release_hashing_buffers();
    let is_created = store.bootstrap(&WorkspaceName::parse(WORKSPACE_NAME)?, &admin, clock.now()).await?;
    Ok(is_created.then(|| admin.email.as_str().to_owned()))
}
