//! Secrets in files: `NAME_FILE` instead of `NAME`, as container platforms provide secrets.

use std::{io, os::unix::fs::PermissionsExt as _, path::Path};

use zeroize::Zeroizing;

use super::{Error, FIRST_START_VARIABLES};

/// The suffix of a variable that names a file.
const FILE_SUFFIX: &str = "_FILE";

/// Returns the value of a variable, or the contents of the file that `NAME_FILE` names. Empty
/// variables are ignored.
///
/// # Errors
/// If both variables are set, or [`read`] fails.
pub fn variable(name: &str) -> Result<Option<Zeroizing<String>>, Error> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty()).map(Zeroizing::new);
    let file = std::env::var(format!("{name}{FILE_SUFFIX}")).ok().filter(|path| !path.is_empty());
    match (value, file) {
        (Some(_), Some(_)) => Err(Error::Key(format!("{name} and {name}{FILE_SUFFIX} are both set; keep one of them"))),
        (None, Some(path)) => read(Path::new(&path)).map(Some),
        (value, None) => Ok(value),
    }
}

/// Returns the names of configuration variables whose `_FILE` variable is set.
pub(super) fn variables() -> impl Iterator<Item = String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter_map(|name| {
        Some(name.strip_suffix(FILE_SUFFIX)?.to_owned())
            .filter(|name| name.strip_prefix("TOKENWARD_").is_some_and(is_key))
    })
}

/// Returns `true` for a variable, without `TOKENWARD_`, that names the file of a configuration key
/// or of a first-start variable. Any other variable is a typing error.
pub(super) fn is_file_variable(key: &str) -> bool {
    let key = key.to_ascii_uppercase();
    let is_first_start =
        |value: &str| FIRST_START_VARIABLES.iter().any(|name| name.strip_prefix("TOKENWARD_") == Some(value));
    key.strip_suffix(FILE_SUFFIX).is_some_and(|value| is_key(value) || is_first_start(value))
}

/// Returns `true` for a variable, without `TOKENWARD_`, of a configuration key whose value a file can
/// have. An identity provider and `[mail]` have keys that name files themselves.
fn is_key(variable: &str) -> bool {
    let names_file =
        |key: &str| ["__CA", "__BIND_PASSWORD", "__CLIENT_SECRET", "__METADATA"].iter().any(|end| key.ends_with(end));
    let is_of_mail = ["MAIL__CA", "MAIL__PASSWORD"].contains(&variable);
    let is_of_provider = variable.starts_with("SSO__") && names_file(variable);
    (variable.contains("__") || variable == "PUBLIC_URL") && !is_of_provider && !is_of_mail
}

/// Reads a secret without trailing line breaks.
///
/// # Errors
/// If the file cannot be read, or other users can read it.
pub fn read(path: &Path) -> Result<Zeroizing<String>, Error> {
    let file_error = |source: io::Error| Error::File { path: path.display().to_string(), source };
    reject_public_file(path)?;
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(file_error)?);
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Rejects a file with a secret that other users can access.
///
/// # Errors
/// [`Error::Public`] if other users can access the file, [`Error::File`] if its mode cannot be
/// read.
pub fn reject_public_file(path: &Path) -> Result<(), Error> {
    let display_path = || path.display().to_string();
    let mode =
        std::fs::metadata(path).map_err(|source| Error::File { path: display_path(), source })?.permissions().mode();
    if mode & 0o007 == 0 { Ok(()) } else { Err(Error::Public { path: display_path(), mode: mode & 0o777 }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_other_users_can_read_is_rejected() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        std::fs::write(&path, "s3cret\r\n").unwrap();
        for (mode, is_accepted) in [(0o600, true), (0o400, true), (0o640, true), (0o644, false), (0o602, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let read = read(&path).map(|text| text.to_string());
            assert_eq!(read.is_ok(), is_accepted, "{mode:o}");
            assert!(read.map_or_else(|error| !error.to_string().contains("s3cret"), |text| text == "s3cret"));
        }
        assert!(read(&directory.path().join("nothing")).is_err());
    }
}
