//! A copy of a SQLite file, made while it is in use.

use std::{
    ffi::OsString,
    fs::{File, rename},
    io,
    path::{Path, PathBuf},
};

use super::{Error, Pool, Result, Store, connect::make_private};

impl Store {
    /// Writes a whole copy of a SQLite file beside it, and says where: the name with `.backup` behind it, which is replaced in one
    /// piece. None for PostgreSQL, which has programs of its own for that.
    ///
    /// Nobody else can do this: the file is locked for as long as it is in use.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; what was there before is left alone.
    pub async fn back_up(&self) -> Result<Option<PathBuf>> {
        let Pool::Sqlite(pool) = &self.pool else { return Ok(None) };
        let file = pool.connect_options().get_filename().to_owned();
        let (unfinished, backup) = (beside(&file, ".backup-unfinished"), beside(&file, ".backup"));
        match std::fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        make_private(&unfinished).map_err(failed)?;
        let target = unfinished.to_string_lossy().into_owned();
        sqlx::query("vacuum into $1").bind(target).persistent(false).execute(pool).await?;
        let named = backup.clone();
        // Waiting for the disk may take a while.
        let placed = tokio::task::spawn_blocking(move || {
            File::open(&unfinished)?.sync_all()?;
            rename(&unfinished, &named)
        });
        placed.await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(failed)?;
        Ok(Some(backup))
    }
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    name.into()
}

fn failed(error: io::Error) -> Error {
    Error::Unavailable(sqlx::Error::Io(error))
}
