//! URLs of SQLite: `sqlite:FILE`.

use percent_encoding::percent_decode_str;
use sqlx::sqlite::SqliteConnectOptions;

use super::BadAddress;

/// Parses what follows `sqlite:`.
///
/// # Errors
/// [`BadAddress`] where the data would be in memory, or where a parameter would change what the service relies on.
pub(super) fn parse(url: &str) -> Result<SqliteConnectOptions, BadAddress> {
    let url = url.strip_prefix("//").unwrap_or(url);
    let (file, parameters) = url.split_once('?').unwrap_or((url, ""));
    // Where a name has a ? or a % in it, it is percent-encoded.
    let file = percent_decode_str(file).decode_utf8().map_err(|_| BadAddress::Encoding)?;
    if file.contains('\0') {
        return Err(BadAddress::Encoding);
    }
    for (position, parameter) in (1..).zip(parameters.split('&').filter(|parameter| !parameter.is_empty())) {
        check(position, parameter)?;
    }
    if file.trim().is_empty() || file == ":memory:" {
        return Err(BadAddress::NoFile);
    }
    // SQLite takes such a name for a URI, whose parameters can place the database in memory.
    let is_uri = file.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("file:"));
    if is_uri { Err(BadAddress::FileUri) } else { Ok(SqliteConnectOptions::new().filename(&*file)) }
}

/// Accepts the parameters that change nothing: the file is always created where it is missing, and always written.
fn check(position: usize, parameter: &str) -> Result<(), BadAddress> {
    let (name, value) = parameter.split_once('=').ok_or(BadAddress::NoValue { position })?;
    match (name, value) {
        ("mode", "rw" | "rwc") | ("cache", "private") | ("immutable", "0" | "false") => Ok(()),
        ("mode", "memory") => Err(BadAddress::NoFile),
        ("mode", _) => Err(BadAddress::Value { name: "mode", takes: "rwc or rw" }),
        ("cache", _) => Err(BadAddress::Value { name: "cache", takes: "private" }),
        ("immutable", _) => Err(BadAddress::Value { name: "immutable", takes: "0" }),
        ("vfs", _) => Err(BadAddress::Unsupported { name: "vfs", instead: "the file is locked by SQLite's own means" }),
        _ => {
            let known = ["mode", "cache", "immutable"];
            Err(BadAddress::Unknown { position, nearest: super::parameters::nearest(name, known.into_iter()) })
        }
    }
}
