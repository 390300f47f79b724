//! Columns that several tables of statements share.

use super::{Error, Result};
use crate::domain::person::TokenAccess;

/// Column that is true if person `p` has a revoked family whose rows still exist.
macro_rules! in_doubt {
    () => {
        "exists (select 1 from revoked_family f where f.person_id = p.id)"
    };
}
pub(super) use in_doubt;

/// Parses `person.token_access`.
pub(super) fn parse_token_access(text: &str) -> Result<TokenAccess> {
    TokenAccess::parse(text).map_err(|_| Error::corrupt("person.token_access"))
}
