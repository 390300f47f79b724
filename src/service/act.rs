//! Who does something, as it is written down.

use uuid::Uuid;

use crate::{
    domain::{event::Act, time::Timestamp},
    guard::Principal,
};

/// An act of a caller, at this moment.
pub(super) fn act_of(caller: &Principal, at: Timestamp) -> Act {
    let token_id = caller.token().and_then(|token| Uuid::try_parse(token.id.as_str()).ok());
    Act { at, person_id: Some(caller.person_id), name: caller.email.clone(), token_id }
}
