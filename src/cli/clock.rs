//! `tokenward clock`: the latest time in the database.

use clap::Subcommand;

use super::ConfigSource;
use crate::{domain::time, http::server, service::ClockFloor};

/// The subcommands of `tokenward clock`.
#[derive(Debug, Subcommand)]
pub(super) enum ClockCommand {
    /// Set the latest time to this machine's clock after a node's clock was ahead; stop all nodes
    /// first
    Reset(ConfigSource),
}

impl ClockCommand {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self::Reset(source) = self;
        let store = server::open_store(&source.load(None)?, false).await?;
        let (previous, now) = ClockFloor::new(store.clone(), time::Clock::system()).reset().await?;
        store.close().await;
        match previous {
            Some(previous) => println!("the latest time was {previous} and is now {now}"),
            None => println!("the latest time was not set and is now {now}"),
        }
        Ok(())
    }
}
