//! What is remembered, in PostgreSQL or SQLite: one [`Store`], its methods spread over files by resource.
//!
//! Each statement exists once and runs on both databases. What makes one text enough:
//!
//! - time, ids and limits come in as bound values; nothing asks the database for them, but for the rows of nodes, whose time
//!   is for people to look at;
//! - columns are listed, never `*`;
//! - one method is one statement or one transaction, and a transaction begins with its write;
//! - a change that people ask about later is written down in its own transaction (`events`);
//! - uniqueness and limits are decided by the database in the write;
//! - a value that only moves forward says so in its `where`.
//!
//! To add a statement: write a method here or in the resource's file, and a test in `tests/it/store.rs`, which runs on both.

mod audit_chain;
mod authority;
mod backup;
mod clock;
mod cluster;
mod connect;
mod counts;
mod database_url;
mod email_keys;
mod error;
mod events;
mod failover;
mod last_used;
mod like;
mod login_failures;
mod migrations;
mod people;
mod read_only_sessions;
mod removal;
mod sessions;
mod settings;
mod sources;
mod time;
mod tokens;
mod user_list;
mod workspaces;

use sqlx::SqlitePool;

pub use audit_chain::{Chain, Stored};
pub use cluster::{ClusterSecret, ClusterState, Ear, Exposure, Node, Nodes};
pub use connect::Limits;
pub use counts::{Reader, WorkspaceCount};
pub use database_url::{Address, BadAddress};
pub use error::Error;
pub use events::{EventFilter, EventPage, EventStart, Told};
use failover::Hosts;
pub use last_used::USES_AT_ONCE;
pub use migrations::Schema;
pub use people::{NewPerson, PersonChange, PersonFilter, PersonWithHash, Rank};
pub use sessions::{FoundSession, NewSession};
pub use sources::{KnownSource, Record};
pub use tokens::{
    DeletedFamily, Form, Found, Issued, NewToken, Once, Owner, Repeated, TokenFilter, TokenLabel, TokenOwner,
};
pub use user_list::{Holders, Member, MemberFilter, Start};

/// The result of a store method. An absent row is an `Option`, not an error.
pub type Result<T> = std::result::Result<T, Error>;

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
    /// Connections that only read lists; on PostgreSQL they are beside the others in [`Hosts`].
    readers: Option<SqlitePool>,
}

#[derive(Clone, Debug)]
enum Pool {
    Postgres(Hosts),
    Sqlite(SqlitePool),
}

/// Runs one expression on whichever pool there is. The compiler checks it against both drivers.
macro_rules! on_pool {
    ($store:expr, $pool:ident => $body:expr) => {
        match &$store.pool {
            crate::store::Pool::Postgres(hosts) => {
                let current = hosts.pool();
                let $pool = &current;
                $body
            }
            crate::store::Pool::Sqlite($pool) => $body,
        }
    };
}
use on_pool;

/// Runs one expression on the pool for lists, counts and other reads whose cost grows with the data. Auth checks, sign-ins and writes
/// never wait for one of its connections.
macro_rules! on_readers {
    ($store:expr, $pool:ident => $body:expr) => {
        match &$store.pool {
            crate::store::Pool::Postgres(hosts) => {
                let current = hosts.readers();
                let $pool = &current;
                $body
            }
            crate::store::Pool::Sqlite(writer) => {
                let $pool = $store.readers.as_ref().unwrap_or(writer);
                $body
            }
        }
    };
}
use on_readers;

impl Store {
    /// Waits for the connections in use to come back, and closes them all.
    pub async fn close(&self) {
        on_readers!(self, pool => pool.close().await);
        on_pool!(self, pool => pool.close().await);
    }

    /// `PostgreSQL` or `SQLite`, for people.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        match self.pool {
            Pool::Postgres(_) => "PostgreSQL",
            Pool::Sqlite(_) => "SQLite",
        }
    }
}
