//! References to slots of the table, and uses that leave it.

use uuid::Uuid;

use crate::domain::time::Timestamp;

/// A reference to the slot of a token. The slot may have been reused since; compare the token ID.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotRef {
    pub(super) shard: u8,
    pub(super) slot: u32,
    /// The token entered the cache with the check that holds this reference.
    pub(super) is_new: bool,
}

/// The effect of recording a use in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordedUse {
    /// The token is not cached. The use was not recorded.
    Uncached,
    /// The first use since the last write.
    First,
    Repeated,
}

/// A use of a token that is not written to the database yet: the token ID and the time.
pub(crate) type LastUse = (Uuid, Timestamp);
