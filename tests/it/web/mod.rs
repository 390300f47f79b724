//! Tests of the pages, with simulated browsers and a real one.

mod browser;
mod forms;
mod headers;
mod invites;
mod lists;
mod page_access;
mod reference;
mod sessions;
mod size;
mod transport;
