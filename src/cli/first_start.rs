//! The first start: the administrator's credentials, from the environment or generated, and how the
//! operator receives them.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::{
    app::App,
    config::{DatabaseUrlSetting, FIRST_START_VARIABLES, secret_file},
    domain::{random::Random, time::Clock},
    service::bootstrap::{self, FirstAdministrator},
    store::Store,
    telemetry::{self, print_notice},
};

/// The name of the file with a generated password.
const PASSWORD_FILE: &str = "tokenward-admin-password";
const DEFAULT_EMAIL: &str = "admin@localhost";

/// The credentials of the first administrator as the operator configured them.
pub(super) struct ConfiguredAdministrator {
    email: String,
    /// `None` generates a password.
    password: Option<Zeroizing<String>>,
}

/// The administrator that the first start created.
pub(super) struct CreatedAdministrator {
    email: String,
    password: PasswordDelivery,
}

/// The way in which the operator receives the password.
enum PasswordDelivery {
    /// The operator configured it.
    Configured,
    /// It is shown on the terminal.
    Terminal(Zeroizing<String>),
    /// It is in this file. The log is stored and read by other programs, so it contains no
    /// password.
    File(PathBuf),
}

/// Reads the credentials of the first administrator from the environment.
pub(super) fn read_first_administrator() -> anyhow::Result<ConfiguredAdministrator> {
    let [email, password] = FIRST_START_VARIABLES;
    let email = secret_file::variable(email)?.map_or_else(|| DEFAULT_EMAIL.to_owned(), |email| email.to_string());
    Ok(ConfiguredAdministrator { email, password: secret_file::variable(password)? })
}

/// Creates workspace 1 and its administrator in an empty database. A generated password is written
/// to a file before, unless a person reads the terminal.
///
/// # Errors
/// If the credentials are not acceptable, the file cannot be written, or the database is
/// unreachable. No account is created then.
pub(super) async fn bootstrap(
    store: &Store,
    app: &App,
    (clock, random): (&Clock, &Random),
    configured: ConfiguredAdministrator,
    database: &DatabaseUrlSetting,
) -> anyhow::Result<Option<CreatedAdministrator>> {
    if store.is_bootstrapped().await? {
        return Ok(None);
    }
    let is_generated = configured.password.is_none();
    let password = configured.password.unwrap_or_else(|| bootstrap::generate_password(random));
    let file = if is_generated && !telemetry::is_interactive() {
        Some(PasswordFile::write(&folder(database), &password)?)
    } else {
        None
    };
    let first = FirstAdministrator { email: configured.email, password };
    // The file is removed if this fails, or if another node has created the administrator.
    let Some(email) = bootstrap::bootstrap(store, app.people(), clock, &first).await? else { return Ok(None) };
    let password = match file {
        Some(file) => PasswordDelivery::File(file.keep()),
        None if is_generated => PasswordDelivery::Terminal(first.password),
        None => PasswordDelivery::Configured,
    };
    Ok(Some(CreatedAdministrator { email, password }))
}

/// Returns the folder of a SQLite file; for PostgreSQL, the working directory.
fn folder(database: &DatabaseUrlSetting) -> PathBuf {
    let address = database.address().ok();
    let file = address.as_ref().and_then(|address| address.sqlite_file());
    let folder = file.and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

impl CreatedAdministrator {
    /// Reports the account: on a terminal with the password and the first steps, otherwise as a log
    /// line.
    pub(super) fn report(&self, address: SocketAddr) {
        let email = &self.email;
        match &self.password {
            PasswordDelivery::File(file) => tracing::info!(
                email,
                password_file = %file.display(),
                "created the first administrator with a generated password; delete the file after the first sign-in"
            ),
            _ if !telemetry::is_interactive() => {
                tracing::info!(email, "created the first administrator with the configured password");
            }
            PasswordDelivery::Terminal(password) => {
                let password = password.as_str();
                print_notice(format_args!(
                    "\nFirst start. Credentials of the administrator, shown once:\n\n  e-mail    {email}\n  password  \
                     {password}\n"
                ));
                print_first_steps(&format!("{email}:{password}"), address);
            }
            PasswordDelivery::Configured => {
                print_notice(format_args!(
                    "\nFirst start. The administrator is {email}, with the configured password.\n"
                ));
                print_first_steps(email, address);
            }
        }
    }
}

fn print_first_steps(credentials: &str, address: SocketAddr) {
    print_notice(format_args!(
        "Sign in:\n\n  http://{address}/\n\nOr create a token:\n\n  curl -u '{credentials}' -H 'Content-Type: \
         application/json' -d '{{\"lifetimeSeconds\": 2592000}}' http://{address}/v4/apiAccessTokens\n"
    ));
}

/// A file with a generated password, readable only by the user of this process. Removed when
/// dropped, unless it is kept.
struct PasswordFile {
    /// The file while it is not known whether this process creates the account.
    unconfirmed: PathBuf,
    path: PathBuf,
    is_kept: bool,
}

impl PasswordFile {
    /// Writes a password. Several processes may do this at the same time in one folder.
    fn write(folder: &Path, password: &str) -> anyhow::Result<Self> {
        let path = std::path::absolute(folder.join(PASSWORD_FILE)).unwrap_or_else(|_| folder.join(PASSWORD_FILE));
        let unconfirmed = path.with_extension(std::process::id().to_string());
        let file = Self { unconfirmed, path, is_kept: false };
        file.fill(password).map_err(|error| {
            anyhow::anyhow!(
                "cannot write the generated password of the first administrator to {}: {error}; set \
                 TOKENWARD_ADMIN_PASSWORD_FILE to a file that contains a password",
                file.path.display()
            )
        })?;
        Ok(file)
    }

    fn fill(&self, password: &str) -> io::Result<()> {
        // A process that was killed may have left it behind, with the same number.
        fs::remove_file(&self.unconfirmed).ok();
        let mut file: File = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.unconfirmed)?;
        writeln!(file, "{password}")?;
        file.sync_all()
    }

    /// Keeps the file. Returns its path.
    fn keep(mut self) -> PathBuf {
        self.is_kept = true;
        match fs::rename(&self.unconfirmed, &self.path) {
            Ok(()) => self.path.clone(),
            Err(_) => self.unconfirmed.clone(),
        }
    }
}

impl Drop for PasswordFile {
    fn drop(&mut self) {
        if !self.is_kept {
            fs::remove_file(&self.unconfirmed).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_password_file_is_private_and_removed_unless_kept() {
        let folder = tempfile::tempdir().unwrap();
        drop(PasswordFile::write(folder.path(), "unused").unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let path = PasswordFile::write(folder.path(), "s3cret").unwrap().keep();
        assert_eq!(fs::read_to_string(&path).unwrap(), "s3cret\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(path.ends_with(PASSWORD_FILE));
        let error = PasswordFile::write(&folder.path().join("none"), "s3cret").err().unwrap().to_string();
        assert!(error.contains("TOKENWARD_ADMIN_PASSWORD_FILE") && !error.contains("s3cret"), "{error}");
    }
}
