//! `tokenward cluster`: what the nodes of a database share.

use clap::Subcommand;

use super::Source;
use crate::{domain::random::Random, http::server, service::cluster::rotate_secret};

/// What can be done with what nodes share.
#[derive(Debug, Subcommand)]
pub(super) enum Cluster {
    /// Replace the secret that authenticates messages between nodes, while they run; takes four leases
    RotateSecret(Source),
}

impl Cluster {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self::RotateSecret(source) = self;
        let config = source.load(None)?;
        let store = server::open_store(&config, false).await?;
        rotate_secret(&store, &Random::system(), config.memory_limits().lease).await?;
        store.close().await;
        println!("the cluster secret was replaced");
        Ok(())
    }
}
