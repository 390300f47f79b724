//! Tests of `/v4/people`.

mod change;
mod create;
mod delete;
mod read;
