//! Several nodes on one database, with injected faults between the nodes and the database.

mod every_entry_point;
mod faults;
mod forged_messages;
mod linearizability;
mod load;
mod nodes;
mod pooler;
mod probes;
pub mod proxy;
mod random_faults;
mod report;
mod retried_revocation;
mod revocations;
mod tracked_grant;
mod unprivileged_role;

pub use nodes::execute_sql;
