//! The token cache: what auth checks need to know of recently checked tokens, kept in memory.
//!
//! [`LeasedCache`] is the way in. It returns cached tokens only while this node holds a lease, which `cluster` renews.

pub mod access_stamp;
pub mod entry;
pub mod invalidation;
mod lease;
mod leased;
mod loader;
mod sharded;
mod slab;
#[cfg(test)]
pub(crate) mod tests;
mod token_cache;

pub(crate) use lease::{Lease, MAX_LEASE};
pub(crate) use leased::LeasedCache;
pub(crate) use loader::BatchLoader;
pub use loader::Unavailable;
pub(crate) use token_cache::TokenCache;
