//! Tests of the pages, with simulated browsers and a real one.

mod browser;
mod forms;
mod headers;
mod invites;
mod limits;
mod lists;
mod page_access;
mod reference;
mod replacement;
mod scope_catalog;
mod service_accounts;
mod sessions;
mod size;
mod token_filters;
mod transport;
