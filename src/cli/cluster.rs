//! `tokenward cluster`: secrets that all nodes of a database share.

use clap::Subcommand;

use super::ConfigSource;
use crate::{domain::random::Random, http::server, service::cluster::rotate_secret};

/// The subcommands of `tokenward cluster`.
#[derive(Debug, Subcommand)]
pub(super) enum ClusterCommand {
    /// Replace the secret that authenticates messages between nodes, while they run; takes four
    /// lease durations
    RotateSecret(ConfigSource),
}

impl ClusterCommand {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self::RotateSecret(source) = self;
        let config = source.load(None)?;
        let store = server::open_store(&config, false).await?;
        rotate_secret(&store, &Random::system(), config.cache_limits().lease_duration).await?;
        store.close().await;
        println!("replaced the cluster secret");
        Ok(())
    }
}
