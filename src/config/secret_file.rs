//! Values that stand in files of their own: `NAME_FILE` instead of `NAME`, as container platforms hand out secrets.

use std::{io, os::unix::fs::PermissionsExt as _, path::Path};

use zeroize::Zeroizing;

use super::{Error, FIRST_START_VARIABLES};

/// The end of a variable's name that says where its value is.
const ENDING: &str = "_FILE";

/// The value of a variable: its own, or what stands in the file that `NAME_FILE` names. An empty one is none.
///
/// # Errors
/// Where both are set, and for a file that [`read`] refuses.
pub fn variable(name: &str) -> Result<Option<Zeroizing<String>>, Error> {
    let own = std::env::var(name).ok().filter(|value| !value.is_empty()).map(Zeroizing::new);
    let file = std::env::var(format!("{name}{ENDING}")).ok().filter(|path| !path.is_empty());
    match (own, file) {
        (Some(_), Some(_)) => Err(Error::Key(format!("{name} and {name}{ENDING} are both set; keep one of them"))),
        (None, Some(path)) => read(Path::new(&path)).map(Some),
        (own, None) => Ok(own),
    }
}

/// The configuration variables `TOKENWARD_SECTION__KEY_FILE` that are set, each with its key's variable.
pub(super) fn variables() -> impl Iterator<Item = String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter_map(|name| {
        Some(name.strip_suffix(ENDING)?.to_owned()).filter(|name| name.starts_with("TOKENWARD_") && name.contains("__"))
    })
}

/// Returns true for a variable, without `TOKENWARD_`, that names a file instead of holding a value: of a configuration key, or of one that
/// the first start reads. Any other is a typing error.
pub(super) fn names_a_file(key: &str) -> bool {
    let key = key.to_ascii_uppercase();
    let is_first_start =
        |own: &str| FIRST_START_VARIABLES.iter().any(|name| name.strip_prefix("TOKENWARD_") == Some(own));
    key.strip_suffix(ENDING).is_some_and(|own| own.contains("__") || is_first_start(own))
}

/// Reads a secret, without the line feed at the end.
///
/// # Errors
/// A file that is not there, or that everybody on the machine may read.
pub fn read(path: &Path) -> Result<Zeroizing<String>, Error> {
    let unreadable = |source: io::Error| Error::File { path: path.display().to_string(), source };
    refuse_public(path)?;
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(unreadable)?);
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Refuses a file with a secret in it that everybody on the machine may read.
///
/// # Errors
/// [`Error::Public`], and [`Error::File`] where it cannot be looked at.
pub fn refuse_public(path: &Path) -> Result<(), Error> {
    let shown = || path.display().to_string();
    let mode = std::fs::metadata(path).map_err(|source| Error::File { path: shown(), source })?.permissions().mode();
    if mode & 0o007 == 0 { Ok(()) } else { Err(Error::Public { path: shown(), mode: mode & 0o777 }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_everybody_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "s3cret\r\n").unwrap();
        for (mode, is_fine) in [(0o600, true), (0o400, true), (0o640, true), (0o644, false), (0o602, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let read = read(&path).map(|text| text.to_string());
            assert_eq!(read.is_ok(), is_fine, "{mode:o}");
            assert!(read.map_or_else(|error| !error.to_string().contains("s3cret"), |text| text == "s3cret"));
        }
        assert!(read(&folder.path().join("nothing")).is_err());
    }
}
