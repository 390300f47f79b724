//! Online backup of a SQLite file.

use std::{
    ffi::OsString,
    fs::{File, rename},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use sqlx::SqlitePool;

use super::{Error, Outage, Pool, Result, Store, sqlite_file::create_private};

/// The suffix that the name of a backup adds to the name of the SQLite file.
const BACKUP_SUFFIX: &str = ".backup";

impl Store {
    /// Returns the time of the last complete backup beside the SQLite file. `None` if there is none,
    /// or on PostgreSQL.
    #[must_use]
    pub fn last_backup(&self) -> Option<SystemTime> {
        let Pool::Sqlite(pool) = &self.pool else { return None };
        let backup = with_suffix(pool.connect_options().get_filename(), BACKUP_SUFFIX);
        std::fs::metadata(backup).ok()?.modified().ok()
    }

    /// Writes a full copy of the SQLite file beside it and returns its path: the file name followed
    /// by `.backup`. An earlier copy is replaced atomically. Returns `None` on PostgreSQL, which
    /// has its own backup tools.
    ///
    /// No other process can do this, because the file is locked while the service runs.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the copy cannot be written. The earlier copy then stays
    /// unchanged.
    pub async fn back_up(&self) -> Result<Option<PathBuf>> {
        let Pool::Sqlite(pool) = &self.pool else { return Ok(None) };
        let backup = with_suffix(pool.connect_options().get_filename(), BACKUP_SUFFIX);
        let _turn = self.backup_turn.lock().await;
        write_copy(pool, &backup).await?;
        Ok(Some(backup))
    }

    /// Writes a full copy of the SQLite file to a new file. Returns `false` on PostgreSQL.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the file exists or cannot be written.
    pub async fn back_up_to(&self, backup: &Path) -> Result<bool> {
        let Pool::Sqlite(pool) = &self.pool else { return Ok(false) };
        let _turn = self.backup_turn.lock().await;
        if std::fs::symlink_metadata(backup).is_ok() {
            return Err(io_error(io::ErrorKind::AlreadyExists.into()));
        }
        write_copy(pool, backup).await?;
        Ok(true)
    }
}

/// Writes a full copy. An existing file is replaced atomically. Two copies with one name must not
/// be written at the same time.
async fn write_copy(pool: &SqlitePool, backup: &Path) -> Result<()> {
    let unfinished = with_suffix(backup, "-unfinished");
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(error)),
        _ => {}
    }
    // SQLite takes the path as text. Another path would be written without the private mode.
    let target = unfinished.to_str().ok_or_else(|| io_error(io::ErrorKind::InvalidFilename.into()))?.to_owned();
    create_private(&unfinished).map_err(io_error)?;
    sqlx::query("vacuum into $1").bind(target).persistent(false).execute(pool).await?;
    let destination = backup.to_owned();
    // Syncing to disk may take long, so it must not block the runtime.
    let renamed = tokio::task::spawn_blocking(move || {
        File::open(&unfinished)?.sync_all()?;
        rename(&unfinished, &destination)
    });
    renamed.await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(io_error)
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    name.into()
}

fn io_error(error: io::Error) -> Error {
    Error::Unavailable(Outage::File(error))
}
