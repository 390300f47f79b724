//! The pages: by what a browser sends, and in a real one.

mod browser;
mod forms;
mod headers;
mod lists;
mod page_access;
mod sessions;
mod size;
mod transport;
