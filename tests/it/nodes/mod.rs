//! Several nodes on one database, and what lies between them and it.

mod acts;
mod again;
mod chance;
mod checks;
mod cluster;
mod everywhere;
mod faults;
mod forged;
mod live;
mod pooler;
pub mod proxy;
mod record;
mod right;
mod stranger;
mod writer;

pub use cluster::administer;
