//! Columns that several tables of statements share.

use super::{Error, Result};
use crate::domain::{person::TokenAccess, token_limits::TokenLimits};

/// Column that is true if tokens of person `p` may belong to a revoked family whose rows still exist.
/// The tokens of a service account may descend from those of a custodian.
macro_rules! in_doubt {
    () => {
        "(exists (select 1 from revoked_family f where f.person_id = p.id) or (p.kind = 'service' and exists \
         (select 1 from revoked_family f where f.workspace_id = p.workspace_id)))"
    };
}
pub(super) use in_doubt;

/// Columns with the provider and the time of the last sign-in of person `p` through an identity provider. Null
/// for a person with a local password, who signs in with that. Begins with a comma.
macro_rules! provider_sign_in {
    () => {
        ", case when p.password_hash is null then (select i.provider from external_identity i \
         where i.person_id = p.id order by i.linked_at desc, i.id desc limit 1) end, \
         case when p.password_hash is null then (select coalesce(i.last_sign_in_at, i.linked_at) \
         from external_identity i where i.person_id = p.id order by i.linked_at desc, i.id desc limit 1) end"
    };
}
pub(super) use provider_sign_in;

/// Parses `person.token_access`.
pub(super) fn parse_token_access(text: &str) -> Result<TokenAccess> {
    TokenAccess::parse(text).map_err(|_| Error::corrupt("person.token_access"))
}

/// Column with the scopes and networks of token `t` in one text, or null if it has neither. The view
/// `unrevoked_token` has the same column.
macro_rules! limits {
    () => {
        "case when t.scopes is null and t.allowed_networks is null then null \
         else coalesce(t.scopes, '*') || '|' || coalesce(t.allowed_networks, '*') end"
    };
}
pub(super) use limits;

/// Parses the column of [`limits!`].
pub(super) fn parse_limits(text: Option<&str>) -> Result<TokenLimits> {
    text.map_or(Ok(TokenLimits::NONE), |text| TokenLimits::parse_stored(text).ok_or(Error::corrupt("token limits")))
}
