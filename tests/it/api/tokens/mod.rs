//! Tests of `/v4/apiAccessTokens`.

mod bulk_delete;
mod create;
mod csv;
mod delete;
mod filters;
mod find;
mod last_used_from;
mod list;
