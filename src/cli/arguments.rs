//! Parsers of arguments, with errors that state what is expected.

use std::net::SocketAddr;

use uuid::Uuid;

use crate::{
    config::listen_address,
    domain::{audit_chain::EntryHash, id::WorkspaceId, time::Timestamp, token::Lifetime},
};

/// Parses an address to listen on.
pub(super) fn parse_listen_address(text: &str) -> Result<SocketAddr, String> {
    listen_address::parse(text).map_err(|error| error.to_string())
}

/// Parses the ID of a workspace.
pub(super) fn parse_workspace(text: &str) -> Result<WorkspaceId, &'static str> {
    let number = text.parse::<i64>().ok().filter(|number| *number > 0);
    number.map(WorkspaceId::new).ok_or("a workspace is a number; tokenward workspace list prints them")
}

/// Parses the lifetime of a token: a duration with a unit, or `never`.
pub(super) fn parse_lifetime(text: &str) -> Result<Lifetime, String> {
    if text == "never" {
        return Ok(Lifetime::Forever);
    }
    let duration = humantime::parse_duration(text);
    let duration = duration.map_err(|_| "expected a duration with a unit, such as 90d or 12h, or never".to_owned())?;
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    Lifetime::from_seconds(seconds).map_err(|error| error.to_string())
}

/// Parses the ID of a token.
pub(super) fn parse_token_id(text: &str) -> Result<Uuid, &'static str> {
    let expected =
        "a token ID is a UUID, such as 01a20a6a-c1b5-7dc2-aeac-0281c48408b8; tokenward token list prints them";
    text.parse().map_err(|_| expected)
}

/// Parses the ID of a SCIM credential.
pub(super) fn parse_credential_id(text: &str) -> Result<Uuid, &'static str> {
    let expected = "the ID of a credential is a UUID, such as 01a20a6a-c1b5-7dc2-aeac-0281c48408b8; tokenward scim \
                    credential list prints them";
    text.parse().map_err(|_| expected)
}

/// Parses an end of a hash chain.
pub(super) fn parse_chain_end(text: &str) -> Result<(WorkspaceId, i64, EntryHash), &'static str> {
    let expected = "expected WORKSPACE:EVENT:HASH, as printed by tokenward audit verify";
    let mut parts = text.splitn(3, ':');
    let mut next = || parts.next().ok_or(expected);
    let workspace_id = next()?.parse().map_err(|_| expected)?;
    let seq = next()?.parse().map_err(|_| expected)?;
    let hash = EntryHash::parse_hex(next()?).ok_or("the hash must have 64 hexadecimal digits")?;
    Ok((workspace_id, seq, hash))
}

/// Parses a date or a timestamp.
pub(super) fn parse_time(text: &str) -> Result<Timestamp, &'static str> {
    let time = Timestamp::parse_date(text).or_else(|| Timestamp::parse(text));
    time.ok_or("expected a date such as 2026-11-24 or a time such as 2026-11-24T08:00:00Z")
}
