//! The file of a SQLite database: checks before it is opened, creation and permissions.

use std::{
    fs::{File, Permissions},
    io::{self, ErrorKind, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::fs::{Access, access};

use super::OpenError;

/// The first bytes of every SQLite file (<https://www.sqlite.org/fileformat.html>, section 1.3).
const HEADER: &[u8; 16] = b"SQLite format 3\0";

/// Checks that a file can be opened as a database, and creates a missing one. Changes no existing
/// file.
///
/// # Errors
/// The reason if the file cannot be created, read or written, or if it is no SQLite file.
pub(super) fn prepare(file: &Path) -> Result<(), OpenError> {
    let name = || file.display().to_string();
    let metadata = match std::fs::metadata(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return create(file),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let cause = format!("permission denied for a folder of the path; this process runs as {}", current_user());
            return Err(OpenError::Sqlite { file: name(), cause });
        }
        Err(error) => return Err(OpenError::Sqlite { file: name(), cause: error.to_string() }),
        Ok(metadata) => metadata,
    };
    if metadata.is_dir() {
        return Err(OpenError::Folder { file: name() });
    }
    let denied = |access| OpenError::PermissionDenied {
        access,
        file: name(),
        owner: format!("owner {}, mode {:03o}", user_name(metadata.uid()), metadata.mode() & 0o777),
        user: current_user(),
    };
    match has_sqlite_header(file) {
        Ok(true) => {}
        Ok(false) => return Err(OpenError::NotSqlite { file: name() }),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Err(denied("read")),
        Err(error) => return Err(OpenError::Sqlite { file: name(), cause: error.to_string() }),
    }
    match access(file, Access::WRITE_OK) {
        Err(rustix::io::Errno::ROFS) => return Err(OpenError::ReadOnlyFileSystem { file: name() }),
        Err(_) => return Err(denied("write")),
        Ok(()) => {}
    }
    // The journals are created beside the file.
    if access(folder_of(file), Access::WRITE_OK).is_err() {
        return Err(folder_not_writable(file));
    }
    Ok(())
}

fn create(file: &Path) -> Result<(), OpenError> {
    let name = || file.display().to_string();
    let folder = folder_of(file);
    if !folder.exists() {
        return Err(OpenError::MissingFolder { file: name(), folder: folder.display().to_string() });
    }
    create_private(file).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => folder_not_writable(file),
        ErrorKind::ReadOnlyFilesystem => OpenError::ReadOnlyFileSystem { file: name() },
        _ => OpenError::Sqlite { file: name(), cause: error.to_string() },
    })
}

fn folder_not_writable(file: &Path) -> OpenError {
    let folder = folder_of(file).display().to_string();
    OpenError::FolderNotWritable { file: file.display().to_string(), folder, user: current_user() }
}

/// Returns whether a file is empty or starts like a SQLite file.
fn has_sqlite_header(file: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(file)?.take(HEADER.len() as u64).read_to_end(&mut start)?;
    Ok(start.is_empty() || start == HEADER)
}

/// Returns the folder of a file; `.` for a name without a folder.
fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Creates a missing file with mode 0600. SQLite gives its journal files the same mode.
pub(super) fn create_private(file: &Path) -> io::Result<()> {
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Removes the permissions of group and others from the file and its journals, which contain
/// password hashes and the audit log.
///
/// # Errors
/// If the permissions cannot be changed; the text states the remedy.
pub(super) fn restrict_permissions(file: &Path) -> Result<(), OpenError> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        let path = Path::new(&name);
        let file = path.display();
        let failed = |cause: String| OpenError::Sqlite { file: file.to_string(), cause };
        let mode = match std::fs::metadata(path) {
            Ok(metadata) => metadata.permissions().mode() & 0o777,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(error.to_string())),
        };
        if mode & 0o077 == 0 {
            continue;
        }
        std::fs::set_permissions(path, Permissions::from_mode(mode & 0o700)).map_err(|error| {
            failed(format!("other users can read it (mode {mode:03o}): {error}; run chmod 600 {file}"))
        })?;
        tracing::warn!(%file, mode = format!("{mode:03o}"), "restricted the permissions of a database file to its \
             owner");
    }
    Ok(())
}

/// Returns the user of this process, as `user NAME (uid N)`.
fn current_user() -> String {
    let uid = rustix::process::geteuid().as_raw();
    format!("user {} (uid {uid})", user_name(uid))
}

/// Returns the name of a user in `/etc/passwd`, or the number if it has none.
fn user_name(uid: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let find = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse::<u32>() == Ok(uid)).then(|| name.to_owned())
    };
    users.lines().find_map(find).unwrap_or_else(|| uid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_kind_is_rejected_and_left_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.toml");
        std::fs::write(&file, "[listen]\n").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        let error = prepare(&file).unwrap_err().to_string();
        assert!(error.contains("c.toml is not a Tokenward database"), "{error}");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "[listen]\n");
    }

    #[test]
    fn a_missing_file_is_created_and_a_missing_folder_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new.db");
        prepare(&file).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        prepare(&file).unwrap();
        let error = prepare(&folder.path().join("none/x.db")).unwrap_err().to_string();
        assert!(error.contains("/none does not exist"), "{error}");
        let error = prepare(folder.path()).unwrap_err().to_string();
        assert!(error.contains("it is a folder"), "{error}");
    }
}
