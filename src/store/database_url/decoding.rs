//! Percent-encoding in PostgreSQL URLs, as libpq reads it.

use percent_encoding::percent_decode_str;

use super::InvalidDatabaseUrl;

/// Decodes `%XX`. As with libpq, a `%` that starts no such sequence is an error.
pub(super) fn percent_decode(text: &str) -> Result<String, InvalidDatabaseUrl> {
    let is_encoded = |rest: &str| rest.get(..2).is_some_and(|digits| digits.bytes().all(|c| c.is_ascii_hexdigit()));
    if !text.split('%').skip(1).all(is_encoded) {
        return Err(InvalidDatabaseUrl::Ambiguous);
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| InvalidDatabaseUrl::Encoding)?;
    if decoded.contains('\0') { Err(InvalidDatabaseUrl::Encoding) } else { Ok(decoded.into_owned()) }
}
