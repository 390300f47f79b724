//! `tokenward cluster`: secrets that all nodes of a database share.

use clap::Subcommand;

use super::{GlobalOptions, output};
use crate::{
    domain::random::Random,
    http::server,
    service::cluster::{RotateSecretError, rotate_secret},
};

/// The subcommands of `tokenward cluster`.
#[derive(Debug, Subcommand)]
pub(super) enum ClusterCommand {
    /// Replace the secret that authenticates messages between nodes, while they run; takes four
    /// lease durations
    RotateSecret,
}

impl ClusterCommand {
    pub(super) async fn run(self, global: &GlobalOptions) -> anyhow::Result<()> {
        let Self::RotateSecret = self;
        let config = global.load(None)?;
        if config.database.url.is_sqlite() {
            // A running service has the file open.
            return Err(RotateSecretError::SingleProcess.into());
        }
        let store = server::open_store(&config, false).await?;
        rotate_secret(&store, &Random::system(), config.cache_limits().lease_duration).await?;
        store.close().await;
        output::print_line(format_args!("replaced the cluster secret"))
    }
}
