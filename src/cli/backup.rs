//! `tokenward backup`: a copy of a SQLite database that no service uses.

use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use clap::Args;

use super::GlobalOptions;
use crate::{store::OpenError, telemetry::print_notice};

/// The arguments of `tokenward backup`.
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// File to write; an existing file is not replaced
    file: PathBuf,
}

impl Backup {
    pub(super) async fn run(self, global: &GlobalOptions) -> anyhow::Result<()> {
        let file = self.file.display();
        ensure!(!self.file.exists(), "{file} exists: name another file");
        let store = match global.open_store().await {
            Ok(store) => store,
            Err(error) => match error.downcast_ref::<OpenError>() {
                Some(OpenError::InUse { file }) => bail!(
                    "{file} is in use by another process: send SIGUSR1 to the running service, which writes the copy \
                     {file}.backup"
                ),
                _ => return Err(error),
            },
        };
        let is_written = store.back_up_to(&self.file).await.with_context(|| format!("cannot write {file}"))?;
        store.close().await;
        ensure!(is_written, "the database is PostgreSQL: use pg_dump or a base backup");
        print_notice(format_args!("wrote {file}"));
        Ok(())
    }
}
