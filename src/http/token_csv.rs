//! Token lists as CSV, for the API and for the pages.

use super::{csv, list_stream::ListWriter};
use crate::domain::service_account::email_of;
use crate::service::{list_pages::TokenPages, tokens::ListedToken};

/// The name under which a browser saves a list.
pub(crate) const FILE_NAME: &str = "tokens.csv";

/// The columns. New columns are added at the end, so that programs can count on their positions.
const COLUMNS: [&str; 11] = [
    "tokenId",
    "description",
    "status",
    "createdAt",
    "expiredAt",
    "lastUsed",
    "hint",
    "parentTokenId",
    "personId",
    "email",
    "lastUsedFrom",
];

/// Writes token lists as CSV.
pub(crate) struct TokenCsv;

impl ListWriter<TokenPages> for TokenCsv {
    const CONTENT_TYPE: &'static str = csv::MEDIA_TYPE;

    fn start(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(COLUMNS.join(",").as_bytes());
        buffer.extend_from_slice(b"\r\n");
    }

    fn write_row(&self, listed: ListedToken, _: bool, buffer: &mut Vec<u8>) {
        let ListedToken { token, email, status, .. } = listed;
        let text = |value: Option<String>| value.unwrap_or_default();
        let cells: [&str; COLUMNS.len()] = [
            &token.id.to_string(),
            &token.description,
            status.as_str(),
            &token.created_at.to_string(),
            &text(token.expires_at.map(|time| time.to_string())),
            &text(token.last_used_at.map(|time| time.to_string())),
            &token.display_prefix,
            &text(token.parent_id.map(|id| id.to_string())),
            &token.person_id.to_string(),
            email_of(&email).unwrap_or_default(),
            &text(token.last_used_from.map(|address| address.to_string())),
        ];
        csv::append_row(buffer, cells);
    }

    fn finish(&self, _: &TokenPages, _: &mut Vec<u8>) {}
}
