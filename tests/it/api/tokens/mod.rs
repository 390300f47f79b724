//! Tests of `/v4/apiAccessTokens`.

mod create;
mod delete;
mod find;
mod list;
