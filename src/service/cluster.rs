//! Rotation of the secret that authenticates cluster messages.

use std::time::Duration;

use crate::{
    domain::random::Random,
    store::{self, Store},
};

/// The error of a rotation.
#[derive(Debug, thiserror::Error)]
pub enum RotateSecretError {
    #[error("SQLite runs as a single process without a cluster secret; nothing to rotate")]
    SingleProcess,
    #[error("another process is rotating the cluster secret; wait until it has finished")]
    AlreadyInProgress,
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Replaces the secret while nodes run: first all nodes accept the new secret, then it signs, then
/// the old secret is deleted. A node reads the secrets before it requests a lease. After two
/// leases, every node that answers from its cache therefore knows the new secret. `lease` is the
/// longest lease of this configuration.
///
/// # Errors
/// [`RotateSecretError::SingleProcess`] on SQLite. After any other error the old secret or both are
/// valid, and the rotation can be repeated.
pub async fn rotate_secret(store: &Store, random: &Random, lease: Duration) -> Result<(), RotateSecretError> {
    let nodes = store.cluster().ok_or(RotateSecretError::SingleProcess)?;
    let next: [u8; 32] = random.bytes();
    let wait_two_leases = async || -> store::Result<()> {
        let longest = nodes.longest_lease().await?.unwrap_or_default();
        tokio::time::sleep(2 * longest.max(lease)).await;
        Ok(())
    };
    if nodes.state().await?.secret.accepted.is_some() {
        // An earlier rotation was interrupted. Nodes may still sign with the secret that is about
        // to be deleted.
        wait_two_leases().await?;
    }
    nodes.accept_secret(Some(next)).await?;
    wait_two_leases().await?;
    if !nodes.switch_signing_secret(next).await? {
        return Err(RotateSecretError::AlreadyInProgress);
    }
    wait_two_leases().await?;
    nodes.accept_secret(None).await?;
    Ok(())
}
