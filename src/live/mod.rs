//! What this process knows right now and the store does not yet.

mod last_use;

pub use last_use::LastUse;
