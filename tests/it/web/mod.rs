//! The pages: by what a browser sends, and in a real one.

mod browser;
mod doors;
mod forms;
mod headers;
mod lists;
mod sessions;
mod size;
mod transport;
