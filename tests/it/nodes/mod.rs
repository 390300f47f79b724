//! Several nodes on one database, and what lies between them and it.

mod acts;
mod again;
mod chance;
mod checks;
mod cluster;
mod faults;
mod live;
mod pooler;
pub mod proxy;
mod record;
mod right;
mod writer;

pub use cluster::administer;
