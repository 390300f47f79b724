//! The addresses of sign-ins on pages, recorded in the transaction of the sign-in.

/// Counts the addresses of a person, and those that equal one and are not too old.
pub(super) const COUNT: &str = "select count(*), count(case when address = $2 and last_seen_at > $3 then 1 end) from sign_in_address \
     where person_id = $1";

pub(super) const UPSERT: &str = "insert into sign_in_address (person_id, address, last_seen_at) values ($1, $2, $3) \
     on conflict (person_id, address) do update set last_seen_at = excluded.last_seen_at";

pub(super) const TRIM: &str = "delete from sign_in_address where person_id = $1 and last_seen_at <= $2";

/// Records the address of a sign-in, unless it is unknown. Evaluates to whether the person has signed in
/// before, and not from this address within the retention time. The caller holds the lock of the workspace.
macro_rules! record {
    ($tx:expr, $person_id:expr, $address:expr, $now:expr) => {
        match $address {
            None => false,
            Some(address) => {
                use crate::store::sign_in_addresses::{COUNT, TRIM, UPSERT};
                let oldest = $now.plus_seconds(-crate::domain::mail::ADDRESS_RETENTION_SECONDS);
                let (known, same): (i64, i64) =
                    sqlx::query_as(COUNT).bind($person_id).bind(address).bind(oldest).fetch_one(&mut *$tx).await?;
                sqlx::query(UPSERT).bind($person_id).bind(address).bind($now).execute(&mut *$tx).await?;
                sqlx::query(TRIM).bind($person_id).bind(oldest).execute(&mut *$tx).await?;
                known > 0 && same == 0
            }
        }
    };
}
pub(super) use record;
