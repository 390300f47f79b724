//! The inputs of a command on the store: the services, and the facts that its caller passes.

use std::{io::IsTerminal as _, path::PathBuf, time::Duration};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::prompt::Password;
use crate::{app::App, config::DatabaseUrlSetting, domain::time::Timestamp, store::Store};

/// The store and the services that a command uses.
#[derive(Clone)]
pub(super) struct Services {
    pub(super) store: Store,
    pub(super) app: App,
    /// The service in which the command runs; `None` in a process of its own.
    pub(super) running: Option<RunningService>,
}

/// The facts that a running service reports about itself.
#[derive(Clone, Debug)]
pub(super) struct RunningService {
    pub(super) started_at: Timestamp,
    started: Instant,
    /// URL of the database without its password.
    pub(super) database: String,
    /// URLs of all listeners.
    pub(super) listeners: Vec<String>,
}

/// The facts that the caller of a command passes beside the arguments. The environment is not part of
/// it: a command that runs in the service uses the configuration of the service.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Invocation {
    /// The working directory, against which file names are resolved.
    pub(super) directory: PathBuf,
    /// True if standard output is a terminal.
    pub(super) is_terminal: bool,
    password: Option<Password>,
}

impl RunningService {
    /// Describes a service that starts now.
    pub(super) fn new(now: Timestamp, database: &DatabaseUrlSetting, listeners: Vec<String>) -> Self {
        Self { started_at: now, started: Instant::now(), database: database.absolute(), listeners }
    }

    /// Returns the time since the start in whole seconds, for example `3h 25m 12s`.
    pub(super) fn uptime(&self) -> String {
        humantime::format_duration(Duration::from_secs(self.started.elapsed().as_secs())).to_string()
    }
}

impl Invocation {
    /// Describes the command of this process.
    ///
    /// # Errors
    /// If the working directory cannot be read.
    pub(super) fn of_process(password: Option<Password>) -> anyhow::Result<Self> {
        let directory = std::env::current_dir().context("the working directory cannot be read")?;
        Ok(Self { directory, is_terminal: std::io::stdout().is_terminal(), password })
    }

    /// Returns the password that the caller entered.
    ///
    /// # Errors
    /// If the client did not send one.
    pub(super) fn password(&self) -> anyhow::Result<&str> {
        Ok(self.password.as_ref().context("the command needs a password")?)
    }
}
