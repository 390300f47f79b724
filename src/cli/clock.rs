//! `tokenward clock`: the latest time that the database has seen.

use clap::Subcommand;

use super::Source;
use crate::{domain::time, http::server, service::ClockFloor};

/// What can be done with the time that the database remembers.
#[derive(Debug, Subcommand)]
pub(super) enum Clock {
    /// Set the time in the database to this machine's clock, after a clock that was ahead; stop all nodes first
    Reset(Source),
}

impl Clock {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self::Reset(source) = self;
        let store = server::open_store(&source.load(None)?, false).await?;
        let (before, now) = ClockFloor::new(store.clone(), time::Clock::system()).reset().await?;
        store.close().await;
        match before {
            Some(before) => println!("the latest time was {before}, and is {now} now"),
            None => println!("there was no latest time; it is {now} now"),
        }
        Ok(())
    }
}
