//! The token cache: the facts that auth checks need of recently checked tokens, in memory.
//!
//! `LeasedCache` is the entry point. It returns cached tokens only while this node holds a lease,
//! which [`cluster`](crate::cluster) renews. `BatchLoader` reads what is not cached.
//! `docs/adr/0005-own-token-cache.md` explains why this is not a general-purpose cache.

mod access_stamp;
pub mod entry;
mod invalidation;
mod lease;
mod leased;
mod loader;
mod sharded;
mod slab;
mod slot_ref;
#[cfg(test)]
pub(crate) mod tests;
mod token_cache;

#[cfg(test)]
pub(crate) use invalidation::Version;
pub(crate) use lease::{Lease, MAX_LEASE};
pub(crate) use leased::LeasedCache;
pub(crate) use loader::BatchLoader;
pub use loader::Unavailable;
pub(crate) use slot_ref::RecordedUse;
pub(crate) use token_cache::TokenCache;
