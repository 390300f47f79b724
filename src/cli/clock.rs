//! `tokenward clock`: the latest time in the database.

use clap::Subcommand;

use super::{GlobalOptions, output};
use crate::{domain::time, service::ClockFloor};

/// The subcommands of `tokenward clock`.
#[derive(Debug, Subcommand)]
pub(super) enum ClockCommand {
    /// Set the latest time to this machine's clock after a node's clock was ahead; stop all nodes
    /// first
    Reset,
}

impl ClockCommand {
    pub(super) async fn run(self, global: &GlobalOptions) -> anyhow::Result<()> {
        let Self::Reset = self;
        let store = global.open_store().await?;
        let (previous, now) = ClockFloor::new(store.clone(), time::Clock::system()).reset().await?;
        store.close().await;
        match previous {
            Some(previous) => output::print_line(format_args!("the latest time was {previous} and is now {now}")),
            None => output::print_line(format_args!("the latest time was not set and is now {now}")),
        }
    }
}
