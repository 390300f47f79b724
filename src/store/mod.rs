//! SQL access: one [`Store`] on PostgreSQL or SQLite, with its methods grouped in one file per
//! resource.
//!
//! Most statements exist once and run on both databases. Where the two differ, both variants are in
//! the same method. These rules keep the variants few:
//!
//! - Times, IDs and limits are bound values. Only the informational columns of node rows and the cap
//!   of the clock floor read the database clock.
//! - Statements list their columns and never use `*`.
//! - A method is one statement or one transaction, except for purges, which work in batches. A
//!   transaction begins with a write or a lock.
//! - A method that has an event appends it to the audit log in the same transaction (`events`).
//! - The database decides uniqueness and limits in the write itself.
//! - A value that only moves forward is guarded by its `where` clause.
//!
//! To add a statement, write a method here or in the resource's file, and a test in
//! `tests/it/store/`, which runs on both databases.

mod account_details;
mod audit_chain;
mod authority;
mod backup;
mod clock;
mod cluster;
mod columns;
mod committed;
mod connect;
mod counts;
mod database_url;
mod device_authorizations;
mod directory_attempts;
mod directory_syncs;
mod error;
mod event_batch;
mod events;
mod expiry_warnings;
mod external_identities;
mod failover;
mod from_row;
mod id;
mod last_used;
mod like;
mod login_failures;
mod mail;
mod migrations;
mod new_password_link;
mod open_error;
mod operations;
mod password_links;
mod people;
mod pool_limits;
mod read_only_sessions;
mod removal;
mod saml_responses;
mod scim_credentials;
mod scim_users;
mod service_accounts;
mod sessions;
mod settings;
mod sign_in_addresses;
mod sign_in_flows;
mod sources;
mod sqlite_file;
mod time;
mod tokens;
mod trust_rules;
mod user_list;
mod webhook_deliveries;
mod webhooks;
mod workspaces;

use std::{pin::Pin, sync::Arc};

use sqlx::SqlitePool;

pub use account_details::AccountDetails;
pub use audit_chain::{AuditChain, StoredEntry};
pub use cluster::{ClusterExposure, ClusterSecret, ClusterState, ClusterStore, NodeLease, NodeRow, NotificationStream};
pub use committed::{Barrier, Committed};
pub use connect::ConnectionCounts;
pub use counts::{ReaderRights, TokenCounts, WorkspaceWithCounts};
pub use database_url::{DatabaseUrl, InvalidDatabaseUrl};
pub use device_authorizations::{DeviceInsertion, NewDeviceAuthorization};
pub use error::{Error, Outage, Result};
pub use events::{EventFilter, EventPage, EventPageStart, NewEvent};
pub use expiry_warnings::{ExpiringToken, NextExpiry, WarningQuery};
pub use external_identities::{
    FoundIdentity, LinkOutcome, NewExternalIdentity, NewExternalPerson, ProviderChange, ProviderChangeOutcome,
};
use failover::FailoverPool;
use from_row::from_row;
pub use last_used::LAST_USED_BATCH_SIZE;
pub use mail::{ClaimedMail, ResetRecipient};
pub use migrations::{MigrationError, SchemaStatus};
pub use new_password_link::NewPasswordLink;
pub use open_error::OpenError;
use operations::OperationCounter;
pub use password_links::{FoundPasswordLink, InviteOutcome};
pub use people::{NewPerson, PersonChange, PersonFilter, PersonWithHash, UpdateOutcome};
pub use pool_limits::PoolLimits;
pub use saml_responses::AcceptedResponse;
pub use scim_credentials::NewScimCredential;
pub use scim_users::{NewScimUser, ScimUserChange, ScimUserOutcome};
pub use service_accounts::{NewServiceAccount, ServiceAccountInsert};
pub use sessions::{FoundSession, NewSession};
pub use sign_in_flows::ProviderLogout;
pub use sources::{KnownSource, LoginFailureCounts};
pub use tokens::{
    BulkDeletion, ConsumedForm, DeletedFamily, DeviceGrant, ExchangeDenied, FoundToken, IdempotentRequest,
    IssueOutcome, NewExchange, NewToken, OwnerScope, Replaces, ReplayedToken, TokenLabel, TokenListQuery, TokenOwner,
};
pub use trust_rules::{NewTrustRule, TrustRuleInsert};
pub use user_list::{PageStart, PersonSearch, PersonWithTokenCount, TokenHolderCounts};
pub use webhook_deliveries::{ClaimedBatch, ClaimedDelivery, DueWebhook, Retry};
pub use webhooks::{NewWebhook, WebhookChange, WebhookContent, WebhookInsert, WebhookTest};

/// Handle to the database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
    /// Connections that only read lists, on SQLite. On PostgreSQL they are part of
    /// [`FailoverPool`].
    readers: Option<SqlitePool>,
    operations: OperationCounter,
    /// Backups of SQLite are written one after another.
    backup_turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone, Debug)]
enum Pool {
    Postgres(FailoverPool),
    Sqlite(SqlitePool),
}

/// Evaluates an expression with the pool of the database in use. The compiler checks it against both
/// drivers.
macro_rules! with_pool {
    ($store:expr, $pool:ident => $body:expr) => {
        match &$store.pool {
            crate::store::Pool::Postgres(failover) => {
                let current = failover.pool();
                let $pool = &current;
                $body
            }
            crate::store::Pool::Sqlite($pool) => $body,
        }
    };
}
use with_pool;

/// Evaluates an expression with the read pool, which serves lists, counts and other reads whose cost
/// grows with the data. Auth checks, sign-ins and writes never wait for one of its connections.
macro_rules! with_readers {
    ($store:expr, $pool:ident => $body:expr) => {
        match &$store.pool {
            crate::store::Pool::Postgres(failover) => {
                let current = failover.readers();
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
use with_readers;

/// Runs an operation on the pool of the database in use, and counts it. The operation is an expression
/// that may await; `?` and `return` leave the operation, not the function around it.
macro_rules! on_pool {
    ($store:expr, $pool:ident => $body:expr) => {{
        let _operation = $store.operations.start();
        crate::store::with_pool!($store, $pool => crate::store::boxed(async { $body }).await)
    }};
}
use on_pool;

/// Runs an operation on the read pool, as [`on_pool`] does on the other one.
macro_rules! on_readers {
    ($store:expr, $pool:ident => $body:expr) => {{
        let _operation = $store.operations.start();
        crate::store::with_readers!($store, $pool => crate::store::boxed(async { $body }).await)
    }};
}
use on_readers;

/// Boxes a future, so that the types of its callers' futures do not contain it. Without this, the compiler
/// proves for each handler that every await down to the driver is `Send`, several times.
fn boxed<'a, T>(future: impl Future<Output = T> + Send + 'a) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
    Box::pin(future)
}

impl Store {
    /// Waits for the connections in use to be returned and closes both pools.
    pub async fn close(&self) {
        on_readers!(self, pool => pool.close().await);
        on_pool!(self, pool => pool.close().await);
    }

    /// Returns the display name of the database engine, `PostgreSQL` or `SQLite`.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        match self.pool {
            Pool::Postgres(_) => "PostgreSQL",
            Pool::Sqlite(_) => "SQLite",
        }
    }
}
