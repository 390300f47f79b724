//! The secret by which nodes know each other's messages.

use std::time::Duration;

use crate::{
    domain::random::Random,
    store::{self, Store},
};

/// Why a secret was not rotated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a SQLite file has one process and no cluster secret; nothing to rotate")]
    OneProcess,
    #[error("another process rotates the cluster secret; wait until it is done")]
    Contended,
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Replaces the secret while nodes run: first all of them accept the new one, then it signs, then the old one is forgotten. A node
/// reads the secret before each lease that it asks for, so that two leases later all that answer from memory know it. `lease` is the
/// longest that this configuration gives.
///
/// # Errors
/// [`Error::OneProcess`] on SQLite. After any other error the former secret or both are valid, and it can be tried again.
pub async fn rotate_secret(store: &Store, random: &Random, lease: Duration) -> Result<(), Error> {
    let nodes = store.nodes().ok_or(Error::OneProcess)?;
    let next: [u8; 32] = random.bytes();
    let settled = async || -> store::Result<()> {
        let longest = nodes.longest_lease().await?.unwrap_or_default();
        tokio::time::sleep(2 * longest.max(lease)).await;
        Ok(())
    };
    if nodes.state().await?.secret.accepted.is_some() {
        // An earlier attempt was broken off: nodes may still sign with what is about to be forgotten.
        settled().await?;
    }
    nodes.accept_secret(Some(next)).await?;
    settled().await?;
    if !nodes.sign_with(next).await? {
        return Err(Error::Contended);
    }
    settled().await?;
    nodes.accept_secret(None).await?;
    Ok(())
}
