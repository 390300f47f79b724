//! An operator with a database and a configuration file, who runs commands.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use tempfile::TempDir;

use super::Printed;
use crate::support::{
    Database, Engine, PASSWORD,
    binary::{run_with_stdin, tokenward_command},
};

pub(super) struct Operator {
    pub(super) database: Database,
    pub(super) folder: TempDir,
}

impl Operator {
    pub(super) async fn new() -> Self {
        Self { database: Database::empty(Engine::Sqlite).await, folder: tempfile::tempdir().unwrap() }
    }

    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("tokenward.toml")
    }

    /// Writes the configuration file, which only its owner can read.
    pub(super) fn write(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
        fs::set_permissions(self.file(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn run(&self, arguments: &[&str], input: &str) -> Printed {
        let mut command = tokenward_command(&self.database.url);
        command.arg("--config").arg(self.file()).args(arguments);
        let output = tokio::task::block_in_place(|| run_with_stdin(command, input));
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Printed { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Runs a command that succeeds. Returns its output, and its notices.
    #[track_caller]
    pub(super) fn run_ok(&self, arguments: &[&str]) -> (String, String) {
        let Printed { code, stdout, stderr } = self.run(arguments, &format!("{PASSWORD}\n"));
        assert_eq!(code, Some(0), "{stderr}");
        (stdout, stderr)
    }

    /// Runs a command that fails. Returns the error.
    #[track_caller]
    pub(super) fn run_failing(&self, arguments: &[&str]) -> String {
        let Printed { code, stderr, .. } = self.run(arguments, "");
        assert_eq!(code, Some(1), "{stderr}");
        stderr
    }
}
