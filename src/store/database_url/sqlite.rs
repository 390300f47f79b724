//! SQLite URLs: `sqlite:FILE`.

use percent_encoding::percent_decode_str;
use sqlx::sqlite::SqliteConnectOptions;

use super::InvalidDatabaseUrl;

/// Parses the part after `sqlite:`.
///
/// # Errors
/// Returns [`InvalidDatabaseUrl`] if the data would be in memory, or if a parameter would change
/// what the service relies on.
pub(super) fn parse(url: &str) -> Result<SqliteConnectOptions, InvalidDatabaseUrl> {
    let url = url.strip_prefix("//").unwrap_or(url);
    let (file, parameters) = url.split_once('?').unwrap_or((url, ""));
    // A `?` or `%` in the file name must be percent-encoded.
    let file = percent_decode_str(file).decode_utf8().map_err(|_| InvalidDatabaseUrl::Encoding)?;
    if file.contains('\0') {
        return Err(InvalidDatabaseUrl::Encoding);
    }
    for (position, parameter) in (1..).zip(parameters.split('&').filter(|parameter| !parameter.is_empty())) {
        check_parameter(position, parameter)?;
    }
    if file.trim().is_empty() || file == ":memory:" {
        return Err(InvalidDatabaseUrl::MissingFile);
    }
    // SQLite would treat such a name as a URI, whose parameters can move the database into memory.
    let is_uri = file.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("file:"));
    if is_uri { Err(InvalidDatabaseUrl::FileUri) } else { Ok(SqliteConnectOptions::new().filename(&*file)) }
}

/// Accepts the parameters that change nothing: a missing file is always created, and the file is
/// always opened for writing.
fn check_parameter(position: usize, parameter: &str) -> Result<(), InvalidDatabaseUrl> {
    let (name, value) = parameter.split_once('=').ok_or(InvalidDatabaseUrl::MissingValue { position })?;
    match (name, value) {
        ("mode", "rw" | "rwc") | ("cache", "private") | ("immutable", "0" | "false") => Ok(()),
        ("mode", "memory") => Err(InvalidDatabaseUrl::MissingFile),
        ("mode", _) => Err(InvalidDatabaseUrl::InvalidValue { name: "mode", expected: "rwc or rw" }),
        ("cache", _) => Err(InvalidDatabaseUrl::InvalidValue { name: "cache", expected: "private" }),
        ("immutable", _) => Err(InvalidDatabaseUrl::InvalidValue { name: "immutable", expected: "0" }),
        ("vfs", _) => Err(InvalidDatabaseUrl::UnsupportedParameter {
            name: "vfs",
            remedy: "remove it; the service chooses the VFS",
        }),
        _ => {
            let supported = ["mode", "cache", "immutable"];
            Err(InvalidDatabaseUrl::UnknownParameter {
                position,
                nearest: super::parameters::nearest_name(name, supported.into_iter()),
            })
        }
    }
}
