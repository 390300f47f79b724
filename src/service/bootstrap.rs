//! The first start: an empty database gets workspace 1 and somebody who can sign in.

use zeroize::Zeroizing;

use crate::{
    domain::{random::Random, time::Clock, workspace::WorkspaceName},
    service::{People, Result, people::Add},
    store::Store,
};

/// Length of the password that is made up: 24 characters base62 are 142 bits.
const PASSWORD_CHARS: usize = 24;

/// The first administrator, as the operator wants it.
#[derive(Debug)]
pub struct FirstAdministrator {
    pub email: String,
    /// None: one is made up.
    pub password: Option<Zeroizing<String>>,
}

/// What the first start made.
pub struct SetUp {
    pub email: String,
    /// The password that was made up, to be shown once.
    pub password: Option<Zeroizing<String>>,
}

/// Makes workspace 1 and its first administrator, who is also platform administrator, unless they are there. Of many nodes
/// that start at once, one does it; the others answer none.
///
/// # Errors
/// [`Refusal::Invalid`](crate::service::Refusal::Invalid) where e-mail or password are not acceptable.
pub async fn set_up(
    store: &Store,
    people: &People,
    clock: &Clock,
    random: &Random,
    first: FirstAdministrator,
) -> Result<Option<SetUp>> {
    const WORKSPACE: &str = "Workspace 1";
    if store.is_set_up().await? {
        return Ok(None);
    }
    let made_up = first.password.is_none();
    let password = first.password.unwrap_or_else(|| Zeroizing::new(random.base62(PASSWORD_CHARS)));
    let add = Add {
        email: &first.email,
        name: "Administrator",
        password: &password,
        is_admin: true,
        is_platform_admin: true,
        force_password_change: false,
    };
    let admin = people.prepare(add, WORKSPACE).await?;
    // It may be long until the first sign-in.
    people.release_memory();
    let done = store.set_up(&WorkspaceName::parse(WORKSPACE)?, &admin, clock.now()).await?;
    Ok(done.then(|| SetUp { email: admin.email.as_str().to_owned(), password: made_up.then_some(password) }))
}
