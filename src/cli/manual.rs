//! `tokenward man`: the manual pages.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use clap::{Args, Command};

use super::output;

/// The arguments of `tokenward man`.
#[derive(Debug, Args)]
pub(super) struct Manual {
    /// Write a page for each command to this folder, for example tokenward-token-create.1
    #[arg(long, value_name = "FOLDER")]
    all: Option<PathBuf>,
}

impl Manual {
    /// Prints the page of the program, or writes the pages of all commands.
    pub(super) fn run(self, program: Command) -> anyhow::Result<()> {
        let Some(folder) = self.all else {
            let mut page = Vec::new();
            clap_mangen::Man::new(program).render(&mut page)?;
            return output::write_stdout(&page);
        };
        let written = fs::create_dir_all(&folder).and_then(|()| clap_mangen::generate_to(program, &folder));
        written.with_context(|| format!("cannot write manual pages to {}", folder.display()))
    }
}
