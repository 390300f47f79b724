//! `tokenward backup`: a copy of a SQLite database.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::Args;

use super::{
    invocation::{Invocation, Services},
    output::Output,
};

/// The arguments of `tokenward backup`.
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// File to write; an existing file is not replaced
    file: PathBuf,
}

impl Backup {
    pub(super) async fn run(
        self,
        services: &Services,
        invocation: &Invocation,
        output: &mut Output,
    ) -> anyhow::Result<()> {
        let path = invocation.directory.join(self.file);
        let file = path.display();
        ensure!(!path.exists(), "{file} exists: name another file");
        let is_written = services.store.back_up_to(&path).await.with_context(|| match &services.running {
            Some(_) => format!("the running service cannot write {file}"),
            None => format!("cannot write {file}"),
        })?;
        ensure!(is_written, "the database is PostgreSQL: use pg_dump or a base backup");
        output.notice(format_args!("wrote {file}"));
        Ok(())
    }
}
