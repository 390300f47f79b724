//! Who does something from where, as it is written down.

use crate::{
    domain::{
        event::{Act, Origin},
        time::Timestamp,
    },
    service::actor,
};
use tokenward_guard::Principal;

tokio::task_local! {
    /// Whence the request under way comes. It goes with the request, beside the services' parameters, as the request's span does in
    /// the log: no rule reads it, it is only written down.
    static ORIGIN: Origin;
}

/// Does the work of a request that comes from there.
pub async fn from<T>(origin: Origin, work: impl Future<Output = T>) -> T {
    ORIGIN.scope(origin, work).await
}

/// Whence the request under way comes; nowhere, where there is none.
#[must_use]
pub fn origin() -> Origin {
    ORIGIN.try_with(Clone::clone).unwrap_or_default()
}

/// An act of a caller, at this moment.
pub(super) fn act_of(caller: &Principal, at: Timestamp) -> Act {
    let token_id = actor::token_id(caller);
    Act { at, person_id: Some(caller.person_id), name: caller.email.clone(), token_id, origin: origin() }
}
